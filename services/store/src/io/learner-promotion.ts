import type { Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { hexId, StoreError } from '../core/index.ts';
import { localLeaderCalls } from './rpc/leader-calls.ts';
import type { StoreService } from './rpc/store-service.ts';

const promotionCheckMs = 1000;

/**
 * Makes learners voters as soon as they have caught up (feature gate LearnerAutoPromotion, an addition of our own): the leader
 * looks once a second, under the same conditions as `member promote`.
 */
export function promoteLearners(service: StoreService): Timer {
  const { clock, logger } = service.options;
  const leader = localLeaderCalls(service);
  let isBusy = false;
  const look = async (): Promise<void> => {
    for (const member of service.machine.members.list()) {
      // One that has not told its name has not started.
      if (!member.isLearner || member.name === '') continue;
      try {
        await leader.promote(member.id);
        logger.info('promoted a learner that has caught up', { 'member-id': hexId(member.id) });
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'learnerNotReady')
          logger.debug('failed to promote a learner', { error: errorMessage(error) });
      }
    }
  };
  return clock.setInterval(() => {
    if (isBusy || !service.isLeader) return;
    isBusy = true;
    void look().finally(() => (isBusy = false));
  }, promotionCheckMs);
}
