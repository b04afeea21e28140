import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { silentLogger } from '@pilothouse/base';
import { createAuthority, issueCertificate, nodeClock, nodeRandom } from '@pilothouse/host';
import type { ApiRegistry } from '../registry/registry.ts';
import { createRegistry } from '../registry/registry.ts';
import type { ApiServer } from '../server.ts';
import { MemoryKeyValueStore } from '../storage/memory/memory-key-value-store.ts';
import { testServer } from '../testing/test-server.ts';
import { Aggregator } from './aggregator.ts';

const clock = nodeClock;
const random = nodeRandom;
const base = '/apis/wardle.example.com/v1alpha1';
const apiServices = '/apis/apiregistration.k8s.io/v1/apiservices';

let registry: ApiRegistry;
let server: ApiServer;
let aggregator: Aggregator;
let remote: Server;
let port: number;
/** What the other server saw last: of requests that are not the aggregator's own. */
let seen: { headers: IncomingHttpHeaders; client: string; body: string } | undefined;

before(async () => {
  const life = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 };
  const authority = await createAuthority('remote', life.notBefore, life.notAfter);
  const serving = await issueCertificate(authority, {
    commonName: 'api.wardle.svc',
    hosts: ['api.wardle.svc'],
    usage: 'server',
    ...life,
  });
  const proxies = await createAuthority('proxies', life.notBefore, life.notAfter);
  const certificate = await issueCertificate(proxies, {
    commonName: 'front-proxy',
    usage: 'client',
    ...life,
  });
  remote = createServer(
    {
      cert: serving.certPem,
      key: serving.keyPem,
      ca: proxies.certPem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        const { url = '' } = request;
        const client = String((request.socket as TLSSocket).getPeerCertificate().subject.CN);
        if (request.headers['x-remote-user'] !== 'system:kube-aggregator') {
          seen = { headers: request.headers, client, body };
        }
        if (url === '/redirect' || url.endsWith('/flunders/moved')) {
          response.writeHead(302, { location: 'https://elsewhere/' }).end();
          return;
        }
        if (url.startsWith('/openapi/v3/')) {
          response.end('{"openapi":"3.0.0"}');
          return;
        }
        const answer: Record<string, object> = {
          [base]: {
            kind: 'APIResourceList',
            resources: [
              {
                name: 'flunders',
                singularName: 'flunder',
                namespaced: true,
                kind: 'Flunder',
                verbs: ['get'],
              },
              {
                name: 'flunders/status',
                singularName: '',
                namespaced: true,
                kind: 'Flunder',
                verbs: ['get'],
              },
            ],
          },
          '/openapi/v3': { paths: { [base.slice(1)]: { serverRelativeURL: `/openapi/v3${base}?hash=H1` } } },
          '/openapi/v2': { paths: { [`${base}/flunders`]: {}, '/api/v1/pods': {} }, definitions: {} },
          [`${base}/namespaces/default/flunders`]: { kind: 'FlunderList', items: [] },
        };
        const found = answer[url];
        response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
        response.end(JSON.stringify(found ?? { kind: 'Status', code: 404 }));
      });
    },
  );
  remote.on('upgrade', (request, socket) => {
    seen = { headers: request.headers, client: '', body: '' };
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => remote.listen(0, '127.0.0.1', resolve));
  ({ port } = remote.address() as AddressInfo);
  registry = createRegistry({ store: new MemoryKeyValueStore({ now: () => Date.now() }), clock, random });
  aggregator = new Aggregator({
    client: registry.client,
    clock,
    random,
    logger: silentLogger,
    certificate,
    endpointsOnly: false,
  });
  ({ server } = await testServer({ registry, delegate: (exchange) => aggregator.delegate(exchange) }));
  await registry.start();
  await aggregator.start(server);
  await server.listen('127.0.0.1', 0);

  await call('POST', '/api/v1/namespaces', { metadata: { name: 'wardle' } });
  // Addresses of this machine alone may not be endpoints.
  await call('POST', '/api/v1/namespaces/wardle/services', {
    metadata: { name: 'api' },
    spec: { type: 'ExternalName', externalName: 'localhost' },
  });
  const { status } = await call('POST', apiServices, {
    metadata: { name: 'v1alpha1.wardle.example.com' },
    spec: {
      group: 'wardle.example.com',
      version: 'v1alpha1',
      service: { namespace: 'wardle', name: 'api', port },
      caBundle: Buffer.from(authority.certPem).toString('base64'),
      groupPriorityMinimum: 2000,
      versionPriority: 200,
    },
  });
  assert.equal(status, 201);
  await until(async () => (await available()).status === 'True');
});

after(async () => {
  aggregator.stop();
  registry.close();
  remote.closeAllConnections();
  remote.close();
  await server.close();
});

async function call(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
  headers: Record<string, string> = {},
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any document
): Promise<{ status: number; text: string; body: any }> {
  const response = await fetch(`http://127.0.0.1:${server.address?.port}${path}`, {
    method,
    redirect: 'manual',
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  return { status: response.status, text, body: parsed };
}

async function available(): Promise<{ status: string; reason: string; message: string }> {
  const { body } = await call('GET', `${apiServices}/v1alpha1.wardle.example.com`);
  return body.status?.conditions?.find(({ type }: { type: string }) => type === 'Available') ?? {};
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > end)
      throw new Error(`It did not happen within 10 s: ${JSON.stringify(await available())}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function discovered(): Promise<
  { freshness: string; resources?: { subresources?: object[] }[] } | undefined
> {
  const { body } = await call('GET', '/apis', undefined, {
    accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
  });
  return body.items.find(
    ({ metadata }: { metadata: { name: string } }) => metadata.name === 'wardle.example.com',
  )?.versions[0];
}

test('a server that answers is available, and what it serves is discovered', async () => {
  const { reason, message } = await available();
  assert.deepEqual({ reason, message }, { reason: 'Passed', message: 'all checks passed' });
  await until(async () => (await discovered())?.freshness === 'Current');
  assert.equal((await discovered())?.resources?.[0]?.subresources?.length, 1);
  const { body } = await call('GET', '/apis/wardle.example.com');
  assert.equal(body.preferredVersion.version, 'v1alpha1');
});

test('requests go on with the name of who asks, and with no name that the client made up', async () => {
  const { status, body } = await call('GET', `${base}/namespaces/default/flunders`, undefined, {
    user: 'jane',
    authorization: 'Bearer secret',
    'x-remote-user': 'admin',
    'x-remote-extra-scopes': 'all',
  });
  assert.equal(status, 200);
  assert.equal(body.kind, 'FlunderList');
  assert.equal(seen?.client, 'front-proxy');
  const { headers } = seen;
  assert.equal(headers['x-remote-user'], 'jane');
  assert.equal(headers['x-remote-group'], 'system:masters');
  assert.equal(headers['x-remote-extra-scopes'], undefined);
  assert.equal(headers['authorization'], undefined);
});

test('bodies and refusals go through, redirects do not', async () => {
  const { status } = await call('POST', `${base}/namespaces/default/nothing`, { a: 1 });
  assert.equal(status, 404);
  assert.equal(seen?.body, '{"a":1}');
  const moved = await call('GET', `${base}/namespaces/default/flunders/moved`);
  assert.equal(moved.status, 502);
  assert.match(moved.text, /the backend attempted to redirect this request/);
});

test('a connection that leaves HTTP goes through', async () => {
  const request = httpRequest({
    host: '127.0.0.1',
    port: server.address?.port,
    path: `${base}/namespaces/default/flunders/x/exec`,
    headers: { connection: 'Upgrade', upgrade: 'echo', user: 'jane' },
  });
  request.end();
  const socket = await new Promise<Duplex>((resolve, reject) => {
    request.once('upgrade', (_response, opened) => resolve(opened));
    request.once('error', reject);
  });
  socket.write('hello');
  const [echo] = (await new Promise((resolve) => socket.once('data', (data) => resolve([data])))) as [Buffer];
  assert.equal(echo.toString(), 'hello');
  assert.equal(seen?.headers['x-remote-user'], 'jane');
  socket.destroy();
});

test('OpenAPI documents of the other server stand among the own ones', async () => {
  await until(async () => (await call('GET', '/openapi/v3')).text.includes('hash=H1'));
  const document = await call('GET', `/openapi/v3${base}?hash=H1`);
  assert.deepEqual(document.body, { openapi: '3.0.0' });
  const { body } = await call('GET', '/openapi/v2');
  assert.ok(`${base}/flunders` in body.paths);
});

test('a server that went away is unavailable and stale; without its APIService nothing is left', async () => {
  remote.closeAllConnections();
  await new Promise((resolve) => remote.close(resolve));
  // A change of the service has the server looked at again at once.
  const service = '/api/v1/namespaces/wardle/services/api';
  const { body } = await call('GET', service);
  await call('PUT', service, { ...body, metadata: { ...body.metadata, annotations: { changed: 'true' } } });
  await until(async () => (await available()).status === 'False');
  const { reason, message } = await available();
  assert.equal(reason, 'FailedDiscoveryCheck');
  assert.match(message, new RegExp(`https://localhost:${port}${base}.*connection refused`));
  await until(async () => (await discovered())?.freshness === 'Stale');
  const answer = await call('GET', `${base}/flunders`);
  assert.deepEqual([answer.status, answer.text], [503, 'service unavailable\n']);
  await call('DELETE', `${apiServices}/v1alpha1.wardle.example.com`);
  await until(async () => (await discovered()) === undefined);
  assert.ok(!(await call('GET', '/openapi/v3')).text.includes('H1'));
});
