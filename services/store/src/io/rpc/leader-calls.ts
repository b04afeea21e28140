import { errorMessage } from '@pilothouse/base';
import { StoreError, storeErrors, type StoreErrorCode } from '../../core/index.ts';
import type { MemberId } from '../../core/replication.ts';
import type { StoreService } from './store-service.ts';

/**
 * What only the leader can answer, because it alone counts lease time and follows the other members' progress. Members ask
 * it over HTTP on the peer port; arguments and answers are small JSON objects with 64-bit IDs in hex.
 */
export interface LeaderCalls {
  /** Starts the TTL anew; gives it in seconds, 0 for a lease that is gone. */
  keepAlive(id: bigint): Promise<number>;
  /** Whole seconds that are left; undefined for a lease that is gone. */
  remainingSeconds(id: bigint): Promise<number | undefined>;
  promote(id: MemberId): Promise<void>;
}

/** Sends a request to a peer's HTTP side; rejects when there is no 200 in time (default 2 s). */
export type PeerPost = (url: string, body: string, timeoutMs?: number) => Promise<string>;

/** The calls, answered here when this member leads. Throws `notLeader` otherwise. */
export function localLeaderCalls(service: StoreService): LeaderCalls {
  const { machine, options } = service;
  const mustLead = async (): Promise<void> => {
    const { term } = service.replication.status();
    if (!service.isLeader || !machine.lessor.isPrimary) throw new StoreError('notLeader');
    // A deposed leader that has not noticed must not promise anything; nor one that noticed only now, while another one confirmed the round.
    await service.readBarrier();
    if (!service.isLeader || !machine.lessor.isPrimary || service.replication.status().term !== term)
      throw new StoreError('notLeader');
  };
  const promote = async (id: MemberId): Promise<void> => {
    await mustLead();
    const member = machine.members.get(id);
    if (member === undefined) throw new StoreError('memberNotFound');
    if (!member.isLearner) throw new StoreError('memberNotLearner');
    const { progress, commitIndex } = service.replication.status();
    if ((progress().get(id) ?? 0) < commitIndex * 0.9) throw new StoreError('learnerNotReady');
    await service.consensus(service.replication.changeMembership({ kind: 'promote', id }));
  };
  return {
    async keepAlive(id) {
      await mustLead();
      // A leader that comes after this one must not go on from where the lease was before its renewal.
      for (;;) {
        const count = machine.lessor.checkpointsToTakeBack(id);
        if (count === undefined) break;
        const { term } = service.replication.status();
        await service.propose({ leaseCheckpoint: { checkpoints: [{ ID: id, remainingTTL: 0 }] } });
        await mustLead();
        if (service.replication.status().term !== term) continue;
        machine.lessor.checkpointsTakenBack(id, count);
      }
      return machine.lessor.renew(id, options.clock.monotonic()) ?? 0;
    },
    async remainingSeconds(id) {
      await mustLead();
      return machine.lessor.remainingSeconds(id, options.clock.monotonic());
    },
    async promote(id) {
      try {
        await promote(id);
        options.metrics?.learnersPromoted.inc();
      } catch (error) {
        if (error instanceof StoreError) options.metrics?.learnersNotPromoted.inc({ Reason: error.message });
        throw error;
      }
    },
  };
}

/** The calls, answered here or by the leader. */
export function forwardingLeaderCalls(service: StoreService, post: PeerPost): LeaderCalls {
  const local = localLeaderCalls(service);
  const forward = async (call: string, id: bigint): Promise<Record<string, unknown>> => {
    const { leader } = service.replication.status();
    if (leader === undefined) throw new StoreError('noLeader');
    let failure: unknown;
    for (const url of service.machine.members.get(leader)?.peerUrls ?? []) {
      try {
        const answer = JSON.parse(
          await post(`${url}/leader/${call}`, JSON.stringify({ id: id.toString(16) })),
        ) as Record<string, unknown>;
        const code = answer['error'];
        if (typeof code === 'string')
          throw new StoreError(code in storeErrors ? (code as StoreErrorCode) : 'leaderChanged');
        return answer;
      } catch (error) {
        if (error instanceof StoreError) throw error;
        failure = error;
      }
    }
    service.options.logger.debug('failed to reach the leader', { error: errorMessage(failure) });
    throw new StoreError('timeoutConnectionLost');
  };
  return {
    keepAlive: async (id) =>
      service.isLeader ? local.keepAlive(id) : ((await forward('keep-alive', id))['ttl'] as number),
    remainingSeconds: async (id) =>
      service.isLeader
        ? local.remainingSeconds(id)
        : ((await forward('remaining', id))['ttl'] as number | undefined),
    async promote(id) {
      if (service.isLeader) await local.promote(id);
      else await forward('promote', id);
    },
  };
}

/** Answers `POST /leader/…`; undefined for another path. */
export async function answerLeaderCall(
  service: StoreService,
  path: string,
  body: string,
): Promise<string | undefined> {
  const call = /^\/leader\/(keep-alive|remaining|promote)$/.exec(path)?.[1];
  if (call === undefined) return undefined;
  const local = localLeaderCalls(service);
  try {
    const id = BigInt(`0x${(JSON.parse(body) as { id: string }).id}`);
    if (call === 'promote') {
      await local.promote(id as MemberId);
      return '{}';
    }
    return JSON.stringify({
      ttl: call === 'keep-alive' ? await local.keepAlive(id) : await local.remainingSeconds(id),
    });
  } catch (error) {
    return JSON.stringify({ error: error instanceof StoreError ? error.code : 'leaderChanged' });
  }
}
