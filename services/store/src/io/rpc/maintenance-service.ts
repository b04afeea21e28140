import { createHash } from 'node:crypto';
import { etcdserverpb, healthpb, type MessageInput } from '@pilothouse/proto';
import { grpcStatus, hexId, StoreError } from '../../core/index.ts';
import type { MemberId } from '../../core/replication.ts';
import type { Backup } from '../backup/backup.ts';
import { GrpcError, type GrpcServer } from './grpc-server.ts';
import { versions, type StoreService } from './store-service.ts';

export interface MaintenanceOptions {
  /** The state as one file that restore tools read. */
  readonly backup: () => Promise<Backup>;
}

const blobBytes = 32 * 1024;
const pageBytes = 4096;

/** Registers etcdserverpb.Maintenance and grpc.health.v1.Health. */
export function registerMaintenance(
  server: GrpcServer,
  service: StoreService,
  maintenance: MaintenanceOptions,
): void {
  const { machine, options } = service;
  const { MaintenanceService, AlarmType } = etcdserverpb;

  server.unary(MaintenanceService.Status, (_request, call) => {
    machine.auth.checkLoggedIn(service.authInfo(call));
    const status = service.replication.status();
    const errors: string[] = status.leader === undefined ? ['etcdserver: no leader'] : [];
    for (const { memberId, type } of machine.alarms) {
      const name = Object.entries(AlarmType).find(([, value]) => value === type)?.[0] ?? String(type);
      errors.push(`memberID:${BigInt.asUintN(64, memberId)} alarm:${name} `);
    }
    const target = machine.downgradeTarget;
    return {
      header: service.header(),
      version: versions.server,
      dbSize: Math.max(machine.backend.sizeAllocated(), machine.store.liveBytes),
      // An empty store has its own records all the same; tools take 0 for "not told".
      dbSizeInUse: Math.max(machine.store.liveBytes, pageBytes),
      leader: status.leader ?? 0n,
      raftIndex: status.commitIndex,
      raftTerm: status.term,
      raftAppliedIndex: status.appliedIndex,
      errors,
      isLearner: status.role === 'learner',
      storageVersion: machine.clusterVersion ?? versions.storage,
      dbSizeQuota: options.quotaBytes,
      downgradeInfo: { enabled: target !== undefined, targetVersion: target ?? '' },
    };
  });

  server.unary(MaintenanceService.Alarm, async (request, call) => {
    const info = service.authInfo(call);
    if (request.action === 0) machine.auth.checkLoggedIn(info);
    else machine.auth.checkAdmin(info);
    service.checkNotLearner();
    return service.withHeader(
      await service.propose<MessageInput<etcdserverpb.AlarmResponse>>({ alarm: request }),
    );
  });

  server.unary(MaintenanceService.Defragment, async (_request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    options.logger.info('starting defragment');
    options.metrics?.defragmenting(1);
    try {
      await service.measured('defragment', () => machine.backend.defragment());
    } finally {
      options.metrics?.defragmenting(-1);
    }
    options.logger.info('finished defragment');
    return {};
  });

  server.unary(MaintenanceService.Hash, async (_request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    const { hash } = await service.measured('hash', () => machine.store.hash(0));
    return { header: service.header(), hash };
  });

  server.unary(MaintenanceService.HashKV, async (request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    service.checkNotLearner();
    if (request.revision === 0) await service.readBarrier();
    const { hash, compactRevision, hashRevision } = await service.measured('hashRevision', () =>
      machine.store.hash(request.revision),
    );
    return { header: service.header(), hash, compactRevision, hashRevision };
  });

  server.serverStream(MaintenanceService.Snapshot, async (_request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    const began = options.clock.monotonic();
    const backup = await maintenance.backup();
    try {
      const digest = createHash('sha256');
      let wake = (): void => {};
      call.onDrain(() => wake());
      call.onClose(() => wake());
      let remaining = backup.size;
      for (const chunk of backup.chunks) {
        for (let offset = 0; offset < chunk.length; offset += blobBytes) {
          const blob = chunk.subarray(offset, Math.min(chunk.length, offset + blobBytes));
          digest.update(blob);
          remaining -= blob.length;
          const piece = { remainingBytes: remaining, blob, version: versions.storage };
          const hasRoom = call.write({ header: service.header(), ...piece });
          if (call.isCancelled) return;
          if (!hasRoom) await new Promise<void>((resolve) => (wake = resolve));
          if (call.isCancelled) return;
        }
      }
      call.write({
        header: service.header(),
        remainingBytes: 0,
        blob: digest.digest(),
        version: versions.storage,
      });
      options.metrics?.observe('snapshot', options.clock.monotonic() - began);
    } finally {
      backup.release();
    }
  });

  server.unary(MaintenanceService.MoveLeader, async (request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    service.checkNotLearner();
    if (!service.isLeader) throw new StoreError('notLeader');
    const target = machine.members.get(request.targetID as MemberId);
    if (target === undefined || target.isLearner) throw new StoreError('badLeaderTransferee');
    await service.consensus(service.replication.transferLeadership(target.id));
    options.logger.info('leadership moved', { to: hexId(target.id) });
    return { header: service.header() };
  });

  server.unary(MaintenanceService.Downgrade, async (request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    service.checkNotLearner();
    const { DowngradeRequest_DowngradeAction: Action } = etcdserverpb;
    const version = (machine.clusterVersion ?? versions.cluster).split('.').slice(0, 2).join('.');
    if (request.action === Action.CANCEL) {
      await service.propose({ downgradeInfoSet: { enabled: false } });
      return { header: service.header(), version };
    }
    const target = /^v?(\d+)\.(\d+)(?:\.(\d+))?$/.exec(request.version);
    if (target === null) throw new StoreError('wrongDowngradeVersionFormat');
    await service.readBarrier();
    if (machine.clusterVersion === undefined) throw new StoreError('clusterVersionUnavailable');
    const [major, minor] = machine.clusterVersion.split('.').map(Number) as [number, number];
    if (Number(target[1]) !== major || Number(target[2]) !== minor - 1)
      throw new StoreError('invalidDowngradeTargetVersion');
    if (machine.downgradeTarget !== undefined) throw new StoreError('downgradeInProcess');
    if (request.action === Action.ENABLE) {
      await service.propose({ downgradeInfoSet: { enabled: true, ver: `${target[1]}.${target[2]}.0` } });
    }
    return { header: service.header(), version };
  });

  server.unary(healthpb.HealthService.Check, (request) => {
    if (request.service !== '') throw new GrpcError(grpcStatus.notFound, 'unknown service');
    return { status: healthpb.HealthCheckResponse_ServingStatus.SERVING };
  });
  server.serverStream(healthpb.HealthService.Watch, async (request, call) => {
    const { SERVING, SERVICE_UNKNOWN } = healthpb.HealthCheckResponse_ServingStatus;
    call.write({ status: request.service === '' ? SERVING : SERVICE_UNKNOWN });
    await new Promise<void>((resolve) => call.onClose(resolve));
  });
}
