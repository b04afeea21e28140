import { test } from 'node:test';
import assert from 'node:assert/strict';
import { SeededRandom } from '@pilothouse/testkit';
import { committedIndex, voteOutcome } from './quorum.ts';
import { emptyConfig } from './types.ts';
import type { LogIndex, MemberId } from './types.ts';

/** Tries every index from the top: committed is the highest that more than half of each half has. */
function naiveCommitted(
  halves: readonly (readonly MemberId[])[],
  match: ReadonlyMap<MemberId, number>,
): number {
  for (let index = 20; index > 0; index--) {
    const agrees = halves.every(
      (voters) =>
        voters.length === 0 ||
        voters.filter((id) => (match.get(id) ?? 0) >= index).length * 2 > voters.length,
    );
    if (agrees) return index;
  }
  return 0;
}

/** Tries every way in which the open votes may fall. */
function naiveOutcome(
  halves: readonly (readonly MemberId[])[],
  votes: ReadonlyMap<MemberId, boolean>,
): string {
  const open = [...new Set(halves.flat())].filter((id) => !votes.has(id));
  const outcomes = new Set<boolean>();
  for (let mask = 0; mask < 1 << open.length; mask++) {
    const all = new Map(votes);
    for (const [bit, id] of open.entries()) all.set(id, (mask & (1 << bit)) !== 0);
    outcomes.add(
      halves.every(
        (voters) => voters.length === 0 || voters.filter((id) => all.get(id)).length * 2 > voters.length,
      ),
    );
  }
  if (outcomes.size === 2) return 'pending';
  return outcomes.has(true) ? 'won' : 'lost';
}

test('quorums agree with a naive twin on random configurations', () => {
  const random = new SeededRandom(7);
  for (let round = 0; round < 20_000; round++) {
    const pick = (count: number): MemberId[] => [
      ...new Set(Array.from({ length: count }, () => BigInt(1 + random.integer(7)) as MemberId)),
    ];
    const voters = pick(1 + random.integer(6));
    const outgoing = random.chance(0.5) ? pick(random.integer(6)) : [];
    const config = { ...emptyConfig, voters, outgoing };
    const match = new Map<MemberId, number>();
    const votes = new Map<MemberId, boolean>();
    for (const id of [...voters, ...outgoing]) {
      if (random.chance(0.8)) match.set(id, random.integer(20));
      if (random.chance(0.6)) votes.set(id, random.chance(0.5));
    }
    const label = `round ${round}`;
    assert.equal(
      committedIndex(config, (id) => (match.get(id) ?? 0) as LogIndex),
      naiveCommitted([voters, outgoing], match),
      label,
    );
    const wanted = naiveOutcome([voters, outgoing], votes);
    const actual = voteOutcome(config, votes);
    // A joint ballot may already be lost for sure while one half is still open; never the other way round.
    if (actual !== wanted)
      assert.ok(outgoing.length > 0 && actual === 'pending', `${label}: ${actual}, want ${wanted}`);
  }
});
