import { test } from 'node:test';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SeededRandom, goldenFiles, runGolden } from '@pilothouse/testkit';
import type { GoldenCommand } from '@pilothouse/testkit';
import { RaftNode } from './raft-node.ts';
import type { Message } from './message.ts';
import type { RaftLimits } from './options.ts';
import type { Ready } from './ready.ts';
import { emptyConfig } from './types.ts';
import type {
  ConfigState,
  Entry,
  HardState,
  LogIndex,
  MemberId,
  SingleChange,
  SnapshotMetadata,
  Term,
} from './types.ts';

const memberId = (text: string): MemberId => BigInt(text) as MemberId;

interface Member {
  node: RaftNode;
  isDown: boolean;
  /** Set: writes are not finished until `persist`. */
  hasSlowDisk: boolean;
  pending: Ready[];
  hardState: HardState | undefined;
  log: Entry[];
  snapshot: SnapshotMetadata;
}

const describeEntry = (entry: Entry): string => {
  const place = `${entry.index}/${entry.term}`;
  if (entry.kind === 'normal')
    return entry.payload.length === 0
      ? `${place} (empty)`
      : `${place} "${String(Buffer.from(entry.payload))}"`;
  const changes = entry.change.changes.map(({ kind, id }) => `${kind} ${id}`).join(', ');
  return `${place} [${changes === '' ? 'leave joint' : changes}]`;
};

const describeConfig = (config: ConfigState): string => {
  const parts = [`voters ${config.voters.join()}`];
  if (config.outgoing.length > 0) parts.push(`outgoing ${config.outgoing.join()}`);
  if (config.learners.length > 0) parts.push(`learners ${config.learners.join()}`);
  if (config.learnersNext.length > 0) parts.push(`next learners ${config.learnersNext.join()}`);
  return parts.join(', ');
};

function describeMessage(message: Message): string {
  const head = `${message.from}->${message.to} ${message.kind} term ${message.term}`;
  switch (message.kind) {
    case 'preVote':
    case 'vote':
      return `${head} last ${message.lastIndex}/${message.lastTerm}${message.isTransfer ? ' transfer' : ''}`;
    case 'preVoteResponse':
    case 'voteResponse':
      return `${head} ${message.isGranted ? 'granted' : 'refused'}`;
    case 'append':
      return `${head} after ${message.prevIndex}/${message.prevTerm} commit ${message.commit} entries [${message.entries.map(describeEntry).join(', ')}]`;
    case 'appendResponse':
      return message.isRejected
        ? `${head} refused ${message.index} hint ${message.hintIndex}/${message.hintTerm}`
        : `${head} matches ${message.index}`;
    case 'heartbeat':
      return `${head} commit ${message.commit} round ${message.round}`;
    case 'heartbeatResponse':
      return `${head} round ${message.round}`;
    case 'snapshot':
      return `${head} index ${message.snapshot.index}/${message.snapshot.term} ${describeConfig(message.snapshot.config)}`;
    case 'propose':
      return `${head} ${message.proposals.length} proposal(s)`;
    case 'readIndex':
      return `${head} context ${message.context}`;
    case 'readIndexResponse':
      return `${head} context ${message.context} index ${message.index}`;
    case 'timeoutNow':
    case 'removed':
      return head;
  }
}

/** A cluster that does only what the dialogue says; every effect is printed. */
class Dialogue {
  readonly #members = new Map<MemberId, Member>();
  readonly #random = new SeededRandom(1);
  readonly #blocked = new Set<string>();
  #limits: Partial<RaftLimits> = {};
  #network: Message[] = [];
  #lines: string[] = [];
  #isQuiet = false;

  handle({ verb, args, options }: GoldenCommand): string {
    this.#lines = [];
    this.#isQuiet = options.get('quiet') === 'yes';
    const ids = args.map((text) => (/^\d+$/.test(text) ? memberId(text) : (0n as MemberId)));
    const of = (id: MemberId | undefined): Member => {
      const member = this.#members.get(id ?? (0n as MemberId));
      if (!member) throw new Error(`No member ${id}`);
      return member;
    };
    const first = ids[0] as MemberId;
    switch (verb) {
      case 'cluster': {
        const voters = (options.get('voters') ?? '').split(',').map(memberId);
        const learners = (options.get('learners') ?? '').split(',').filter(Boolean).map(memberId);
        const config = { ...emptyConfig, voters, learners };
        this.#limits = { isCommitToldLazily: options.get('commit') === 'lazy' };
        for (const id of [...voters, ...learners])
          this.#add(id, { index: 0 as LogIndex, term: 0 as Term, config });
        break;
      }
      case 'add-member':
        this.#add(first, {
          index: 0 as LogIndex,
          term: 0 as Term,
          config: of([...this.#members.keys()][0]).snapshot.config,
        });
        break;
      case 'campaign':
        of(first).node.campaign();
        break;
      case 'tick':
        for (let n = Number(options.get('count') ?? 1); n > 0; n--) of(first).node.tick();
        break;
      case 'propose':
        for (const text of args.slice(1)) {
          const result = of(first).node.propose([{ kind: 'normal', payload: Buffer.from(text) }]);
          this.#say(
            `${first} propose: ${result.kind}${result.kind === 'dropped' ? ` (${result.message})` : ''}`,
          );
        }
        break;
      case 'change': {
        const changes = args.slice(1).map((text): SingleChange => {
          const [kind, id] = text.split(':') as [SingleChange['kind'], string];
          return { kind, id: memberId(id) };
        });
        const transition = options.get('transition') === 'joint' ? 'joint' : 'auto';
        const result = of(first).node.proposeConfigChange({ transition, changes });
        this.#say(
          `${first} change: ${result.kind}${result.kind === 'dropped' ? ` (${result.message})` : ''}`,
        );
        break;
      }
      case 'read':
        if (!of(first).node.readIndex(Number(args[1]))) this.#say(`${first} read: no leader`);
        break;
      case 'tell-commit':
        this.#say(`${first} has news: ${of(first).node.hasCommitNews}`);
        of(first).node.tellCommit();
        break;
      case 'transfer':
        if (!of(first).node.transferLeadership(ids[1] as MemberId)) this.#say(`${first} transfer: refused`);
        break;
      case 'disconnect':
        of(first).node.peerDisconnected(ids[1] as MemberId);
        break;
      case 'after-disconnect':
        of(first).node.campaignAfterDisconnect();
        break;
      case 'block':
        for (const pair of args) this.#blocked.add(pair);
        break;
      case 'heal':
        this.#blocked.clear();
        break;
      case 'slow-disk':
        of(first).hasSlowDisk = options.get('off') !== 'yes';
        break;
      case 'persist':
        this.#persist(of(first));
        break;
      case 'crash':
        of(first).isDown = true;
        of(first).pending = [];
        break;
      case 'restart': {
        const member = of(first);
        member.isDown = false;
        member.node = this.#open(first, member);
        break;
      }
      case 'compact': {
        const member = of(first);
        const index = member.node.appliedIndex;
        const term = member.node.termAt(index) as Term;
        member.snapshot = { index, term, config: member.node.config };
        member.node.compact(index);
        break;
      }
      case 'deliver':
        this.#deliver();
        break;
      case 'stabilize':
        for (let round = 0; round < 50; round++) {
          this.#drain();
          if (this.#network.length === 0) break;
          this.#deliver();
        }
        break;
      case 'status':
        for (const [id, { node, isDown }] of this.#members) {
          if (isDown) this.#lines.push(`${id} is down`);
          else {
            this.#lines.push(
              `${id} ${node.role} term ${node.term} leader ${node.leader ?? 'none'} last ${node.lastIndex} commit ${node.commitIndex} applied ${node.appliedIndex} ${describeConfig(node.config)}`,
            );
          }
        }
        break;
      case 'progress':
        for (const [id, { match, next, state }] of of(first).node.progress) {
          this.#lines.push(`${id} ${state} match ${match} next ${next}`);
        }
        break;
      default:
        throw new Error(`Unknown command ${verb}`);
    }
    if (verb !== 'stabilize') this.#drain();
    return this.#lines.join('\n');
  }

  #say(line: string): void {
    if (!this.#isQuiet) this.#lines.push(line);
  }

  #add(id: MemberId, snapshot: SnapshotMetadata): void {
    const durable = {
      hardState: undefined,
      log: [],
      snapshot,
      hasSlowDisk: false,
      pending: [],
      isDown: false,
    };
    this.#members.set(id, { ...durable, node: this.#open(id, durable) });
  }

  #open(id: MemberId, member: Pick<Member, 'hardState' | 'log' | 'snapshot'>): RaftNode {
    return new RaftNode({
      id,
      random: this.#random,
      limits: this.#limits,
      snapshot: member.snapshot,
      entries: member.log.filter((entry) => entry.index > member.snapshot.index),
      ...(member.hardState ? { hardState: member.hardState } : {}),
    });
  }

  #deliver(): void {
    for (const message of this.#network.splice(0)) {
      const target = this.#members.get(message.to);
      if (!target || target.isDown || this.#blocked.has(`${message.from}>${message.to}`)) {
        this.#say(`lost: ${describeMessage(message)}`);
        continue;
      }
      target.node.step(message);
      this.#drain();
    }
  }

  #persist(member: Member): void {
    for (const ready of member.pending.splice(0)) {
      if (ready.snapshot) {
        member.snapshot = ready.snapshot;
        member.log = [];
      }
      const start = ready.entries[0]?.index ?? Infinity;
      member.log = [...member.log.filter((entry) => entry.index < start), ...ready.entries];
      if (ready.hardState) member.hardState = ready.hardState;
      for (const message of ready.messagesAfterPersist) this.#post(message);
      member.node.advance(ready.sequence);
    }
  }

  #post(message: Message): void {
    this.#say(describeMessage(message));
    this.#network.push(message);
  }

  #drain(): void {
    for (const [id, member] of this.#members) {
      while (!member.isDown && member.node.hasReady()) {
        const ready = member.node.ready();
        if (ready.softState) {
          const { role, leader, term } = ready.softState;
          this.#say(`${id} becomes ${role} in term ${term}, leader ${leader ?? 'none'}`);
        }
        for (const entry of ready.entries) this.#say(`${id} appends ${describeEntry(entry)}`);
        for (const message of ready.messages) this.#post(message);
        for (const entry of ready.committedEntries) {
          this.#say(`${id} applies ${describeEntry(entry)}`);
          const before = describeConfig(member.node.config);
          member.node.applied(entry.index);
          const after = describeConfig(member.node.config);
          if (before !== after) this.#say(`${id} configuration: ${after}`);
        }
        if (ready.snapshot) {
          this.#say(`${id} installs snapshot ${ready.snapshot.index}/${ready.snapshot.term}`);
          member.node.applied(ready.snapshot.index);
        }
        for (const { context, index } of ready.readStates) this.#say(`${id} may read ${context} at ${index}`);
        member.pending.push(ready);
        if (!member.hasSlowDisk) this.#persist(member);
      }
    }
  }
}

const directory = path.join(path.dirname(fileURLToPath(import.meta.url)), '../testdata');
for (const file of goldenFiles(directory)) {
  test(`dialogue ${path.basename(file, '.txt')}`, () => {
    const dialogue = new Dialogue();
    runGolden(file, (command) => dialogue.handle(command));
  });
}
