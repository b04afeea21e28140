import { test } from 'node:test';
import assert from 'node:assert/strict';
import { silentLogger, type Clock } from '@pilothouse/base';
import type { MemberId } from '../core/replication.ts';
import { CorruptionCheck, findCorrupt } from './corruption-check.ts';
import type { StoreService } from './rpc/store-service.ts';

const id = (number: number): MemberId => BigInt(number) as MemberId;
const hash = (
  member: number,
  value: number,
  compactRevision = -1,
): Parameters<typeof findCorrupt>[0][number] => ({
  member: id(member),
  hash: value,
  compactRevision,
});

test('the majority tells who is damaged; hashes after different compactions are not compared', () => {
  assert.deepEqual(findCorrupt([hash(1, 7), hash(2, 7), hash(3, 7)], 3), []);
  assert.deepEqual(findCorrupt([hash(1, 7), hash(2, 8), hash(3, 7)], 3), [id(2)]);
  assert.deepEqual(findCorrupt([hash(1, 8), hash(2, 7), hash(3, 7)], 3), [id(1)]);
  assert.deepEqual(findCorrupt([hash(1, 7), hash(2, 8, 5), hash(3, 7)], 3), [], 'another compaction');
  assert.equal(findCorrupt([hash(1, 7), hash(2, 8)], 3), undefined, 'one against one of three');
  assert.deepEqual(findCorrupt([hash(1, 7)], 3), []);
  assert.deepEqual(findCorrupt([hash(1, 7), hash(2, 7), hash(3, 7), hash(4, 1), hash(5, 2)], 5), [
    id(4),
    id(5),
  ]);
});

test('the leader raises the alarm for the member that differs, once', async () => {
  let tick = (): void => {};
  const clock = {
    setInterval: (callback: () => void) => {
      tick = callback;
      return { cancel: () => {} };
    },
    monotonic: () => 0,
  } as unknown as Clock;
  const alarms: { memberId: bigint; type: number }[] = [];
  const member = (number: number): object => ({ id: id(number), peerUrls: [`http://m${number}`] });
  const service = {
    isLeader: true,
    options: { clock, logger: silentLogger, memberId: id(1) },
    machine: {
      alarms,
      members: { list: () => [member(1), member(2), member(3)] },
      store: {
        currentRevision: 9,
        hash: () => ({ hash: 7, compactRevision: 3 }),
      },
    },
    readBarrier: () => Promise.resolve(),
    propose: ({ alarm }: { alarm: { memberID: bigint; alarm: number } }) => {
      alarms.push({ memberId: alarm.memberID, type: alarm.alarm });
      return Promise.resolve({});
    },
  } as unknown as StoreService;
  const post = (url: string, body: string): Promise<string> => {
    assert.equal(body, '{"revision":9}');
    return Promise.resolve(JSON.stringify({ hash: url.startsWith('http://m3') ? 8 : 7, compactRevision: 3 }));
  };
  const check = new CorruptionCheck(service, post);
  check.start(1000, 0);
  for (let round = 0; round < 2; round++) {
    tick();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(alarms, [{ memberId: id(3), type: 2 }]);
  check.stop();
});
