import { etcdserverpb, type MessageInput } from '@pilothouse/proto';
import { StoreError } from '../../core/index.ts';
import { limits } from '../../core/limits.ts';
import type { GrpcServer } from './grpc-server.ts';
import type { LeaderCalls } from './leader-calls.ts';
import type { StoreService } from './store-service.ts';

/** Registers etcdserverpb.Lease. */
export function registerLease(server: GrpcServer, service: StoreService, leader: LeaderCalls): void {
  const { machine } = service;
  const { LeaseService } = etcdserverpb;

  server.unary(LeaseService.LeaseGrant, async (request, call) => {
    machine.auth.checkLoggedIn(service.authInfo(call));
    service.checkNotLearner();
    service.checkHealthy();
    if (request.TTL > limits.leaseTtlSecondsMax) throw new StoreError('leaseTtlTooLarge');
    await service.reserve(limits.leaseOverheadBytes);
    let id = request.ID;
    while (id === 0n) {
      const candidate = service.randomId();
      if (!machine.lessor.exists(candidate)) id = candidate;
    }
    const reply = await service.propose<MessageInput<etcdserverpb.LeaseGrantResponse>>({
      leaseGrant: { ID: id, TTL: request.TTL },
    });
    return service.withHeader(reply);
  });

  server.unary(LeaseService.LeaseRevoke, async (request, call) => {
    service.checkNotLearner();
    service.checkHealthy();
    return service.withHeader(
      await service.propose<MessageInput<etcdserverpb.LeaseRevokeResponse>>(
        { leaseRevoke: { ID: request.ID } },
        service.caller(call),
      ),
    );
  });

  server.bidi(LeaseService.LeaseKeepAlive, (call) => {
    let chain = Promise.resolve();
    let isHalfClosed = false;
    call.onHalfClose(() => {
      isHalfClosed = true;
      void chain.then(() => {
        if (isHalfClosed) call.end();
      });
    });
    call.onMessage(({ ID }) => {
      chain = chain
        .then(async () => {
          const ttl = await renew(service, leader, ID);
          call.write({ header: service.header(), ID, TTL: ttl });
        })
        .catch((error: unknown) => call.end(error));
    });
  });

  server.unary(LeaseService.LeaseTimeToLive, async (request, call) => {
    service.checkNotLearner();
    await service.readBarrier();
    const info = service.authInfo(call);
    machine.auth.checkLoggedIn(info);
    if (request.keys) machine.auth.checkKeys(info, machine.leaseKeys(request.ID) ?? [], 'read');
    const lease = machine.lessor.get(request.ID);
    if (lease === undefined) return { header: service.header(), ID: request.ID, TTL: -1 };
    const remaining = await leader.remainingSeconds(request.ID);
    if (remaining === undefined) return { header: service.header(), ID: request.ID, TTL: -1 };
    return {
      header: service.header(),
      ID: request.ID,
      TTL: remaining,
      grantedTTL: lease.ttlSeconds,
      keys: request.keys ? (machine.leaseKeys(request.ID) ?? []) : [],
    };
  });

  server.unary(LeaseService.LeaseLeases, async (_request, call) => {
    service.checkNotLearner();
    machine.auth.checkLoggedIn(service.authInfo(call));
    await service.readBarrier();
    return { header: service.header(), leases: machine.lessor.ids().map((ID) => ({ ID })) };
  });
}

/** How often a renewal looks for the leader again when leadership moves under it. */
const renewTries = 5;

/**
 * Starts a lease's TTL anew and gives it in seconds, 0 for a lease that is gone. Only the leader counts the time, so only its own word
 * is passed on.
 */
async function renew(service: StoreService, leader: LeaderCalls, id: bigint): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await leader.keepAlive(id);
    } catch (error) {
      if (attempt === renewTries) throw error;
      // Waits until there is a leader that is up to date with this member.
      await service.readBarrier();
      if (!service.machine.lessor.exists(id)) return 0;
    }
  }
}
