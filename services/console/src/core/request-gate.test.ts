import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedHosts, isLoopback, refusal } from './request-gate.ts';

const options = { hosts: acceptedHosts('127.0.0.1', 8443, []), scheme: 'http' as const };
const own = {
  method: 'GET',
  host: '127.0.0.1:8443',
  origin: undefined,
  fetchSite: 'same-origin',
  marked: true,
};

test('calls of the console itself pass', () => {
  assert.equal(refusal(own, 'call', options), undefined);
  assert.equal(refusal({ ...own, host: 'LOCALHOST:8443', fetchSite: undefined }, 'call', options), undefined);
  assert.equal(
    refusal({ ...own, method: 'POST', origin: 'http://127.0.0.1:8443' }, 'call', options),
    undefined,
  );
  assert.equal(refusal({ ...own, fetchSite: 'none', marked: false }, 'page', options), undefined);
});

test('a name that was pointed at this address is refused, also for pages', () => {
  for (const host of ['evil.example:8443', '127.0.0.1', '127.0.0.1:80', undefined])
    for (const kind of ['page', 'frame', 'call'] as const)
      assert.equal(refusal({ ...own, host }, kind, options)?.status, 421, `${host} ${kind}`);
});

test('calls of other pages are refused', () => {
  assert.equal(refusal({ ...own, origin: 'http://evil.example' }, 'call', options)?.status, 403);
  assert.equal(refusal({ ...own, origin: 'null' }, 'call', options)?.status, 403);
  assert.equal(refusal({ ...own, origin: 'http://127.0.0.1:9000' }, 'call', options)?.status, 403);
  assert.equal(refusal({ ...own, fetchSite: 'cross-site' }, 'call', options)?.status, 403);
  assert.equal(refusal({ ...own, fetchSite: 'same-site' }, 'frame', options)?.status, 403);
  // A form of another page: no mark, and an old browser without Sec-Fetch-Site.
  assert.equal(refusal({ ...own, fetchSite: undefined, marked: false }, 'call', options)?.status, 403);
  assert.equal(refusal({ ...own, method: 'POST' }, 'page', options)?.status, 405);
});

test('hosts are those of the address and those that were given', () => {
  assert.deepEqual(acceptedHosts('0.0.0.0', 443, ['Console.Example', 'other:8443']), [
    'console.example',
    'console.example:443',
    'other:8443',
  ]);
  assert.ok(
    isLoopback('127.9.9.9') && isLoopback('::1') && !isLoopback('0.0.0.0') && !isLoopback('10.0.0.1'),
  );
});
