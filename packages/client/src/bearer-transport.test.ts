import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withBearerToken } from './bearer-transport.ts';
import type { Transport } from './transport.ts';

async function* nothing(): AsyncGenerator<Uint8Array> {}

test('a token that is refused is forgotten and the request sent once more', async () => {
  const seen: string[] = [];
  let good = 'second';
  const transport: Transport = {
    request(request) {
      const token = request.headers?.['authorization'] ?? '';
      seen.push(token);
      return Promise.resolve({
        status: token === `Bearer ${good}` ? 200 : 401,
        headers: {},
        body: nothing(),
      });
    },
    close: () => undefined,
  };
  let token = 'first';
  let forgotten = 0;
  const renewing = withBearerToken(
    transport,
    () => Promise.resolve(token),
    () => {
      forgotten++;
      token = 'second';
    },
  );
  const get = { method: 'GET', path: '/' } as const;
  assert.equal((await renewing.request(get)).status, 200);
  assert.deepEqual(seen, ['Bearer first', 'Bearer second']);
  good = 'none';
  assert.equal((await renewing.request(get)).status, 401);
  assert.equal(forgotten, 2);
  assert.equal(seen.length, 4, 'once more, not for ever');
  assert.equal((await withBearerToken(transport, () => Promise.resolve('x')).request(get)).status, 401);
  assert.equal(seen.length, 5);
});
