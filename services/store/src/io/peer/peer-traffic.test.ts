import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import type { Message } from '@pilothouse/raft';
import { PeerTraffic } from './peer-traffic.ts';

type Part = Pick<Message, 'kind'> & { readonly round?: number };
const message = (part: Part): Message => ({ from: 1n, to: 2n, term: 1n, ...part }) as unknown as Message;
const answer = (round: number): Message =>
  ({ kind: 'heartbeatResponse', from: 2n, to: 1n, term: 1n, round }) as unknown as Message;

test('the way to a peer and back is measured from the first heartbeat until one of its rounds is answered', () => {
  let nowMs = 0;
  const trips: number[] = [];
  const traffic = new PeerTraffic({ monotonic: () => nowMs } as Clock, (_, seconds) => trips.push(seconds));
  traffic.sent(message({ kind: 'heartbeat', round: 5 }), 10);
  nowMs = 4;
  traffic.sent(message({ kind: 'heartbeat', round: 6 }), 10);
  traffic.received(answer(4), 8);
  assert.deepEqual(trips, [], 'An answer to an earlier round tells nothing');
  nowMs = 7;
  traffic.received(answer(5), 8);
  traffic.received(answer(6), 8);
  assert.deepEqual(trips, [0.007]);
  const [counts] = traffic.counts.values();
  assert.equal(counts?.sentBytes, 20);
  assert.equal(counts?.receivedBytes, 24);
});

test('what cannot be sent is counted, heartbeats apart, and ends the measurement', () => {
  const trips: number[] = [];
  const traffic = new PeerTraffic({ monotonic: () => 0 } as Clock, (_, seconds) => trips.push(seconds));
  traffic.sent(message({ kind: 'heartbeat', round: 1 }), 10);
  traffic.dropped(message({ kind: 'append' }));
  traffic.dropped(message({ kind: 'heartbeat', round: 2 }));
  traffic.received(answer(1), 8);
  assert.deepEqual(trips, []);
  const [counts] = traffic.counts.values();
  assert.equal(counts?.sentFailures, 2);
  assert.equal(counts?.heartbeatFailures, 1);
});
