import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { etcdserverpb, healthpb } from '@pilothouse/proto';
import type { ConformanceCase } from './conformance.ts';
import { bytes, createWatch, end, eventText, put, text } from './conformance.ts';

const { KVService, WatchService, LeaseService, ClusterService, MaintenanceService } = etcdserverpb;

/** Leases, members and maintenance. */
export const clusterConformance: readonly ConformanceCase[] = [
  {
    name: 'leases: grant, keep alive, time to live, attachment, revocation, expiry',
    async run(client) {
      const p = client.prefix();
      const { ID, TTL } = await client.ok(LeaseService.LeaseGrant, { TTL: 100 });
      assert.ok(ID > 0n);
      assert.equal(TTL, 100);
      await client.fails(LeaseService.LeaseGrant, { ID, TTL: 5 }, 9, 'etcdserver: lease already exists');
      await client.fails(
        LeaseService.LeaseGrant,
        { TTL: 9_000_000_001 },
        11,
        'etcdserver: too large lease TTL',
      );
      await client.fails(LeaseService.LeaseRevoke, { ID: 4242n }, 5, 'etcdserver: requested lease not found');
      await put(client, `${p}a`, '', ID);
      await put(client, `${p}b`, '', ID);
      await put(client, `${p}b`, '');
      const alive = await client.ok(LeaseService.LeaseTimeToLive, { ID, keys: true });
      assert.deepEqual(
        [alive.grantedTTL, alive.keys.map((key) => text(key).slice(p.length)).join()],
        [100, 'a'],
      );
      assert.ok(alive.TTL > 90 && alive.TTL <= 100);
      const unknown = await client.ok(LeaseService.LeaseTimeToLive, { ID: 4242n });
      assert.deepEqual([unknown.TTL, unknown.grantedTTL], [-1, 0]);
      assert.ok((await client.ok(LeaseService.LeaseLeases, {})).leases.some((lease) => lease.ID === ID));
      const stream = client.bidi(LeaseService.LeaseKeepAlive);
      stream.send({ ID });
      assert.equal((await stream.next()).TTL, 100);
      stream.send({ ID: 4242n });
      const lost = await stream.next();
      assert.deepEqual([lost.ID, lost.TTL], [4242n, 0]);
      stream.close();
      const before = (await client.ok(KVService.Range, { key: bytes(p) })).header?.revision as number;
      const revoked = await client.ok(LeaseService.LeaseRevoke, { ID });
      assert.equal(revoked.header?.revision, before + 1);
      assert.equal((await client.ok(KVService.Range, { key: bytes(p), rangeEnd: end(p) })).count, 1);
      const short = await client.ok(LeaseService.LeaseGrant, { TTL: 1 });
      assert.ok(short.TTL >= 1);
      await put(client, `${p}short`, '', short.ID);
      const watch = client.bidi(WatchService.Watch);
      await createWatch(watch, { key: bytes(`${p}short`) });
      const [gone] = (await watch.next(8000)).events;
      assert.equal(gone && eventText(p, gone), 'DELETE short=');
      watch.close();
    },
  },
  {
    name: 'cluster and maintenance: members, status, alarms, snapshot, leadership',
    async run(client) {
      const { members, header } = await client.ok(ClusterService.MemberList, { linearizable: true });
      assert.ok(members.length > 0);
      const self = members.find((member) => member.ID === header?.memberId);
      assert.ok(self !== undefined && self.name !== '' && self.clientURLs.length > 0);
      await client.fails(
        ClusterService.MemberAdd,
        { peerURLs: self.peerURLs },
        9,
        'etcdserver: Peer URLs already exists',
      );
      await client.fails(ClusterService.MemberRemove, { ID: 12345n }, 5, 'etcdserver: member not found');
      await client.fails(
        ClusterService.MemberUpdate,
        { ID: 12345n, peerURLs: ['http://127.0.0.1:1'] },
        5,
        'etcdserver: member not found',
      );
      const status = await client.ok(MaintenanceService.Status, {});
      // etcd 3.5 only times out.
      if (!/^3\.[0-5]\./.test(status.version))
        await client.fails(ClusterService.MemberPromote, { ID: 12345n }, 5, 'etcdserver: member not found');
      assert.match(status.version, /^3\.\d+\.\d+$/);
      assert.ok(
        status.leader !== 0n &&
          status.raftIndex > 0 &&
          status.raftTerm > 0 &&
          status.raftAppliedIndex > 0 &&
          status.dbSize > 0,
      );
      await client.fails(
        MaintenanceService.MoveLeader,
        { targetID: 12345n },
        9,
        status.leader === header?.memberId ? 'etcdserver: bad leader transferee' : 'etcdserver: not leader',
      );
      const alarm = { memberID: header?.memberId ?? 0n, alarm: etcdserverpb.AlarmType.NOSPACE };
      assert.deepEqual((await client.ok(MaintenanceService.Alarm, { action: 1, ...alarm })).alarms, [alarm]);
      await client.fails(
        KVService.Put,
        { key: bytes('full') },
        8,
        'etcdserver: mvcc: database space exceeded',
      );
      await client.fails(LeaseService.LeaseGrant, { TTL: 5 }, 8, 'etcdserver: mvcc: database space exceeded');
      await client.ok(KVService.DeleteRange, { key: bytes('full') });
      assert.deepEqual((await client.ok(MaintenanceService.Alarm, { action: 0 })).alarms, [alarm]);
      await client.ok(MaintenanceService.Alarm, { action: 2, ...alarm });
      assert.deepEqual((await client.ok(MaintenanceService.Alarm, { action: 0 })).alarms, []);
      await client.ok(KVService.Put, { key: bytes('full') });
      const messages = await client.serverStream(MaintenanceService.Snapshot, {});
      const digest = createHash('sha256');
      for (const { blob } of messages.slice(0, -1)) digest.update(blob);
      assert.equal(Buffer.from(messages.at(-1)?.blob ?? []).toString('hex'), digest.digest('hex'));
      assert.equal(messages.slice(0, -1).reduce((sum, { blob }) => sum + blob.length, 0) % 512, 0);
      assert.ok(messages.every(({ blob }) => blob.length <= 32 * 1024));
      await client.ok(MaintenanceService.Hash, {});
      await client.ok(MaintenanceService.Defragment, {});
      assert.equal((await client.ok(healthpb.HealthService.Check, {})).status, 1);
    },
  },
];
