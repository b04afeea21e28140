import type { SeededRandom } from '@pilothouse/testkit';
import type { Cluster } from '../cluster/cluster.ts';
import type { Member } from '../cluster/member.ts';
import type { Capability, Sandbox } from '../sandbox/sandbox.ts';

export interface FaultContext {
  readonly sandbox: Sandbox;
  readonly cluster: Cluster;
  readonly random: SeededRandom;
  readonly note: (text: string) => void;
  /** Takes down what really happened so far and returns its last revision, so that it may be compacted. */
  readonly saveTruth: () => Promise<number>;
  /** Something that must hold did not. */
  readonly violated: (check: string, text: string) => void;
  /** Revisions up to this were compacted. */
  readonly compacted: (revision: number) => void;
}

/** Makes trouble, waits while it lasts, and ends it. */
export interface Fault {
  readonly name: string;
  readonly needs: readonly Capability[];
  /** What it tells of the target: left out where the target is known not to have it. */
  readonly unless?: 'clock' | 'stateChecksum';
  readonly strike: (context: FaultContext) => Promise<void>;
}

/** The leader, or by chance (or without one) any member that runs. */
export async function victim(context: FaultContext, leaderChance = 0.6): Promise<Member> {
  const leader = await context.cluster.leader();
  const { random, cluster } = context;
  if (leader && random.chance(leaderChance)) return leader;
  return random.pick(cluster.running);
}
