import { decodeMessage, mvccpb } from '@pilothouse/proto';
import { EventHistory } from '@pilothouse/testkit';
import type { HistoryEvent } from '@pilothouse/testkit';
import { StoreStateMachine } from '../core/apply/state-machine.ts';
import type { ApplyResult, StateMachineOptions } from '../core/apply/state-machine.ts';
import type { CommittedEntry, LogIndex, MembershipChange, Term } from '../core/replication.ts';

export class SafetyViolation extends Error {
  override readonly name = 'SafetyViolation';
}

/** Sees every entry that any member applies, and every leader: what must be the same everywhere is held against it at once. */
export class Witness {
  readonly #entries: string[] = [];
  readonly #votes = new Map<string, bigint>();
  readonly #terms = new Map<bigint, number>();
  readonly #leaders = new Map<number, bigint>();
  /** The authoritative history, ascending by revision. */
  readonly history = new EventHistory();
  /** True time at which each revision came to be. */
  readonly times = new Map<number, number>();
  readonly #now: () => number;
  #revision = 1;
  leaderCount = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  applied(index: number, text: string): void {
    const known = this.#entries[index];
    if (known === undefined) this.#entries[index] = text;
    else if (known !== text) {
      throw new SafetyViolation(
        `State machine safety: entry ${index} was applied as ${known} and as ${text}`,
      );
    }
  }

  /** A vote leaves a member: never for two candidates in one term, whatever crashed in between. */
  voted(voter: bigint, term: number, candidate: bigint): void {
    const key = `${voter}/${term}`;
    const known = this.#votes.get(key);
    if (known === undefined) this.#votes.set(key, candidate);
    else if (known !== candidate) {
      throw new SafetyViolation(`Member ${voter} votes for ${known} and for ${candidate} in term ${term}`);
    }
  }

  /** Members' terms as others have seen them in acknowledgements never go back. */
  acknowledged(member: bigint, term: number): void {
    const known = this.#terms.get(member) ?? 0;
    if (term > known) this.#terms.set(member, term);
  }

  /** The term with which a member comes back from its disk. */
  restarted(member: bigint, term: number): void {
    const known = this.#terms.get(member) ?? 0;
    if (term < known) {
      throw new SafetyViolation(
        `Member ${member} acknowledged something in term ${known} and restarts in term ${term}`,
      );
    }
  }

  leads(id: bigint, term: number): void {
    const known = this.#leaders.get(term);
    if (known === undefined) {
      this.#leaders.set(term, id);
      this.leaderCount++;
    } else if (known !== id)
      throw new SafetyViolation(`Election safety: members ${known} and ${id} both lead term ${term}`);
  }

  /** Takes the events of revisions not seen before. */
  changed(machine: StoreStateMachine): void {
    const { currentRevision } = machine.store;
    if (currentRevision <= this.#revision) return;
    for (const change of machine.store.history(this.#revision + 1, currentRevision)) {
      this.history.push(toEvent(decodeMessage(mvccpb.KeyValue, change.bytes), change.isDelete));
      this.times.set(change.main, this.#now());
    }
    this.#revision = currentRevision;
  }
}

export function toEvent(kv: mvccpb.KeyValue, isDelete: boolean): HistoryEvent {
  const { key, value, modRevision, createRevision, version } = kv;
  return {
    revision: modRevision,
    kind: isDelete ? 'delete' : 'put',
    key: Buffer.from(key).toString(),
    value: isDelete ? undefined : Buffer.from(value).toString(),
    createRevision: isDelete ? 0 : createRevision,
    version: isDelete ? 0 : version,
  };
}

/** The real state machine under the witness's eyes. */
export class WitnessedMachine extends StoreStateMachine {
  readonly #witness: Witness;

  constructor(options: StateMachineOptions, witness: Witness) {
    super(options);
    this.#witness = witness;
  }

  override apply(entry: CommittedEntry): ApplyResult | undefined {
    if (entry.index !== this.appliedIndex + 1) {
      throw new SafetyViolation(`Entry ${entry.index} was applied after ${this.appliedIndex}`);
    }
    this.#witness.applied(entry.index, `${entry.term}:${Buffer.from(entry.payload).toString('base64')}`);
    const result = super.apply(entry);
    this.#witness.changed(this);
    return result;
  }

  override applyMembership(index: LogIndex, term: Term, change: MembershipChange): void {
    const id = 'member' in change ? change.member.id : change.id;
    this.#witness.applied(index, `${term}:${change.kind} ${id}`);
    super.applyMembership(index, term, change);
  }
}
