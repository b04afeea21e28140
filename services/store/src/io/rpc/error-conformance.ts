import assert from 'node:assert/strict';
import { etcdserverpb } from '@pilothouse/proto';
import type { ConformanceCase } from './conformance.ts';
import { bytes } from './conformance.ts';

const { KVService, AuthService, ClusterService, LeaseService, MaintenanceService, WatchService } =
  etcdserverpb;

/** Refusals of the other services: gRPC code and text. */
export const errorConformance: readonly ConformanceCase[] = [
  {
    name: 'errors of users, roles and logins',
    async run(client) {
      const p = client.prefix();
      const name = `${p}user`;
      const role = `${p}role`;
      const a = AuthService;
      await client.fails(
        a.Authenticate,
        { name: 'x', password: 'y' },
        9,
        'etcdserver: authentication is not enabled',
      );
      await client.fails(a.AuthEnable, {}, 9, 'etcdserver: root user does not exist');
      await client.fails(a.UserAdd, { password: 'x' }, 3, 'etcdserver: user name is empty');
      await client.ok(a.UserAdd, { name, password: 'x' });
      await client.fails(a.UserAdd, { name, password: 'x' }, 9, 'etcdserver: user name already exists');
      await client.fails(a.UserGet, { name: 'nobody' }, 9, 'etcdserver: user name not found');
      await client.fails(a.UserDelete, { name: 'nobody' }, 9, 'etcdserver: user name not found');
      await client.fails(
        a.UserChangePassword,
        { name: 'nobody', password: 'x' },
        9,
        'etcdserver: user name not found',
      );
      await client.fails(a.UserGrantRole, { user: name, role }, 9, 'etcdserver: role name not found');
      await client.fails(a.UserGrantRole, { user: 'nobody', role }, 9, 'etcdserver: user name not found');
      await client.fails(a.UserRevokeRole, { name, role }, 9, 'etcdserver: role is not granted to the user');
      await client.fails(a.RoleAdd, {}, 3, 'etcdserver: role name is empty');
      await client.ok(a.RoleAdd, { name: role });
      await client.fails(a.RoleAdd, { name: role }, 9, 'etcdserver: role name already exists');
      await client.fails(a.RoleGet, { role: 'nothing' }, 9, 'etcdserver: role name not found');
      await client.fails(a.RoleDelete, { role: 'nothing' }, 9, 'etcdserver: role name not found');
      await client.fails(
        a.RoleGrantPermission,
        { name: 'nothing', perm: { key: bytes('k') } },
        9,
        'etcdserver: role name not found',
      );
      await client.fails(
        a.RoleRevokePermission,
        { role, key: bytes('k') },
        9,
        'etcdserver: permission is not granted to the role',
      );
      await client.ok(a.RoleDelete, { role });
      await client.ok(a.UserDelete, { name });
      await client.ok(a.UserAdd, { name: 'root', password: 'x' });
      await client.fails(a.AuthEnable, {}, 9, 'etcdserver: root user does not have root role');
      await client.ok(a.UserDelete, { name: 'root' });
    },
  },
  {
    name: 'authentication on: who may do what, and what tokens are worth',
    async run(client) {
      const p = client.prefix();
      const a = AuthService;
      const isOld = /^3\.[0-5]\./.test((await client.ok(MaintenanceService.Status, {})).version);
      await client.ok(a.UserAdd, { name: 'root', password: 'r' });
      await client.ok(a.UserGrantRole, { user: 'root', role: 'root' });
      await client.ok(a.RoleAdd, { name: 'own' });
      await client.ok(a.RoleGrantPermission, {
        name: 'own',
        perm: { permType: 2, key: bytes(`${p}a`), rangeEnd: bytes(`${p}c`) },
      });
      await client.ok(a.RoleGrantPermission, { name: 'own', perm: { permType: 0, key: bytes(`${p}r`) } });
      await client.ok(a.UserAdd, { name: 'alice', password: 'a' });
      await client.ok(a.UserGrantRole, { user: 'alice', role: 'own' });
      await client.ok(a.AuthEnable, {});
      const login = async (name: string, password: string): Promise<{ token: string }> => ({
        token: (await client.ok(a.Authenticate, { name, password })).token,
      });
      const root = await login('root', 'r');
      try {
        const alice = await login('alice', 'a');
        const denied = 'etcdserver: permission denied';
        await client.fails(
          a.Authenticate,
          { name: 'alice', password: 'b' },
          3,
          'etcdserver: authentication failed, invalid user ID or password',
        );
        await client.fails(
          a.Authenticate,
          { name: 'nobody', password: 'b' },
          3,
          'etcdserver: authentication failed, invalid user ID or password',
        );
        await client.fails(KVService.Put, { key: bytes(`${p}a`) }, 3, 'etcdserver: user name is empty');
        await client.fails(KVService.Range, { key: bytes(`${p}a`) }, 3, 'etcdserver: user name is empty');
        await client.fails(KVService.Put, { key: bytes(`${p}a`) }, 16, 'etcdserver: invalid auth token', {
          token: 'wrong.1',
        });
        await client.ok(KVService.Put, { key: bytes(`${p}a`) }, alice);
        await client.ok(KVService.Put, { key: bytes(`${p}a`) }, { authorization: alice.token });
        await client.fails(KVService.Put, { key: bytes(`${p}c`) }, 7, denied, alice);
        await client.fails(KVService.Put, { key: bytes(`${p}r`) }, 7, denied, alice);
        await client.ok(KVService.Range, { key: bytes(`${p}a`), rangeEnd: bytes(`${p}c`) }, alice);
        await client.fails(
          KVService.Range,
          { key: bytes(`${p}a`), rangeEnd: bytes(`${p}d`) },
          7,
          denied,
          alice,
        );
        await client.fails(
          KVService.DeleteRange,
          { key: bytes(`${p}a`), rangeEnd: bytes(`${p}d`) },
          7,
          denied,
          alice,
        );
        // Both branches count, also of a transaction within the one that is not taken.
        const inner = { requestTxn: { failure: [{ requestPut: { key: bytes(`${p}x`) } }] } };
        // etcd 3.5.1 looked at the outermost transaction only.
        if (!isOld)
          await client.fails(
            KVService.Txn,
            { success: [{ requestPut: { key: bytes(`${p}a`) } }], failure: [inner] },
            7,
            denied,
            alice,
          );
        const fine = {
          requestTxn: {
            failure: [{ requestPut: { key: bytes(`${p}b`) } }],
            success: [{ requestRange: { key: bytes(`${p}r`) } }],
          },
        };
        await client.ok(KVService.Txn, { success: [{ requestPut: { key: bytes(`${p}a`) } }, fine] }, alice);
        await client.fails(KVService.Txn, { compare: [{ key: bytes(`${p}x`) }] }, 7, denied, alice);
        await client.fails(a.UserList, {}, 7, denied, alice);
        await client.ok(a.UserGet, { name: 'alice' }, alice);
        await client.fails(a.UserGet, { name: 'root' }, 7, denied, alice);
        await client.fails(ClusterService.MemberAdd, { peerURLs: ['http://127.0.0.1:9'] }, 7, denied, alice);
        await client.fails(a.UserDelete, { name: 'root' }, 3, 'etcdserver: invalid auth management', root);
        await client.fails(
          a.UserRevokeRole,
          { name: 'root', role: 'root' },
          3,
          'etcdserver: invalid auth management',
          root,
        );
        const lease = (await client.ok(LeaseService.LeaseGrant, { TTL: 60 }, root)).ID;
        await client.ok(KVService.Put, { key: bytes(`${p}x`), lease }, root);
        await client.fails(KVService.Put, { key: bytes(`${p}a`), lease }, 7, denied, alice);
        await client.fails(LeaseService.LeaseRevoke, { ID: lease }, 7, denied, alice);
        await client.ok(a.UserChangePassword, { name: 'alice', password: 'b' }, root);
        await client.fails(
          KVService.Range,
          { key: bytes(`${p}a`) },
          16,
          'etcdserver: invalid auth token',
          alice,
        );
      } finally {
        await client.ok(a.AuthDisable, {}, root);
        await client.ok(a.UserDelete, { name: 'root' });
        await client.ok(a.UserDelete, { name: 'alice' });
        await client.ok(a.RoleDelete, { role: 'own' });
      }
    },
  },
  {
    name: 'errors of members, downgrades, and of a cluster that is called corrupt',
    async run(client) {
      await client.fails(
        ClusterService.MemberAdd,
        { peerURLs: ['nothing'] },
        3,
        'etcdserver: given member URLs are invalid',
      );
      const { header, members } = await client.ok(ClusterService.MemberList, {});
      const only = members[0]?.ID ?? 0n;
      if (members.length === 1) {
        await client.fails(
          ClusterService.MemberRemove,
          { ID: only },
          2,
          'etcdserver: re-configuration failed due to not enough started members',
        );
        await client.fails(
          ClusterService.MemberPromote,
          { ID: only },
          9,
          'etcdserver: can only promote a learner member',
        );
      }
      await client.fails(
        MaintenanceService.Downgrade,
        { action: 0, version: 'x' },
        3,
        'etcdserver: wrong downgrade target version format',
      );
      await client.fails(
        MaintenanceService.Downgrade,
        { action: 0, version: '1.2' },
        3,
        'etcdserver: invalid downgrade target version',
      );
      await client.fails(
        MaintenanceService.HashKV,
        { revision: 2 ** 40 },
        11,
        'etcdserver: mvcc: required revision is a future revision',
      );
      const alarm = { memberID: header?.memberId ?? 0n, alarm: etcdserverpb.AlarmType.CORRUPT };
      await client.ok(MaintenanceService.Alarm, { action: 1, ...alarm });
      try {
        const corrupt = 'etcdserver: corrupt cluster';
        await client.fails(KVService.Put, { key: bytes('c') }, 15, corrupt);
        await client.fails(KVService.DeleteRange, { key: bytes('c') }, 15, corrupt);
        await client.fails(KVService.Txn, { success: [{ requestPut: { key: bytes('c') } }] }, 15, corrupt);
        await client.fails(KVService.Compact, { revision: 1 }, 15, corrupt);
        await client.fails(LeaseService.LeaseGrant, { TTL: 5 }, 15, corrupt);
        await client.fails(LeaseService.LeaseRevoke, { ID: 5n }, 15, corrupt);
        assert.deepEqual((await client.ok(MaintenanceService.Status, {})).errors.length, 1);
      } finally {
        await client.ok(MaintenanceService.Alarm, { action: 2, ...alarm });
      }
      await client.ok(KVService.Put, { key: bytes('c') });
    },
  },
  {
    name: 'metadata: a client that requires a leader is served, one with a bad version is not',
    async run(client) {
      await client.ok(KVService.Range, { key: bytes('m') }, { hasleader: 'true' });
      const stream = client.bidi(WatchService.Watch);
      stream.send({ cancelRequest: { watchId: 77 } });
      stream.send({ createRequest: { key: bytes('m') } });
      assert.equal((await stream.next()).created, true, 'a cancellation of nothing is answered by nothing');
      stream.close();
    },
  },
];
