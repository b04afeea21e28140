import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { createAuthority, issueCertificate, nodeClock, nodeRandom } from '@pilothouse/host';
import { ServerMetrics } from '../metrics/server-metrics.ts';
import type { AuditEvent } from './audit-event.ts';
import { AuditWebhook } from './audit-webhook.ts';
import type { AuditMode } from './sinks.ts';
import { AuditBackend } from './sinks.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-audit-'));
const kubeconfig = path.join(directory, 'webhook.yaml');
/** Statuses of the next answers; then 200. */
let statuses: number[] = [];
let lists: { readonly items: readonly { readonly auditID: string }[] }[] = [];
let authorizations: (string | undefined)[] = [];
let server: https.Server;

before(async () => {
  const nowMs = nodeClock.now();
  const life = { notBefore: nowMs - 60_000, notAfter: nowMs + 3_600_000 };
  const authority = await createAuthority('audit', life.notBefore, life.notAfter);
  const tls = await issueCertificate(authority, {
    commonName: 'x',
    hosts: ['localhost'],
    usage: 'server',
    ...life,
  });
  server = https.createServer({ cert: tls.certPem, key: tls.keyPem }, (request, response) => {
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => {
      lists.push(JSON.parse(text) as (typeof lists)[number]);
      authorizations.push(request.headers.authorization);
      response.writeHead(statuses.shift() ?? 200).end('anything');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const ca = Buffer.from(authority.certPem).toString('base64');
  const { port } = server.address() as AddressInfo;
  writeFileSync(
    kubeconfig,
    `clusters: [{name: c, cluster: {server: "https://localhost:${port}/events", certificate-authority-data: ${ca}}}]
users: [{name: u, user: {token: tok}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`,
  );
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

function backend(mode: AuditMode, answers: readonly number[] = []) {
  statuses = [...answers];
  lists = [];
  authorizations = [];
  const webhook = new AuditWebhook(kubeconfig, 1, {
    clock: nodeClock,
    random: nodeRandom,
    logger: silentLogger,
  });
  const metrics = new ServerMetrics({});
  const sink = new AuditBackend(
    {
      name: 'webhook',
      mode,
      batch: { bufferSize: 10, maxSize: 2, maxWaitMs: 5, throttle: undefined },
      eventBytesMax: 0,
      batchBytesMax: 0,
      format: 'json',
      send: (lines) => webhook.send(lines),
      end: async () => webhook.close(),
    },
    { clock: nodeClock, logger: silentLogger, metrics },
  );
  return { sink, lost: () => metrics.auditErrors.cell('webhook').value };
}

const event = (auditID: string): AuditEvent =>
  ({
    level: 'Metadata',
    auditID,
    stage: 'ResponseComplete',
    requestURI: '/api',
    verb: 'get',
    user: { name: 'u', groups: [] },
    sourceIPs: [],
    userAgent: '',
    requestReceivedTimestamp: '2026-01-01T00:00:00.000000Z',
    stageTimestamp: '2026-01-01T00:00:00.000000Z',
    annotations: {},
  }) as unknown as AuditEvent;

const told = (): string[][] => lists.map(({ items }) => items.map(({ auditID }) => auditID));

test('a server that fails for a while gets the same events again, and loses none', async () => {
  const { sink, lost } = backend('batch', [500, 429, 503]);
  sink.write(event('a'));
  sink.write(event('b'));
  sink.write(event('c'));
  await sink.close();
  assert.deepEqual(told(), [['a', 'b'], ['a', 'b'], ['a', 'b'], ['a', 'b'], ['c']]);
  assert.equal(lost(), 0);
  assert.deepEqual([...new Set(authorizations)], ['Bearer tok']);
});

test('five attempts, then the events are lost and counted; a refusal is not sent again', async () => {
  const failing = backend('batch', [500, 500, 500, 500, 500]);
  failing.sink.write(event('a'));
  failing.sink.write(event('b'));
  await failing.sink.close();
  assert.equal(told().length, 5);
  assert.equal(failing.lost(), 2);
  const refusing = backend('batch', [403]);
  refusing.sink.write(event('a'));
  await refusing.sink.close();
  assert.equal(told().length, 1);
  assert.equal(refusing.lost(), 1);
});

test('blocking waits for the answer and says when an event is lost', async () => {
  const { sink, lost } = backend('blocking-strict', [500, 200, 403]);
  assert.equal(await sink.write(event('a')), true);
  assert.deepEqual(told(), [['a'], ['a']]);
  assert.equal(await sink.write(event('b')), false);
  assert.equal(lost(), 1);
  await sink.close();
});
