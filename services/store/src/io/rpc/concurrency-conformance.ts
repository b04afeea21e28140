import assert from 'node:assert/strict';
import { etcdserverpb, v3electionpb, v3lockpb } from '@pilothouse/proto';
import type { ConformanceCase } from './conformance.ts';
import { bytes, text } from './conformance.ts';

const { KVService, LeaseService } = etcdserverpb;
const { LockService } = v3lockpb;
const { ElectionService } = v3electionpb;

/** The lock and election services, as clients without a library of their own use them. */
export const concurrencyConformance: readonly ConformanceCase[] = [
  {
    name: 'lock: one holder at a time, in the order of asking, freed by unlock and by the end of a lease',
    async run(client) {
      const name = bytes(`${client.prefix()}lock`);
      const grant = async (): Promise<bigint> => (await client.ok(LeaseService.LeaseGrant, { TTL: 60 })).ID;
      const [a, b, c] = [await grant(), await grant(), await grant()];
      const first = await client.ok(LockService.Lock, { name, lease: a });
      assert.equal(text(first.key), `${text(name)}/${a.toString(16)}`);
      assert.equal((await client.ok(KVService.Range, { key: first.key })).kvs[0]?.lease, a);
      const again = await client.ok(LockService.Lock, { name, lease: a });
      assert.deepEqual(again.key, first.key, 'the holder gets it again');
      const order: string[] = [];
      const second = client.ok(LockService.Lock, { name, lease: b }).then((reply) => {
        order.push('b');
        return reply;
      });
      const count = async (): Promise<number> =>
        (
          await client.ok(KVService.Range, {
            key: Buffer.concat([name, bytes('/')]),
            rangeEnd: Buffer.concat([name, bytes('0')]),
            countOnly: true,
          })
        ).count;
      while ((await count()) < 2) await new Promise((resolve) => setTimeout(resolve, 10));
      const third = client.ok(LockService.Lock, { name, lease: c }).then((reply) => {
        order.push('c');
        return reply;
      });
      while ((await count()) < 3) await new Promise((resolve) => setTimeout(resolve, 10));
      assert.deepEqual(order, []);
      await client.ok(LockService.Unlock, { key: first.key });
      await second;
      assert.deepEqual(order, ['b']);
      await client.ok(LeaseService.LeaseRevoke, { ID: b });
      const { key } = await third;
      assert.deepEqual(order, ['b', 'c']);
      await client.ok(LockService.Unlock, { key });
      assert.equal(await count(), 0);
      await client.fails(
        LockService.Lock,
        { name, lease: 424_242n },
        2,
        'etcdserver: requested lease not found',
      );
      await client.fails(LockService.Unlock, {}, 2, 'etcdserver: key is not provided');
      const own = await client.ok(LockService.Lock, { name });
      const { kvs } = await client.ok(KVService.Range, { key: own.key });
      assert.notEqual(kvs[0]?.lease, 0n, 'a caller without a lease gets one');
      await client.ok(LockService.Unlock, { key: own.key });
    },
  },
  {
    name: 'lock: who gives up waiting leaves nothing behind',
    async run(client) {
      const name = bytes(`${client.prefix()}lock`);
      const lease = async (): Promise<bigint> => (await client.ok(LeaseService.LeaseGrant, { TTL: 60 })).ID;
      const held = await client.ok(LockService.Lock, { name, lease: await lease() });
      const outcome = await client.try(LockService.Lock, { name, lease: await lease() }, {}, 300);
      assert.equal('code' in outcome && outcome.code, 4);
      const deadline = Date.now() + 3000;
      const waiting = async (): Promise<number> =>
        (
          await client.ok(KVService.Range, {
            key: Buffer.concat([name, bytes('/')]),
            rangeEnd: Buffer.concat([name, bytes('0')]),
          })
        ).kvs.length;
      while ((await waiting()) > 1 && Date.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(await waiting(), 1);
      await client.ok(LockService.Unlock, { key: held.key });
    },
  },
  {
    name: 'election: campaign, proclaim, leader, observe, resign',
    async run(client) {
      const name = bytes(`${client.prefix()}election`);
      const grant = async (): Promise<bigint> => (await client.ok(LeaseService.LeaseGrant, { TTL: 60 })).ID;
      const [a, b] = [await grant(), await grant()];
      await client.fails(ElectionService.Leader, { name }, 2, 'election: no leader');
      const observed: string[] = [];
      const stream = client.streaming(ElectionService.Observe, { name }, ({ kv }) =>
        observed.push(text(kv?.value)),
      );
      const { leader } = await client.ok(ElectionService.Campaign, { name, lease: a, value: bytes('one') });
      assert.ok(leader !== undefined);
      assert.deepEqual(
        [text(leader.name), text(leader.key), leader.lease],
        [text(name), `${text(name)}/${a.toString(16)}`, a],
      );
      const now = await client.ok(ElectionService.Leader, { name });
      assert.deepEqual([text(now.kv?.value), now.kv?.createRevision], ['one', leader.rev]);
      const next = client.ok(ElectionService.Campaign, { name, lease: b, value: bytes('two') });
      await client.ok(ElectionService.Proclaim, { leader, value: bytes('uno') });
      assert.equal(text((await client.ok(ElectionService.Leader, { name })).kv?.value), 'uno');
      const wrong = { ...leader, rev: leader.rev + 1_000_000 };
      await client.fails(
        ElectionService.Proclaim,
        { leader: wrong, value: bytes('x') },
        2,
        'election: not leader',
      );
      await client.ok(ElectionService.Resign, { leader: wrong });
      assert.equal(
        text((await client.ok(ElectionService.Leader, { name })).kv?.value),
        'uno',
        'a stale key resigns nothing',
      );
      await client.fails(ElectionService.Proclaim, {}, 2, '"leader" field must be provided');
      await client.fails(ElectionService.Resign, {}, 2, '"leader" field must be provided');
      await client.ok(ElectionService.Resign, { leader });
      assert.equal((await next).leader?.lease, b);
      assert.equal(text((await client.ok(ElectionService.Leader, { name })).kv?.value), 'two');
      const deadline = Date.now() + 3000;
      while (observed.at(-1) !== 'two' && Date.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 20));
      assert.deepEqual(observed, ['one', 'uno', 'two']);
      stream.close();
      await client.ok(LeaseService.LeaseRevoke, { ID: b });
      await client.fails(ElectionService.Leader, { name }, 2, 'election: no leader');
    },
  },
];
