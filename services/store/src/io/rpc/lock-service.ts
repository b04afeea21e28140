import { v3lockpb } from '@pilothouse/proto';
import { Concurrency } from './concurrency.ts';
import { GrpcError, type GrpcServer } from './grpc-server.ts';
import { grpcStatus } from '../../core/index.ts';

const nothing = new Uint8Array(0);

/** Registers v3lockpb.Lock: mutual exclusion by name. The lock is held while its key exists, at most as long as the lease. */
export function registerLock(server: GrpcServer): void {
  const { LockService } = v3lockpb;

  server.unary(LockService.Lock, async (request, call) => {
    const work = new Concurrency(server, call);
    const contender = await work.contender(request.name, request.lease);
    const { kv, isNew } = await work.enter(contender, nothing);
    try {
      await work.waitForFirst(contender.prefix, kv.createRevision);
    } catch (error) {
      // A caller that gave up waiting must not get the lock later.
      if (isNew) await work.delete(contender.key).catch(() => {});
      throw error;
    }
    const { kvs, header } = await work.range({ key: contender.key });
    if (kvs.length === 0) throw new GrpcError(grpcStatus.unknown, 'mutex: session is expired');
    return { header, key: contender.key };
  });

  server.unary(LockService.Unlock, async (request, call) => {
    const { header } = await new Concurrency(server, call).delete(request.key);
    return { header };
  });
}
