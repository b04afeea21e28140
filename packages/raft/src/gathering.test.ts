import { test } from 'node:test';
import assert from 'node:assert/strict';
import { SeededRandom } from '@pilothouse/testkit';
import { RaftNode } from './raft-node.ts';
import type { Message } from './message.ts';
import { emptyConfig } from './types.ts';
import type { LogIndex, MemberId, Term } from './types.ts';

const id = (n: number): MemberId => BigInt(n) as MemberId;
const voters = [id(1), id(2), id(3)];

/** A leader of three whose entries up to the one of its term are durable, and what it says since. */
function leader(): { node: RaftNode; turn: () => { sent: Message[]; written: number[]; sequence: number } } {
  const snapshot = { index: 0 as LogIndex, term: 0 as Term, config: { ...emptyConfig, voters } };
  const limits = { areAppendsGathered: true };
  const node = new RaftNode({ id: id(1), random: new SeededRandom(1), snapshot, limits });
  const turn = (): { sent: Message[]; written: number[]; sequence: number } => {
    const sent: Message[] = [];
    const written: number[] = [];
    let sequence = 0;
    while (node.hasReady()) {
      const ready = node.ready();
      sequence = ready.sequence;
      sent.push(...ready.messages);
      written.push(...ready.entries.map(({ index }) => index));
      const last = ready.committedEntries.at(-1);
      if (last) node.applied(last.index);
    }
    return { sent, written, sequence };
  };
  node.campaign();
  node.advance(turn().sequence);
  const grant = {
    kind: 'preVoteResponse',
    from: id(2),
    to: id(1),
    isGranted: true,
    commit: 0,
    commitTerm: 0,
  };
  node.step({ ...grant, term: 1 } as Message);
  node.advance(turn().sequence);
  node.step({ ...grant, kind: 'voteResponse', term: 1 } as Message);
  assert.equal(node.role, 'leader');
  node.advance(turn().sequence);
  for (const from of voters.slice(1)) {
    const answer = { kind: 'appendResponse', from, to: id(1), term: 1, index: 1, isRejected: false };
    node.step({ ...answer, hintIndex: 0, hintTerm: 0 } as Message);
  }
  node.advance(turn().sequence);
  return { node, turn };
}

const put = (node: RaftNode): void => {
  node.propose([{ kind: 'normal', payload: Uint8Array.of(1) }]);
};

test('proposals that come while entries are written gather, and go out together after that', () => {
  const { node, turn } = leader();
  put(node);
  const first = turn();
  assert.deepEqual(first.written, [2]);
  assert.equal(first.sent.filter(({ kind }) => kind === 'append').length, 2);
  put(node);
  put(node);
  assert.equal(node.hasReady(), false, 'they wait');
  node.advance(first.sequence);
  const second = turn();
  assert.deepEqual(second.written, [3, 4]);
  const appends = second.sent.filter((message) => message.kind === 'append');
  assert.deepEqual(
    appends.map(({ entries }) => entries.map(({ index }) => index)),
    [
      [3, 4],
      [3, 4],
    ],
  );
});

test('a leader whose disk hangs gives everything to the one that takes over', () => {
  const { node, turn } = leader();
  put(node);
  turn();
  put(node);
  assert.equal(node.hasReady(), false);
  assert.equal(node.transferLeadership(id(2)), true);
  const { sent, written } = turn();
  assert.deepEqual(written, [3]);
  assert.ok(
    sent.some(
      (message) => message.kind === 'append' && message.to === id(2) && message.entries.at(-1)?.index === 3,
    ),
  );
});
