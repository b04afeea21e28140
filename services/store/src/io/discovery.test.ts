import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { FakeClock } from '@pilothouse/testkit';
import { discover, DiscoveryAnswerError, type DiscoveryOptions, type Post } from './discovery.ts';

const options: DiscoveryOptions = {
  token: 'tok',
  endpoints: ['http://d1', 'http://d2'],
  requestTimeoutMs: 1000,
  caFile: '',
  certFile: '',
  keyFile: '',
  insecureSkipVerify: false,
  user: '',
  password: '',
};

/** The keys of a cluster that is asked; `down` names an endpoint that does not answer. */
function service(size: string | undefined): {
  keys: Map<string, { value: string; at: number }>;
  post: Post;
  down: string;
} {
  const keys = new Map<string, { value: string; at: number }>();
  if (size !== undefined) keys.set('/_etcd/registry/tok/_config/size', { value: size, at: 1 });
  const state = {
    keys,
    down: '',
    post: (url: string, body: object): Promise<object> => {
      const fields = body as Record<string, string>;
      const plain = (name: string): string => Buffer.from(fields[name] ?? '', 'base64').toString();
      if (state.down !== '' && url.startsWith(state.down)) return Promise.reject(new Error('refused'));
      if (url.endsWith('/kv/put')) {
        keys.set(plain('key'), { value: plain('value'), at: keys.size + 1 });
        return Promise.resolve({});
      }
      assert.ok(url.endsWith('/v3/kv/range'), url);
      const end = plain('range_end');
      const kvs = [...keys]
        .filter(([key]) => (end === '' ? key === plain('key') : key >= plain('key') && key < end))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, { value, at }]) => ({
          key: Buffer.from(key).toString('base64'),
          value: Buffer.from(value).toString('base64'),
          create_revision: String(at),
        }));
      return Promise.resolve(kvs.length === 0 ? {} : { kvs });
    },
  };
  return state;
}

const self = (id: bigint, name: string): Parameters<typeof discover>[1] => ({
  memberId: id,
  name,
  peerUrls: [`http://${name}`],
});

async function run<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let isDone = false;
  promise.then(
    () => (isDone = true),
    () => (isDone = true),
  );
  for (let round = 0; round < 200 && !isDone; round++) await clock.advanceAsync(500);
  assert.ok(isDone, 'It ends');
  return promise;
}

test('members wait for each other, and all get the same cluster in the order in which they came', async () => {
  const clock = new FakeClock();
  const { post } = service('3');
  const ports = { clock, logger: silentLogger, post };
  const first = discover(options, self(9n, 'c'), ports);
  await clock.advanceAsync(3000);
  const others = [discover(options, self(1n, 'a'), ports), discover(options, self(5n, 'b'), ports)];
  const all = await run(clock, Promise.all([first, ...others]));
  assert.deepEqual([...new Set(all)], ['c=http://c,a=http://a,b=http://b']);
  // One that comes too late, and one that comes again.
  await assert.rejects(run(clock, discover(options, self(7n, 'd'), ports)), /cluster is full/);
  assert.equal(await run(clock, discover(options, self(5n, 'b'), ports)), all[0]);
});

test('a token without a size is refused; an endpoint that is down is gone around', async () => {
  const clock = new FakeClock();
  const ports = { clock, logger: silentLogger };
  await assert.rejects(
    run(clock, discover(options, self(1n, 'a'), { ...ports, post: service(undefined).post })),
    /size key not found/,
  );
  await assert.rejects(
    run(clock, discover(options, self(1n, 'a'), { ...ports, post: service('many').post })),
    /size key is bad/,
  );
  const one = service('1');
  one.down = 'http://d1';
  assert.equal(
    await run(clock, discover(options, self(1n, 'a'), { ...ports, post: one.post })),
    'a=http://a',
  );
  const refuses: Post = () => Promise.reject(new DiscoveryAnswerError('HTTP status 403'));
  await assert.rejects(
    run(clock, discover(options, self(1n, 'a'), { ...ports, post: refuses })),
    /refuses: HTTP status 403/,
  );
});
