import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { silentLogger } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import type { WebhookTokenOptions } from '../authentication/webhook-token.ts';
import { webhookTokenAuthenticator } from '../authentication/webhook-token.ts';
import type { Exchange } from '../request/exchange.ts';
import { Cell } from '../metrics/cells.ts';
import { parseRateLimits, rateLimitFilter } from './rate-limits.ts';
import { RedisDecisionCache } from './redis-decision-cache.ts';
import { RedisLink } from './redis-link.ts';

const isThere = spawnSync('redis-server', ['--version']).status === 0;
const skip = isThere ? false : 'redis-server is not in the PATH';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Not within 10 s: ${what}`);
}

class Server {
  readonly url: string;
  readonly #port: number;
  #process: ChildProcess | undefined;

  constructor(port: number) {
    this.#port = port;
    this.url = `redis://127.0.0.1:${port}`;
  }

  start(): void {
    const flags = ['--port', String(this.#port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.#process = spawn('redis-server', flags, { stdio: 'ignore' });
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#process?.once('exit', resolve));
    this.signal('SIGKILL');
    await ended;
  }
}

const linkTo = (url: string): RedisLink => new RedisLink({ url, clock: nodeClock, logger: silentLogger });
const exchangeOf = (name: string): Exchange =>
  ({ user: { name, groups: [] }, priorityLevel: 'workload-low' }) as unknown as Exchange;

test('servers share decisions; signed, and no longer than they count', { skip }, async () => {
  const server = new Server(await freePort());
  server.start();
  const [a, b, stranger] = [linkTo(server.url), linkTo(server.url), linkTo(server.url)];
  const raw = new Redis(server.url);
  raw.on('error', () => undefined);
  try {
    await until('all are connected', () => a.isUp && b.isUp && stranger.isUp);
    const [first, second] = [a, b].map((link) => new RedisDecisionCache(link, nodeClock, 'secret'));
    first?.set('s', 'k', { allowed: true }, 300);
    await until('the other server knows', async () => (await second?.get('s', 'k')) !== undefined);
    assert.deepEqual(await second?.get('s', 'k'), { allowed: true });
    assert.equal(await second?.get('other configuration', 'k'), undefined);
    const forger = new RedisDecisionCache(stranger, nodeClock, 'another secret');
    assert.equal(await forger.get('s', 'k'), undefined);
    forger.set('s', 'forged', { allowed: true }, 5000);
    await until('the forged one is there', async () => (await raw.dbsize()) === 2);
    assert.equal(await second?.get('s', 'forged'), undefined, 'Who can write to Redis cannot decide');
    const [place = ''] = await raw.keys('pilothouse:decision:*');
    await raw.set(place, 'garbage');
    await until('the answer ended', async () => (await second?.get('s', 'k')) === undefined);
  } finally {
    for (const link of [a, b, stranger]) link.close();
    raw.disconnect();
    await server.kill();
  }
});

test(
  'a Redis that is killed, comes back and freezes under load fails no request and holds none up',
  { skip },
  async () => {
    const server = new Server(await freePort());
    server.start();
    const link = linkTo(server.url);
    const registry = new Registry();
    link.register(registry);
    const decisions = new RedisDecisionCache(link, nodeClock, 'secret');
    let asked = 0;
    const endpoint = {
      post: () => {
        asked++;
        return Promise.resolve({ status: { authenticated: true, user: { username: 'jane' } } });
      },
    } as unknown as WebhookTokenOptions['endpoint'];
    const options = {
      endpoint,
      version: 'v1',
      cacheTtlMs: 60_000,
      apiAudiences: [],
      clock: nodeClock,
    } as const;
    const shared = { decisions, scope: 'token' };
    let running = true;
    let requests = 0;
    let slowestMs = 0;
    const failures: unknown[] = [];
    const load = async (): Promise<void> => {
      while (running) {
        // A new authenticator each time knows nothing itself: every request goes to Redis.
        const authenticator = webhookTokenAuthenticator({ ...options, shared });
        const startedMs = performance.now();
        try {
          const result = await authenticator.authenticateToken(`token-${requests++ % 50}`, []);
          assert.equal(result?.user.name, 'jane');
        } catch (error) {
          failures.push(error);
        }
        slowestMs = Math.max(slowestMs, performance.now() - startedMs);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    try {
      await until('Redis answers', () => link.isUp);
      const work = Promise.all([load(), load(), load()]);
      await until('the answers are shared', () => requests > 200);
      assert.ok(asked < 120, `${asked} of ${requests} requests asked the webhook`);
      await server.kill();
      await until('the loss is noticed', () => !link.isUp);
      assert.match(await registry.metrics(), /^pilothouse_redis_up 0$/m);
      const before = asked;
      await until('the webhook is asked instead', () => asked > before + 20);
      server.start();
      await until('it is used again', () => link.isUp);
      server.signal('SIGSTOP');
      await until('the silence is noticed', () => !link.isUp);
      const frozen = requests;
      await until('requests go on', () => requests > frozen + 100);
      server.signal('SIGCONT');
      await until('it is used once more', () => link.isUp);
      running = false;
      await work;
      assert.deepEqual(failures, []);
      assert.ok(slowestMs < 1000, `the slowest request took ${slowestMs.toFixed(0)} ms`);
      assert.match(
        await registry.metrics(),
        /pilothouse_redis_commands_total\{use="decisions",outcome="skipped"\} [1-9]/,
      );
    } finally {
      running = false;
      server.signal('SIGCONT');
      link.close();
      await server.kill();
    }
  },
);

test('a user has one limit on all servers, each server its own while Redis is away', { skip }, async () => {
  const server = new Server(await freePort());
  server.start();
  const links = [linkTo(server.url), linkTo(server.url)];
  const refused = new Cell();
  let nowMs = 1_700_000_000_000;
  const clock = { ...nodeClock, now: () => nowMs };
  const filters = links.map((link) =>
    rateLimitFilter({ limits: parseRateLimits(['workload-low=10']), link, clock, refused: () => refused }),
  );
  const admitted = async (user: string): Promise<number> => {
    let count = 0;
    for (let request = 0; request < 40; request++) {
      try {
        await filters[request % 2]?.(exchangeOf(user));
        count++;
      } catch (error) {
        assert.equal((error as { code: number }).code, 429);
      }
    }
    return count;
  };
  try {
    await until('both are connected', () => links.every(({ isUp }) => isUp));
    assert.equal(await admitted('jane'), 10);
    assert.equal(await admitted('john'), 10, 'Another user has a limit of their own');
    assert.equal(refused.value, 60);
    nowMs += 1000;
    assert.equal(await admitted('jane'), 10, 'A second later it begins anew');
    await server.kill();
    await until('the loss is noticed', () => links.every(({ isUp }) => !isUp));
    nowMs += 1000;
    assert.equal(await admitted('jane'), 20);
  } finally {
    for (const link of links) link.close();
    server.signal('SIGKILL');
  }
});

test('limits are checked when the server starts', () => {
  assert.deepEqual(
    [...parseRateLimits(['a=1', 'b=20'])],
    [
      ['a', 1],
      ['b', 20],
    ],
  );
  for (const text of ['a', 'a=', 'a=0', 'a=1.5', '=3', 'a=x'])
    assert.throws(() => parseRateLimits([text]), /want PRIORITY_LEVEL=REQUESTS_PER_SECOND/);
});
