import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flagValue, rejoinArguments, rejoinStep } from './rejoin.ts';

const member = (ID: bigint, name: string, url: string, ran = true) => ({
  ID,
  name: ran ? name : '',
  peerURLs: [url],
  clientURLs: ran ? ['https://c'] : [],
});

test('a member that ran before is replaced, one that was added joins, one of a new cluster starts as it is', () => {
  const others = [member(1n, 'a', 'https://a'), member(2n, 'b', 'https://b')];
  assert.deepEqual(rejoinStep([...others, member(3n, 'c', 'https://c')], 'c', ['https://c']), {
    step: 'replace',
    id: 3n,
  });
  assert.deepEqual(rejoinStep([...others, member(3n, '', 'https://c', false)], 'c', ['https://c']), {
    step: 'join',
  });
  assert.deepEqual(rejoinStep(others, 'c', ['https://c']), { step: 'join' });
  assert.deepEqual(rejoinStep([...others, member(3n, 'c', 'https://old')], 'c', ['https://c']), {
    step: 'replace',
    id: 3n,
  });
  const fresh = [member(1n, '', 'https://a', false), member(3n, '', 'https://c', false)];
  assert.deepEqual(rejoinStep(fresh, 'c', ['https://c']), { step: 'new' });
});

test('without the flag nothing is asked and nothing changes; with it the flags it needs are named', async () => {
  assert.deepEqual(await rejoinArguments(['--name=a']), ['--name=a']);
  await assert.rejects(rejoinArguments(['--replace-lost-member=http://127.0.0.1:1']), /needs --data-dir/);
});

test('flags of the store may be variables', () => {
  const environment = { ETCD_DATA_DIR: '/var/lib/store', ETCD_NAME: 'a' };
  assert.equal(flagValue([], 'data-dir', environment), '/var/lib/store');
  assert.equal(flagValue(['--name=b'], 'name', environment), 'b', 'a flag counts more');
  assert.equal(flagValue([], 'peer-key-file', environment), undefined);
});
