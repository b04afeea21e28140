import type {
  CommittedEntry,
  LogIndex,
  MembershipChange,
  StateMachine,
  StateSnapshot,
  Term,
} from '../core/replication.ts';

/** A command of the small machine, as JSON. */
export type KvCommand =
  | { readonly op: 'put'; readonly key: string; readonly value: string }
  | {
      readonly op: 'compareAndPut';
      readonly key: string;
      readonly modRevision: number;
      readonly value: string;
    }
  | { readonly op: 'delete'; readonly key: string };

export interface KvValue {
  readonly value: string;
  readonly modRevision: number;
}

interface Image {
  readonly index: number;
  readonly term: number;
  readonly revision: number;
  readonly values: readonly (readonly [string, KvValue])[];
  readonly changes: number;
}

/** The smallest state machine with etcd's revisions; everything in memory, so it is rebuilt from snapshot and log. */
export class KvMachine implements StateMachine {
  readonly values = new Map<string, KvValue>();
  appliedIndex = 0 as LogIndex;
  appliedTerm = 0 as Term;
  revision = 1;
  membershipChanges = 0;

  apply(entry: CommittedEntry): unknown {
    this.appliedIndex = entry.index;
    this.appliedTerm = entry.term;
    if (entry.payload.length === 0) return undefined;
    const command = JSON.parse(Buffer.from(entry.payload).toString('utf8')) as KvCommand;
    const modRevision = this.values.get(command.key)?.modRevision ?? 0;
    switch (command.op) {
      case 'put':
        this.values.set(command.key, { value: command.value, modRevision: ++this.revision });
        return { revision: this.revision };
      case 'compareAndPut':
        if (modRevision !== command.modRevision) return { succeeded: false, ...this.values.get(command.key) };
        this.values.set(command.key, { value: command.value, modRevision: ++this.revision });
        return { succeeded: true, revision: this.revision };
      case 'delete':
        if (modRevision === 0) return { deleted: 0 };
        this.values.delete(command.key);
        this.revision++;
        return { deleted: 1, revision: this.revision };
    }
  }

  applyMembership(index: LogIndex, term: Term, change: MembershipChange): void {
    void change;
    this.appliedIndex = index;
    this.appliedTerm = term;
    this.membershipChanges++;
  }

  snapshot(): StateSnapshot {
    const image: Image = {
      index: this.appliedIndex,
      term: this.appliedTerm,
      revision: this.revision,
      values: [...this.values],
      changes: this.membershipChanges,
    };
    const bytes = Buffer.from(JSON.stringify(image));
    return {
      index: this.appliedIndex,
      term: this.appliedTerm,
      async *chunks() {
        for (let at = 0; at < bytes.length; at += 1024) yield bytes.subarray(at, at + 1024);
      },
      release() {},
    };
  }

  async restore(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    const image = JSON.parse(Buffer.concat(parts).toString('utf8')) as Image;
    this.values.clear();
    for (const [key, value] of image.values) this.values.set(key, value);
    this.appliedIndex = image.index as LogIndex;
    this.appliedTerm = image.term as Term;
    this.revision = image.revision;
    this.membershipChanges = image.changes;
  }
}

export const encodeCommand = (command: KvCommand): Uint8Array => Buffer.from(JSON.stringify(command));
