import type { ConfigState, LogIndex, MemberId } from './types.ts';

export type VoteOutcome = 'won' | 'lost' | 'pending';

/** The highest index that a majority of `voters` has reached. An empty half of a joint configuration agrees to everything. */
export function majorityIndex(voters: readonly MemberId[], matchOf: (id: MemberId) => LogIndex): number {
  if (voters.length === 0) return Number.MAX_SAFE_INTEGER;
  const matches = voters.map(matchOf).sort((a, b) => b - a);
  return matches[voters.length >> 1] as LogIndex;
}

/** What is committed under `config`: both halves of a joint configuration must agree. */
export function committedIndex(config: ConfigState, matchOf: (id: MemberId) => LogIndex): LogIndex {
  return Math.min(majorityIndex(config.voters, matchOf), majorityIndex(config.outgoing, matchOf)) as LogIndex;
}

function majorityOutcome(voters: readonly MemberId[], votes: ReadonlyMap<MemberId, boolean>): VoteOutcome {
  if (voters.length === 0) return 'won';
  const needed = (voters.length >> 1) + 1;
  let granted = 0;
  let open = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) open++;
    else if (vote) granted++;
  }
  if (granted >= needed) return 'won';
  return granted + open >= needed ? 'pending' : 'lost';
}

/** Result of a ballot: lost as soon as one half cannot win any more. */
export function voteOutcome(config: ConfigState, votes: ReadonlyMap<MemberId, boolean>): VoteOutcome {
  const incoming = majorityOutcome(config.voters, votes);
  const outgoing = majorityOutcome(config.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending';
}

/** Every voter of either half, each once. */
export function allVoters(config: ConfigState): MemberId[] {
  if (config.outgoing.length === 0) return [...config.voters];
  return [...new Set([...config.voters, ...config.outgoing])];
}
