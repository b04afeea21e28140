import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreCalls } from './store-calls.ts';

test('keys of one resource make one series, whatever their names', () => {
  const calls = new StoreCalls();
  for (const key of [
    '/registry/pods/default/a',
    '/registry/pods/kube-system/b',
    '/registry/services/specs/default/web',
    '/registry/services/endpoints/default/web',
    '/registry/example.com/widgets/default/w',
    '/registry/example.com/widgets/',
    '/registry/health',
  ])
    calls.observe('get', key, 0.01, key.endsWith('/b'));
  assert.deepEqual(
    [...calls.series].map(({ folder, errors, seconds }) => [
      folder,
      errors,
      seconds.values('s', {}).at(-1)?.value,
    ]),
    [
      ['pods', 1, 2],
      ['services/specs', 0, 1],
      ['services/endpoints', 0, 1],
      ['example.com/widgets', 0, 2],
      ['health', 0, 1],
    ],
  );
});
