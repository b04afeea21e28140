import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Logger } from '@pilothouse/base';
import { Metrics, nodeClock, nodeRandom } from '@pilothouse/host';
import type { Asset } from './assets.ts';
import { startConsole, type ConsoleServer } from './console-server.ts';
import type { StoreAccess } from './store-access.ts';

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: http2.IncomingHttpHeaders;
  readonly body: string;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

const seen: Seen[] = [];
const logged: string[] = [];
const links: string[] = [];
let mayGet = true;
let api: http2.Http2Server;
let server: ConsoleServer;
let port = 0;
let directory = '';
let storeReads = 0;

const metrics = new Metrics();

const logger: Logger = {
  debug: (message, fields) => void logged.push(`${message} ${JSON.stringify(fields)}`),
  info: (message, fields) => void logged.push(`${message} ${JSON.stringify(fields)}`),
  warn: (message, fields) => void logged.push(`${message} ${JSON.stringify(fields)}`),
  error: (message, fields) => void logged.push(`${message} ${JSON.stringify(fields)}`),
  child: () => logger,
};

/** An API server of which only what the console leans on is there. */
function answerAsApi(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  body: string,
): void {
  const target = String(headers[':path']);
  seen.push({ method: String(headers[':method']), path: target, headers, body });
  const json = (status: number, value: unknown): void => {
    stream.respond({ ':status': status, 'content-type': 'application/json' });
    stream.end(JSON.stringify(value));
  };
  const token = /^Bearer (.*)$/.exec(headers.authorization ?? '')?.[1];
  if (token !== 'good' && token !== 'local') return json(401, { message: 'Unauthorized' });
  if (target.endsWith('/selfsubjectreviews'))
    return json(201, { status: { userInfo: { username: token === 'good' ? 'jane' : 'admin' } } });
  if (target.endsWith('/selfsubjectaccessreviews')) return json(201, { status: { allowed: mayGet } });
  if (target.startsWith('/api/v1/watch')) {
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    for (const [index, delayMs] of [0, 20, 40].entries())
      nodeClock.setTimeout(() => {
        if (!stream.destroyed) stream.write(`{"type":"ADDED","index":${index}}\n`);
      }, delayMs);
    stream.once('close', () => seen.push({ method: 'closed', path: target, headers: {}, body: '' }));
    return undefined;
  }
  if (target === '/api/html') {
    stream.respond({
      ':status': 200,
      'content-type': 'text/html',
      'set-cookie': 'a=b',
      warning: '299 - "old"',
    });
    stream.end('<script>alert(1)</script>');
    return undefined;
  }
  return json(200, { path: target });
}

const store = {
  prefix: '/registry',
  client: {
    kv: {
      range: () => {
        storeReads++;
        return Promise.resolve({
          header: { revision: 7 },
          kvs: [
            {
              modRevision: 7,
              version: 1,
              value: new TextEncoder().encode(
                '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}',
              ),
            },
          ],
        });
      },
    },
  },
  view: () => Promise.resolve({ members: [] }),
  close: () => undefined,
} as unknown as StoreAccess;

before(async () => {
  api = http2.createServer();
  api.on('stream', (stream, headers) => {
    const pieces: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.on('end', () => answerAsApi(stream, headers, Buffer.concat(pieces).toString('utf8')));
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-console-'));
  writeFileSync(path.join(directory, 'secret.html'), 'outside');
  const drills = path.join(directory, 'drills');
  mkdirSync(drills);
  writeFileSync(path.join(drills, 'one.html'), '<h1>One</h1>');
  symlinkSync('../secret.html', path.join(drills, 'link.html'));
  const page: Asset = {
    body: Buffer.from('<!doctype html>'),
    type: 'text/html; charset=utf-8',
    immutable: false,
  };
  server = await startConsole({
    address: '127.0.0.1',
    port: 0,
    allowedHosts: [],
    cluster: { server: `http://127.0.0.1:${(api.address() as AddressInfo).port}` },
    linkCredentials: { token: 'local' },
    onLink: (url) => links.push(url),
    store,
    drillsDirectory: drills,
    assets: new Map([['/', page]]),
    clock: nodeClock,
    random: nodeRandom,
    logger,
    metrics,
  });
  port = Number(new URL(server.url).port);
});

after(async () => {
  await server.close();
  api.close();
  rmSync(directory, { recursive: true });
});

function ask(
  target: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; mark?: boolean } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        host: '127.0.0.1',
        port,
        path: target,
        method: options.method ?? 'GET',
        agent: false,
        headers: { ...(options.mark === false ? {} : { 'x-pilothouse-console': '1' }), ...options.headers },
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => (body += piece));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      },
    );
    request.on('error', reject);
    request.end(options.body);
  });
}

async function logIn(body: object): Promise<string> {
  const answer = await ask('/session', { method: 'POST', body: JSON.stringify(body) });
  assert.equal(answer.status, 200, answer.body);
  const [cookie = ''] = answer.headers['set-cookie'] ?? [];
  assert.match(cookie, /^pilothouse-console-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
  return cookie.split(';')[0] as string;
}

test('the page comes with a policy that lets it load and call nothing of others', async () => {
  const { status, headers } = await ask('/', { mark: false });
  assert.equal(status, 200);
  const policy = String(headers['content-security-policy']);
  for (const rule of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"])
    assert.ok(policy.includes(rule), rule);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['referrer-policy'], 'no-referrer');
});

test('a token that the API server does not accept logs nobody in', async () => {
  const refused = await ask('/session', { method: 'POST', body: '{"token":"bad"}' });
  assert.equal(refused.status, 401);
  assert.equal(refused.headers['set-cookie'], undefined);
  assert.equal((await ask('/k8s/api')).status, 401);
  assert.equal((await ask('/session', { method: 'POST', body: '{"token":"good"' })).status, 400);
  assert.equal(
    (await ask('/session', { method: 'POST', body: JSON.stringify({ token: 'x'.repeat(300_000) }) })).status,
    413,
  );
});

test('requests go on with the credentials of the session and nothing else', async () => {
  const cookie = await logIn({ token: 'good' });
  const answer = await ask('/k8s/api/v1/pods?limit=1', {
    headers: {
      cookie,
      accept: 'application/yaml',
      authorization: 'Bearer other',
      'impersonate-user': 'system:admin',
      'x-remote-user': 'root',
    },
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.body, '{"path":"/api/v1/pods?limit=1"}');
  assert.equal(answer.headers['cache-control'], 'no-store');
  const passed = seen.at(-1);
  assert.equal(passed?.headers.authorization, 'Bearer good');
  assert.equal(passed?.headers.accept, 'application/yaml');
  for (const name of ['cookie', 'impersonate-user', 'x-remote-user', 'origin'])
    assert.equal(passed?.headers[name], undefined, name);
  const written = await ask('/k8s/api/v1/pods', {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/json' },
    body: '{"a":1}',
  });
  assert.equal(written.status, 200);
  assert.equal(seen.at(-1)?.body, '{"a":1}');
  assert.equal(seen.at(-1)?.headers['content-type'], 'application/json');
});

test('what a browser would run arrives as text, without cookies', async () => {
  const cookie = await logIn({ token: 'good' });
  const answer = await ask('/k8s/api/html', { headers: { cookie } });
  assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(answer.headers['set-cookie'], undefined);
  assert.equal(answer.headers.warning, '299 - "old"');
  assert.match(String(answer.headers['content-security-policy']), /^sandbox; default-src 'none'/);
});

test('other pages, other names and other paths are refused before anything is asked', async () => {
  const cookie = await logIn({ token: 'good' });
  const before = seen.length;
  const tries: [string, Parameters<typeof ask>[1], number][] = [
    ['/k8s/api', { headers: { cookie }, mark: false }, 403],
    ['/k8s/api', { headers: { cookie, origin: 'http://evil.example' } }, 403],
    ['/k8s/api', { headers: { cookie, 'sec-fetch-site': 'cross-site' } }, 403],
    ['/k8s/api', { headers: { cookie, host: 'evil.example' } }, 421],
    ['/', { headers: { host: 'evil.example' } }, 421],
    ['/k8s/metrics', { headers: { cookie } }, 403],
    ['/k8s/api/v1/namespaces/a/services/b/proxy/', { headers: { cookie } }, 403],
    ['/session', { method: 'POST', body: '{"token":"good"}', mark: false }, 403],
    ['/session', { method: 'DELETE', headers: { cookie }, mark: false }, 403],
    ['/k8s/api', { method: 'TRACE', headers: { cookie } }, 405],
    ['/nothing', { headers: { cookie } }, 404],
  ];
  for (const [target, options, status] of tries)
    assert.equal((await ask(target, options)).status, status, `${target} ${JSON.stringify(options)}`);
  assert.equal(seen.length, before);
});

test('a watch flows piece by piece and ends with the browser', async () => {
  const cookie = await logIn({ token: 'good' });
  await new Promise<void>((resolve, reject) => {
    const request = http.get(
      {
        host: '127.0.0.1',
        port,
        path: '/k8s/api/v1/watch/pods',
        headers: { cookie, 'x-pilothouse-console': '1' },
      },
      (response) => {
        let text = '';
        response.on('data', (piece: Buffer) => {
          text += piece.toString();
          if (!text.includes('"index":2')) return;
          assert.deepEqual(text.match(/"index":\d/g), ['"index":0', '"index":1', '"index":2']);
          request.destroy();
          resolve();
        });
        response.on('error', () => undefined);
        response.on('close', () => reject(new Error(`The watch ended after ${JSON.stringify(text)}`)));
      },
    );
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') reject(error);
    });
  });
  for (let turn = 0; turn < 100 && seen.at(-1)?.method !== 'closed'; turn++)
    await new Promise((resolve) => nodeClock.setTimeout(() => resolve(undefined), 10));
  assert.equal(seen.at(-1)?.method, 'closed');
});

test('a link logs in once; then there is another one', async () => {
  const [first = ''] = links.slice(-1);
  assert.equal(new URL(first).search, '');
  const link = new URL(first).hash.slice('#link='.length);
  const cookie = await logIn({ link });
  assert.equal(JSON.parse((await ask('/session', { headers: { cookie } })).body).user, 'admin');
  const again = await ask('/session', { method: 'POST', body: JSON.stringify({ link }) });
  assert.equal(again.status, 401);
  assert.notEqual(links.at(-1), first);
  await ask('/session', { method: 'DELETE', headers: { cookie } });
  assert.equal((await ask('/k8s/api', { headers: { cookie } })).status, 401);
  assert.deepEqual(JSON.parse((await ask('/session', { headers: { cookie } })).body), {});
});

test('the store is read only for those who may read the object', async () => {
  const cookie = await logIn({ token: 'good' });
  const target = '/store/history?group=&resource=configmaps&namespace=b&name=a';
  const before = storeReads;
  mayGet = false;
  assert.equal((await ask(target, { headers: { cookie } })).status, 403);
  assert.equal((await ask('/store/status', { headers: { cookie } })).status, 403);
  assert.equal((await ask('/drills', { headers: { cookie } })).status, 403);
  assert.equal((await ask('/drills/file?name=one.html', { headers: { cookie } })).status, 403);
  mayGet = true;
  assert.equal(storeReads, before);
  assert.equal((await ask(target)).status, 401);
  const asked = seen
    .filter((each) => each.path.endsWith('accessreviews'))
    .map((each) => JSON.parse(each.body).spec);
  assert.ok(
    asked.some(
      ({ resourceAttributes: right }) =>
        right?.verb === 'get' &&
        right.resource === 'configmaps' &&
        right.namespace === 'b' &&
        right.name === 'a',
    ),
  );
  const history = JSON.parse((await ask(target, { headers: { cookie } })).body);
  assert.equal(history.entries[0].revision, 7);
  assert.equal(history.end, 'created');
  assert.equal(
    (await ask('/store/history?group=secrets&resource=b&namespace=&name=a', { headers: { cookie } })).status,
    400,
  );
});

test('reports are files of their directory, shown without rights', async () => {
  const cookie = await logIn({ token: 'good' });
  assert.deepEqual(
    JSON.parse((await ask('/drills', { headers: { cookie } })).body).reports.map(
      (each: { name: string }) => each.name,
    ),
    ['one.html'],
  );
  const report = await ask('/drills/file?name=one.html', { headers: { cookie }, mark: false });
  assert.equal(report.status, 200);
  assert.match(String(report.headers['content-security-policy']), /^sandbox; default-src 'none'/);
  for (const name of ['../secret.html', '..%2Fsecret.html', 'link.html', '.', 'gone.html', '%00.html'])
    assert.equal((await ask(`/drills/file?name=${name}`, { headers: { cookie } })).status, 404, name);
});

test('logs hold no credentials, codes or session ids', async () => {
  const cookie = await logIn({ token: 'good' });
  const text = logged.join('\n');
  assert.match(text, /Logged in .*"user":"jane","by":"token"/);
  for (const secret of [
    '"good"',
    'Bearer',
    cookie.split('=')[1] as string,
    ...links.map((each) => each.split('=')[1] as string),
  ])
    assert.ok(!text.includes(secret), secret);
});

/** A sample of the console's own metrics; 0 when it is not there. */
function told(series: string): number {
  const line = metrics
    .render()
    .split('\n')
    .find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

test('requests, refused logins and open watches are counted, and no path or user is in a label', async () => {
  const answered = 'pilothouse_console_requests_total{code="200",method="GET",subject="api"}';
  const order = (labels: string): string =>
    metrics
      .render()
      .split('\n')
      .filter((each) => each.startsWith(`pilothouse_console_requests_total{`))
      .find((each) => labels.split(',').every((label) => each.includes(label)))
      ?.replace(/ \S+$/, '') ?? answered;
  const cookie = await logIn({ token: 'good' });
  await ask('/session', { method: 'POST', body: '{"token":"bad"}' });
  const series = order('code="200",method="GET",subject="api"');
  const before = told(series);
  await ask('/k8s/api/v1/secrets/of-jane', { headers: { cookie } });
  assert.equal(told(series), before + 1);
  assert.ok(told('pilothouse_console_logins_total{result="refused"}') >= 1);
  assert.ok(told('pilothouse_console_logins_total{result="accepted"}') >= 1);
  assert.ok(told('pilothouse_console_sessions') >= 1);
  const openBefore = told('pilothouse_console_open_watches');
  await new Promise<void>((resolve, reject) => {
    const request = http.get(
      {
        host: '127.0.0.1',
        port,
        path: '/k8s/api/v1/watch/pods',
        headers: { cookie, 'x-pilothouse-console': '1' },
      },
      (response) => {
        response.on('error', () => undefined);
        response.once('data', () => {
          try {
            assert.equal(told('pilothouse_console_open_watches'), openBefore + 1);
            resolve();
          } catch (error) {
            reject(error as Error);
          }
          request.destroy();
        });
      },
    );
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') reject(error);
    });
  });
  for (let turn = 0; turn < 100 && told('pilothouse_console_open_watches') !== openBefore; turn++)
    await new Promise((resolve) => nodeClock.setTimeout(() => resolve(undefined), 10));
  assert.equal(told('pilothouse_console_open_watches'), openBefore);
  assert.doesNotMatch(metrics.render(), /jane|secrets/);
});
