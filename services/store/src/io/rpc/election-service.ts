import { etcdserverpb, v3electionpb, type mvccpb } from '@pilothouse/proto';
import { grpcStatus } from '../../core/index.ts';
import { Concurrency, prefixEnd } from './concurrency.ts';
import { GrpcError, type GrpcServer } from './grpc-server.ts';

const {
  Compare_CompareTarget: Target,
  RangeRequest_SortOrder: Order,
  RangeRequest_SortTarget: By,
} = etcdserverpb;

const missingLeader = (): GrpcError => new GrpcError(grpcStatus.unknown, '"leader" field must be provided');
const notLeader = (): GrpcError => new GrpcError(grpcStatus.unknown, 'election: not leader');

/** Registers v3electionpb.Election: the contender whose key is oldest leads; its value is what it proclaims. */
export function registerElection(server: GrpcServer): void {
  const { ElectionService } = v3electionpb;

  server.unary(ElectionService.Campaign, async (request, call) => {
    const work = new Concurrency(server, call);
    const contender = await work.contender(request.name, request.lease);
    const { kv, isNew } = await work.enter(contender, request.value);
    try {
      if (!isNew && Buffer.compare(kv.value, request.value) !== 0)
        await proclaim(work, kv, request.value, contender.lease);
      await work.waitForFirst(contender.prefix, kv.createRevision);
    } catch (error) {
      await resign(work, contender.key, kv.createRevision).catch(() => {});
      throw error;
    }
    const { header } = await work.range({ key: contender.key });
    return {
      header,
      leader: { name: request.name, key: contender.key, rev: kv.createRevision, lease: contender.lease },
    };
  });

  server.unary(ElectionService.Proclaim, async ({ leader, value }, call) => {
    if (leader === undefined) throw missingLeader();
    const kv = { key: leader.key, createRevision: leader.rev };
    return { header: await proclaim(new Concurrency(server, call), kv, value, leader.lease) };
  });

  server.unary(ElectionService.Resign, async ({ leader }, call) => {
    if (leader === undefined) throw missingLeader();
    return { header: await resign(new Concurrency(server, call), leader.key, leader.rev) };
  });

  server.unary(ElectionService.Leader, async (request, call) => {
    const { header, kvs } = await first(new Concurrency(server, call), request.name);
    if (kvs[0] === undefined) throw new GrpcError(grpcStatus.unknown, 'election: no leader');
    return { header, kv: kvs[0] };
  });

  server.serverStream(ElectionService.Observe, async (request, call) => {
    const work = new Concurrency(server, call);
    const prefix = Buffer.concat([request.name, Buffer.from('/')]);
    while (!call.isCancelled) {
      const { header, kvs } = await first(work, request.name);
      const next = (header?.revision ?? 0) + 1;
      const [leader] = kvs;
      if (leader === undefined) {
        // Nobody leads: look again at the next change below the name.
        await work.watch({ key: prefix, rangeEnd: prefixEnd(prefix), startRevision: next }, () => true);
        continue;
      }
      call.write({ header, kv: leader });
      await work.watch({ key: leader.key, startRevision: next }, ({ type, kv }) => {
        if (type !== 0 || kv === undefined) return true;
        call.write({ header: { ...header, revision: kv.modRevision }, kv });
        return false;
      });
    }
  });
}

function first(work: Concurrency, name: Uint8Array): Promise<etcdserverpb.RangeResponse> {
  const key = Buffer.concat([name, Buffer.from('/')]);
  return work.range({
    key,
    rangeEnd: prefixEnd(key),
    sortOrder: Order.ASCEND,
    sortTarget: By.CREATE,
    limit: 1,
  });
}

async function proclaim(
  work: Concurrency,
  { key, createRevision }: Pick<mvccpb.KeyValue, 'key' | 'createRevision'>,
  value: Uint8Array,
  lease: bigint,
): Promise<etcdserverpb.ResponseHeader | undefined> {
  const { succeeded, header } = await work.txn({
    compare: [{ key, target: Target.CREATE, createRevision }],
    success: [{ requestPut: { key, value, lease } }],
  });
  if (!succeeded) throw notLeader();
  return header;
}

/** Someone else's key at that place is left alone. */
async function resign(
  work: Concurrency,
  key: Uint8Array,
  createRevision: number,
): Promise<etcdserverpb.ResponseHeader | undefined> {
  const { header } = await work.txn({
    compare: [{ key, target: Target.CREATE, createRevision }],
    success: [{ requestDeleteRange: { key } }],
  });
  return header;
}
