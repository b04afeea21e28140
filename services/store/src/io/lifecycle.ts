import type { Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { StoreConfig } from '../config.ts';
import { hexId } from '../core/index.ts';
import type { MemberId } from '../core/replication.ts';
import type { StoreService } from './rpc/store-service.ts';

/** Tells the cluster this member's name and client URLs; tries until it is known. */
export async function publish(
  service: StoreService,
  config: StoreConfig,
  isClosing: () => boolean,
): Promise<void> {
  const { clock, memberId, logger } = service.options;
  while (!isClosing()) {
    const known = service.machine.members.get(memberId);
    const isKnown =
      known?.name === config.name && known.clientUrls.join() === config.advertiseClientUrls.join();
    try {
      if (isKnown) await service.readBarrier();
      else {
        await service.propose({
          clusterMemberAttrSet: {
            memberID: memberId,
            memberAttributes: { name: config.name, clientUrls: config.advertiseClientUrls },
          },
        });
      }
      logger.info('published local member to cluster through raft', {
        'local-member-id': hexId(memberId),
        name: config.name,
      });
      return;
    } catch (error) {
      logger.debug('failed to publish the local member; will retry', { error: errorMessage(error) });
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, 100));
    }
  }
}

/** A leader that stops makes the most advanced voter lead first, so that clients wait less. */
export async function handOver(service: StoreService, logger: Logger): Promise<void> {
  const status = service.replication.status();
  if (status.role !== 'leader') return;
  let target: MemberId | undefined;
  let best = -1;
  for (const [id, match] of status.progress()) {
    if (id === status.id || service.machine.members.get(id)?.isLearner !== false || match <= best) continue;
    target = id;
    best = match;
  }
  if (target === undefined) return;
  logger.info('leadership transfer starting', {
    'local-member-id': hexId(status.id),
    'transferee-member-id': hexId(target),
  });
  const transferred = service.replication.transferLeadership(target).then(
    () => true,
    () => false,
  );
  const timeout = new Promise<boolean>(
    (resolve) => void service.options.clock.setTimeout(() => resolve(false), 1000),
  );
  logger.info(
    (await Promise.race([transferred, timeout]))
      ? 'leadership transfer finished'
      : 'leadership transfer did not finish in time',
  );
}
