import { test } from 'node:test';
import assert from 'node:assert/strict';
import { SeededRandom } from '@pilothouse/testkit';
import { RaftNode } from './raft-node.ts';
import type { Message } from './message.ts';
import type { Ready } from './ready.ts';
import { emptyConfig } from './types.ts';
import type { ConfigState, Entry, HardState, LogIndex, MemberId, SnapshotMetadata, Term } from './types.ts';

const id = (n: number): MemberId => BigInt(n) as MemberId;

interface Member {
  node: RaftNode;
  isUp: boolean;
  /** Durable state. */
  hardState: HardState | undefined;
  snapshot: SnapshotMetadata;
  log: Entry[];
  state: string[];
  /** Readys that are not durable yet; lost in a crash. */
  queue: Ready[];
}

/** Runs one random schedule of faults on a cluster whose disk and network are lists, and checks the safety properties. */
function run(seed: number, steps: number): { committed: number; leaders: number } {
  const random = new SeededRandom(seed);
  const size = random.pick([3, 3, 5]);
  const voters = Array.from({ length: size }, (_, n) => id(n + 1));
  const everyone = [...voters, id(size + 1)];
  const config: ConfigState = { ...emptyConfig, voters };
  const base: SnapshotMetadata = { index: 0 as LogIndex, term: 0 as Term, config };
  const members = new Map<MemberId, Member>();
  const network: Message[] = [];
  const leaders = new Map<number, MemberId>();
  const chosen: string[] = [];
  let blocked = new Set<string>();
  let proposals = 0;

  const start = (who: MemberId, member: Omit<Member, 'node' | 'isUp'>): RaftNode =>
    new RaftNode({
      id: who,
      random,
      snapshot: member.snapshot,
      entries: member.log.filter((entry) => entry.index > member.snapshot.index),
      ...(member.hardState ? { hardState: member.hardState } : {}),
      limits: { areAppendsGathered: seed % 2 === 0 },
    });
  for (const who of everyone) {
    const durable = {
      hardState: undefined,
      snapshot: base,
      log: [],
      state: [],
      queue: [],
    };
    members.set(who, { ...durable, node: start(who, durable), isUp: true });
  }

  const describe = (entry: Entry): string =>
    `${entry.index}/${entry.term}/${entry.kind === 'normal' ? Buffer.from(entry.payload).toString() : JSON.stringify(entry.change, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v))}`;

  const persist = (member: Member, ready: Ready): void => {
    if (ready.snapshot) {
      member.snapshot = ready.snapshot;
      member.log = [];
    }
    const first = ready.entries[0];
    if (first) member.log = [...member.log.filter((entry) => entry.index < first.index), ...ready.entries];
    if (ready.hardState) member.hardState = ready.hardState;
  };
  const drain = (member: Member): void => {
    while (member.isUp && member.node.hasReady()) {
      const ready = member.node.ready();
      network.push(...ready.messages);
      member.queue.push(ready);
      if (ready.softState?.role === 'leader') {
        const known = leaders.get(ready.softState.term);
        assert.ok(
          known === undefined || known === member.node.id,
          `two leaders in term ${ready.softState.term}`,
        );
        if (known === undefined) {
          leaders.set(ready.softState.term, member.node.id);
          // Leader completeness: every entry ever applied is in the new leader's log.
          for (let at = member.node.logOffset + 1; at <= chosen.length; at++) {
            const entry = member.node.entryAt(at as LogIndex);
            assert.equal(
              entry && describe(entry),
              chosen[at - 1],
              `leader of ${ready.softState.term} lacks entry ${at}`,
            );
          }
        }
      }
      if (ready.snapshot) {
        member.state = chosen.slice(0, ready.snapshot.index);
        member.node.applied(ready.snapshot.index);
      }
      for (const entry of ready.committedEntries) {
        assert.equal(entry.index, member.state.length + 1, 'applied in order');
        const text = describe(entry);
        if (chosen.length < entry.index) chosen.push(text);
        assert.equal(text, chosen[entry.index - 1], `state machine safety at ${entry.index}`);
        assert.ok(
          member.log.some((durable) => durable.index === entry.index && durable.term === entry.term),
          `entry ${entry.index} is durable before it is applied`,
        );
        member.state.push(text);
        member.node.applied(entry.index);
      }
    }
  };

  const settle = (member: Member, count: number): void => {
    for (const ready of member.queue.splice(0, count)) {
      persist(member, ready);
      network.push(...ready.messagesAfterPersist);
      member.node.advance(ready.sequence);
    }
    drain(member);
  };

  const act = (isHealed: boolean): void => {
    const member = members.get(random.pick(everyone)) as Member;
    const roll = random.integer(1000);
    if (roll < 120) {
      if (member.isUp) member.node.tick();
    } else if (roll < 200) {
      if (member.isUp) member.node.propose([{ kind: 'normal', payload: Buffer.from(`p${proposals++}`) }]);
    } else if (roll < 215) {
      if (member.isUp) member.node.readIndex(proposals++);
    } else if (!isHealed && roll < 222) {
      if (member.isUp) {
        member.isUp = false;
        // What was not durable is lost, except for a prefix that made it to the disk.
        for (const ready of member.queue.splice(0, random.integer(member.queue.length + 1)))
          persist(member, ready);
        member.queue = [];
      }
    } else if (roll < 250) {
      if (!member.isUp) {
        member.isUp = true;
        member.state = chosen.slice(0, member.snapshot.index);
        member.node = start(member.node.id, member);
      }
    } else if (!isHealed && roll < 254) {
      blocked = new Set();
      for (let n = random.integer(4); n > 0; n--)
        blocked.add(`${random.pick(everyone)}>${random.pick(everyone)}`);
    } else if (roll < 258) {
      if (member.isUp) member.node.transferLeadership(random.pick(voters));
    } else if (roll < 262) {
      if (member.isUp) member.node.peerDisconnected(member.node.leader ?? id(1));
      if (member.isUp) member.node.campaign();
    } else if (!isHealed && roll < 268) {
      const target = random.pick(everyone);
      const other = random.pick(everyone);
      const kind = random.pick(['addVoter', 'addLearner', 'remove'] as const);
      const changes = random.chance(0.5)
        ? [{ kind, id: target }]
        : [
            { kind, id: target },
            { kind: 'addVoter' as const, id: other },
          ];
      if (member.isUp && member.node.role === 'leader') {
        member.node.proposeConfigChange({ transition: random.pick(['auto', 'joint']), changes });
      }
    } else if (roll < 274) {
      if (member.isUp && member.node.appliedIndex > member.snapshot.index + 5) {
        const index = (member.node.appliedIndex - random.integer(4)) as LogIndex;
        // The snapshot is as of the applied index; the log keeps some entries before it.
        const applied = member.node.appliedIndex;
        const durable = member.log.find((entry) => entry.index === applied);
        if (durable) {
          member.snapshot = { index: applied, term: durable.term, config: member.node.config };
          member.node.compact(index);
        }
      }
    } else if (roll < 600) {
      if (member.isUp) settle(member, 1 + random.integer(3));
    } else if (network.length > 0) {
      const position = random.chance(0.8) ? 0 : random.integer(network.length);
      const message = network[position] as Message;
      if (isHealed || !random.chance(0.03)) network.splice(position, 1);
      const target = members.get(message.to) as Member;
      const isLost = !isHealed && (random.chance(0.05) || blocked.has(`${message.from}>${message.to}`));
      const isDelivered = target.isUp && !isLost;
      if (isDelivered) target.node.step(message);
      if (message.kind === 'snapshot') {
        const source = members.get(message.from) as Member;
        if (source.isUp) source.node.snapshotStatus(message.to, isDelivered);
      }
    }
    for (const other of members.values()) drain(other);
    // A healthy network is faster than the timers; without this a backlog of stale messages would only grow.
    if (isHealed && network.length > 50) {
      for (const message of network.splice(0)) {
        const target = members.get(message.to) as Member;
        if (target.isUp) target.node.step(message);
        const source = members.get(message.from) as Member;
        if (message.kind === 'snapshot' && source.isUp) source.node.snapshotStatus(message.to, target.isUp);
        drain(target);
      }
    }
  };
  for (let step = 0; step < steps; step++) act(false);
  // Liveness: with the faults gone, a leader appears and commits.
  blocked = new Set();
  const before = chosen.length;
  for (let step = 0; step < 60_000 && chosen.length < before + 5; step++) act(true);
  assert.ok(chosen.length >= before + 5, 'progress after the faults end');
  return { committed: chosen.length, leaders: leaders.size };
}

test('a random cluster keeps the safety properties under crashes, loss, partitions and configuration changes', () => {
  const first = Number(process.env['RAFT_SEED'] ?? 1);
  const count = Number(process.env['RAFT_SEEDS'] ?? 40);
  let committed = 0;
  let leaders = 0;
  for (let seed = first; seed < first + count; seed++) {
    try {
      const result = run(seed, 4000);
      committed += result.committed;
      leaders += result.leaders;
    } catch (error) {
      throw new Error(`Seed ${seed} fails (RAFT_SEED=${seed} RAFT_SEEDS=1 repeats it)`, { cause: error });
    }
  }
  assert.ok(committed > count * 20, `the schedules commit entries, got ${committed}`);
  assert.ok(leaders > count, `the schedules elect leaders, got ${leaders}`);
});
