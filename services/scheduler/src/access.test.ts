import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import type { IncomingMessage } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import type { Transport } from '@pilothouse/client';
import { DelegatedAccess, RestClient } from '@pilothouse/client';
import type { ComponentServer } from '@pilothouse/host';
import { createAuthority, issueCertificate, nodeClock, startComponentServer } from '@pilothouse/host';

type Authority = Awaited<ReturnType<typeof createAuthority>>;
interface Review {
  readonly kind: string;
  readonly spec: {
    readonly token?: string;
    readonly user?: string;
    readonly groups?: readonly string[];
    readonly nonResourceAttributes?: { readonly path: string; readonly verb: string };
  };
}

const life = { notBefore: nodeClock.now() - 60_000, notAfter: nodeClock.now() + 3_600_000 };
let cluster: Authority;
let stranger: Authority;
let server: ComponentServer;
let passedMs = 0;
let asked: Review[] = [];
let isDown = false;

/** An API server that knows one token, and lets the group `monitoring` read /metrics. */
const transport: Transport = {
  async request({ body }) {
    if (isDown) throw new Error('connection refused');
    const review = JSON.parse(Buffer.from(body as Uint8Array).toString()) as Review;
    asked.push(review);
    const status =
      review.kind === 'TokenReview'
        ? review.spec.token === 'good'
          ? { authenticated: true, user: { username: 'prometheus', groups: ['monitoring'] } }
          : { authenticated: false }
        : { allowed: review.spec.groups?.includes('monitoring') === true };
    const text = Buffer.from(JSON.stringify({ ...review, status }));
    return Promise.resolve({
      status: 201,
      headers: {},
      body: (async function* () {
        yield await Promise.resolve(text);
      })(),
    });
  },
  close: () => undefined,
};

before(async () => {
  cluster = await createAuthority('cluster', life.notBefore, life.notAfter);
  stranger = await createAuthority('stranger', life.notBefore, life.notAfter);
  const serving = await issueCertificate(cluster, {
    commonName: 'scheduler',
    hosts: ['127.0.0.1'],
    usage: 'server',
    ...life,
  });
  const clock: Clock = { ...nodeClock, monotonic: () => nodeClock.monotonic() + passedMs };
  const client = new RestClient(transport, { clock, userAgent: 'test' });
  server = await startComponentServer({
    address: '127.0.0.1',
    port: 0,
    cert: serving.certPem,
    key: serving.keyPem,
    metrics: () => 'secret 1\n',
    access: new DelegatedAccess({
      authentication: client,
      authorization: client,
      clientAuthorities: () => Promise.resolve(cluster.certPem),
      clock,
      alwaysAllowPaths: ['/healthz', '/readyz', '/livez'],
      tokenTtlMs: 10_000,
      authorizedTtlMs: 10_000,
      unauthorizedTtlMs: 10_000,
    }),
  });
});
after(() => server.close());
beforeEach(() => {
  asked = [];
  isDown = false;
  passedMs += 60_000;
});

async function get(
  path: string,
  options: { token?: string; cert?: string; key?: string } = {},
): Promise<{ status: number | undefined; text: string }> {
  const { token, ...tls } = options;
  const request = https.get({
    host: '127.0.0.1',
    port: server.port,
    path,
    rejectUnauthorized: false,
    agent: false,
    ...tls,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const piece of response) text += String(piece);
  return { status: response.statusCode, text };
}

test('health is open, metrics are for those whom the API server lets', async () => {
  assert.equal((await get('/healthz')).status, 200);
  assert.equal(asked.length, 0);
  const nobody = await get('/metrics');
  assert.equal(nobody.status, 403);
  assert.match(
    nobody.text,
    /"message":"forbidden: User \\"system:anonymous\\" cannot get path \\"\/metrics\\""/,
  );
  assert.deepEqual(asked.at(-1)?.spec.nonResourceAttributes, { path: '/metrics', verb: 'get' });
  assert.equal((await get('/metrics', { token: 'forged' })).status, 401);
  assert.deepEqual(await get('/metrics', { token: 'good' }), { status: 200, text: 'secret 1\n' });
});

test('answers are kept for their time, failures are not, and nobody passes for them', async () => {
  for (let time = 0; time < 3; time++) await get('/metrics', { token: 'good' });
  assert.equal(asked.length, 2);
  passedMs += 11_000;
  isDown = true;
  const answer = await get('/metrics', { token: 'good' });
  assert.equal(answer.status, 500);
  assert.doesNotMatch(answer.text, /secret/);
  isDown = false;
  assert.equal((await get('/metrics', { token: 'good' })).status, 200);
});

test('a client certificate names its holder when the authority of the cluster issued it', async () => {
  const issue = async (by: Authority, groups: string[], usage: 'client' | 'server' = 'client') => {
    const made = await issueCertificate(by, {
      commonName: 'holder',
      organizations: groups,
      hosts: usage === 'server' ? ['localhost'] : [],
      usage,
      ...life,
    });
    return { cert: made.certPem, key: made.keyPem };
  };
  assert.equal((await get('/metrics', await issue(cluster, ['monitoring']))).status, 200);
  const other = await get('/metrics', await issue(cluster, ['others']));
  assert.equal(other.status, 403);
  assert.match(other.text, /User \\"holder\\"/);
  const masters = asked.length;
  assert.equal((await get('/metrics', await issue(cluster, ['system:masters']))).status, 200);
  assert.equal(asked.length, masters);
  for (const forged of [
    await issue(stranger, ['system:masters']),
    await issue(cluster, ['system:masters'], 'server'),
  ]) {
    const refused = await get('/metrics', forged);
    assert.equal(refused.status, 403);
    assert.match(refused.text, /system:anonymous/);
  }
});
