import type { RaftNode } from '@pilothouse/raft';
import type { MemberId } from '../replication.ts';

/** Leader only: the voter that can take over fastest, if there is any other. */
export function bestTransferee(raft: RaftNode): MemberId | undefined {
  let best: MemberId | undefined;
  let bestMatch = -1;
  for (const [id, progress] of raft.progress) {
    if (id === raft.id || !raft.config.voters.includes(id) || progress.state !== 'replicate') continue;
    if (progress.match > bestMatch) {
      best = id;
      bestMatch = progress.match;
    }
  }
  return best;
}

/** Leader only: a voter whose disk holds more of the log than the leader's own, so that it can be faster. */
export function fasterVoter(raft: RaftNode): MemberId | undefined {
  const best = bestTransferee(raft);
  if (best === undefined) return undefined;
  return (raft.progress.get(best)?.match ?? 0) > (raft.progress.get(raft.id)?.match ?? 0) ? best : undefined;
}
