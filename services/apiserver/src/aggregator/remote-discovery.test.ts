import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '@pilothouse/testkit';
import type { RemoteApi } from './remote-api.ts';
import { remoteDiscovery } from './remote-discovery.ts';

test('a slow server gets five seconds for both forms of discovery', async () => {
  const clock = new FakeClock();
  const waited: number[] = [];
  const answer = (body: object) => ({ status: 200, headers: {}, body: Buffer.from(JSON.stringify(body)) });
  const connections = {
    get: (_api: RemoteApi, _path: string, options: { timeoutMs: number }) => {
      waited.push(options.timeoutMs);
      clock.advance(4000);
      return Promise.resolve(answer({ resources: [{ name: 'metrics', kind: 'Metric' }] }));
    },
  };
  const api = { name: 'v1.m', group: 'm', version: 'v1' } as RemoteApi;
  const found = await remoteDiscovery(api, connections, clock);
  assert.deepEqual(
    found.map(({ resource }) => resource),
    ['metrics'],
  );
  assert.deepEqual(waited, [5000, 1000]);
});
