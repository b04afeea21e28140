import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { FakeClock } from '@pilothouse/testkit';
import { ServerMetrics } from '../metrics/server-metrics.ts';
import { requestInfoOf } from '../request/request-info.ts';
import type { AuditEvent } from './audit-event.ts';
import { auditJson, auditLegacy } from './audit-event.ts';
import { AuditPolicy } from './policy.ts';
import { RotatingFile } from './rotating-file.ts';
import type { BackendOptions } from './sinks.ts';
import { AuditBackend } from './sinks.ts';

const policyOf = (rules: string): AuditPolicy =>
  AuditPolicy.parse(
    `apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n${rules}`,
  );
const user = (name: string, ...groups: string[]) => ({ name, groups });
const info = (method: string, url: string) => requestInfoOf(method, url, new URLSearchParams());

test('the first rule that fits decides', () => {
  const policy = policyOf(`
- {level: None, users: ["system:kube-proxy"], verbs: [watch, get]}
- {level: None, nonResourceURLs: ["/healthz*", "/version"]}
- {level: Metadata, resources: [{group: "", resources: [secrets, configmaps]}], omitManagedFields: true}
- {level: Request, resources: [{group: "", resources: ["pods/status", "*/scale"]}]}
- {level: RequestResponse, resources: [{group: apps, resources: [deployments], resourceNames: [web]}], omitStages: [ResponseStarted]}
- {level: Request, namespaces: [kube-system], resources: [{group: apps}]}
- {level: Metadata, userGroups: [auditors]}
`);
  const level = (method: string, url: string, who = user('jane')): string =>
    policy.decide(info(method, url), who).level;
  assert.equal(level('GET', '/api/v1/pods/x', user('system:kube-proxy')), 'None');
  assert.equal(level('GET', '/healthz/etcd'), 'None');
  assert.equal(level('GET', '/version'), 'None');
  assert.equal(level('GET', '/api/v1/namespaces/a/secrets/s'), 'Metadata');
  assert.equal(level('PUT', '/api/v1/namespaces/a/pods/p/status'), 'Request');
  assert.equal(level('PUT', '/api/v1/namespaces/a/replicationcontrollers/p/scale'), 'Request');
  assert.equal(level('GET', '/apis/apps/v1/namespaces/a/deployments/web'), 'RequestResponse');
  assert.equal(level('GET', '/apis/apps/v1/namespaces/a/deployments/other'), 'None');
  assert.equal(level('GET', '/apis/apps/v1/namespaces/kube-system/daemonsets/x'), 'Request');
  assert.equal(level('GET', '/api/v1/nodes', user('x', 'auditors')), 'Metadata');
  assert.equal(level('GET', '/api/v1/nodes'), 'None');
  const decision = policy.decide(info('GET', '/apis/apps/v1/namespaces/a/deployments/web'), user('jane'));
  assert.deepEqual([...decision.omitStages], ['RequestReceived', 'ResponseStarted']);
  assert.equal(policy.decide(info('GET', '/api/v1/secrets'), user('jane')).omitManagedFields, true);
});

test('a wrong policy is refused with every reason', () => {
  for (const [rules, reason] of [
    ['- {}', /rules\[0\]\.level: Required value/],
    ['- {level: Loud}', /Unsupported value: "Loud"/],
    ['- {level: None, nonResourceURLs: ["healthz"]}', /must begin with a '\/'/],
    ['- {level: None, nonResourceURLs: ["/a*b"]}', /must be the final character/],
    ['- {level: None, nonResourceURLs: ["/a"], namespaces: [x]}', /cannot apply to both/],
    ['- {level: None, resources: [{group: "", resourceNames: [x]}]}', /requires at least one resource/],
    ['- {level: None, resources: [{group: "a/v1"}]}', /without its version/],
    ['- {level: None, omitStages: [Never]}', /allowed stages are/],
    ['- {level: None, levle: x}', /unknown field "rules\[0\]\.levle"/],
    [' []', /policy without rules/],
  ] as const) {
    assert.throws(() => policyOf(rules), reason);
  }
});

const event = (changes: Partial<AuditEvent> = {}): AuditEvent => ({
  level: 'RequestResponse',
  auditID: 'id',
  stage: 'ResponseComplete',
  requestURI: '/api/v1/namespaces/a/pods',
  verb: 'create',
  user: { name: 'jane "x"', groups: ['a', 'b'] },
  impersonatedUser: undefined,
  impersonationConstraint: undefined,
  sourceIPs: ['192.0.2.7'],
  userAgent: 'test',
  objectRef: { resource: 'pods', namespace: 'a', apiVersion: 'v1' },
  responseStatus: { metadata: {}, code: 201 },
  requestObject: '{"kind":"Pod"}',
  responseObject: `{"big":"${'x'.repeat(500)}"}`,
  requestReceivedTimestamp: '2026-01-01T00:00:00.000000Z',
  stageTimestamp: '2026-01-01T00:00:00.001000Z',
  annotations: {},
  ...changes,
});

test('events: JSON that parses, bodies cut when too large, the legacy line', () => {
  const whole = JSON.parse(auditJson(event(), 0) ?? '') as Record<string, unknown>;
  assert.deepEqual(Object.keys(whole).slice(0, 4), ['kind', 'apiVersion', 'level', 'auditID']);
  assert.deepEqual(whole['requestObject'], { kind: 'Pod' });
  const short = JSON.parse(auditJson(event(), 600) ?? '') as Record<string, unknown>;
  assert.equal(short['requestObject'], undefined);
  assert.deepEqual(short['annotations'], { 'audit.k8s.io/truncated': 'true' });
  assert.equal(auditJson(event(), 100), undefined);
  assert.equal(
    auditLegacy(event()),
    '2026-01-01T00:00:00.000000Z AUDIT: id="id" stage="ResponseComplete" ip="192.0.2.7" method="create" user="jane \\"x\\"" groups="\\"a\\",\\"b\\"" as="<self>" asgroups="<lookup>" user-agent="test" namespace="a" uri="/api/v1/namespaces/a/pods" response="201"',
  );
});

const backend = (options: Partial<BackendOptions>, clock: FakeClock) => {
  const metrics = new ServerMetrics({});
  const sink = new AuditBackend(
    {
      name: 'log',
      mode: 'batch',
      batch: { bufferSize: 5, maxSize: 2, maxWaitMs: 1000, throttle: undefined },
      eventBytesMax: 0,
      batchBytesMax: 0,
      format: 'json',
      send: () => undefined,
      ...options,
    },
    { clock, logger: silentLogger, metrics },
  );
  return { sink, lost: () => metrics.auditErrors.cell('log').value };
};
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('batches: full ones at once, the rest in time, too many are lost and counted, close sends all', async () => {
  const clock = new FakeClock();
  const sent: number[] = [];
  let hang: (() => void) | undefined;
  const { sink, lost } = backend(
    {
      send: (lines) => {
        sent.push(lines.length);
        return hang === undefined
          ? undefined
          : new Promise((resolve) => {
              hang = resolve;
            });
      },
    },
    clock,
  );
  sink.write(event());
  await settle();
  assert.deepEqual(sent, []);
  sink.write(event());
  await settle();
  assert.deepEqual(sent, [2]);
  sink.write(event());
  clock.advance(1000);
  await settle();
  assert.deepEqual(sent, [2, 1]);
  hang = () => undefined;
  for (let index = 0; index < 9; index++) sink.write(event());
  assert.ok(lost() > 0);
  const waiting = hang;
  hang = undefined;
  waiting();
  await settle();
});

test('batches are throttled', async () => {
  const clock = new FakeClock();
  const sent: number[] = [];
  const { sink } = backend(
    {
      batch: { bufferSize: 100, maxSize: 1, maxWaitMs: 1000, throttle: { qps: 1, burst: 2 } },
      send: (lines) => void sent.push(lines.length),
    },
    clock,
  );
  for (let index = 0; index < 4; index++) sink.write(event());
  await settle();
  assert.equal(sent.length, 2);
  await clock.advanceAsync(1001);
  await settle();
  assert.equal(sent.length, 3);
  await sink.close();
  assert.equal(sent.length, 4);
});

test('blocking: a backend that fails loses the event and says so', async () => {
  const clock = new FakeClock();
  const { sink, lost } = backend(
    {
      mode: 'blocking',
      send: () => {
        throw new Error('disk full');
      },
    },
    clock,
  );
  assert.equal(sink.write(event()), false);
  assert.equal(lost(), 1);
  const slow = backend({ mode: 'blocking', send: () => Promise.reject(new Error('down')) }, clock);
  assert.equal(await slow.sink.write(event()), false);
});

test('files rotate by size, are packed, and the oldest go', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'audit-'));
  const clock = new FakeClock();
  const rotation = { bytesMax: 100, ageMsMax: 0, backupsMax: 2, compress: true };
  const file = new RotatingFile(path.join(folder, 'audit.log'), rotation, { clock, logger: silentLogger });
  for (let index = 0; index < 9; index++) {
    file.write(`${String(index).repeat(59)}\n`);
    clock.advance(1000);
  }
  await file.close();
  const names = (await readdir(folder)).toSorted();
  assert.equal(names.length, 3, names.join());
  assert.equal(names.filter((name) => name.endsWith('.log.gz')).length, 2, names.join());
  assert.equal(await readFile(path.join(folder, 'audit.log'), 'utf8'), `${'8'.repeat(59)}\n`);
  const again = new RotatingFile(path.join(folder, 'audit.log'), rotation, {
    clock: nodeClock,
    logger: silentLogger,
  });
  again.write('more\n');
  await again.close();
  assert.match(await readFile(path.join(folder, 'audit.log'), 'utf8'), /8\nmore\n$/);
  await rm(folder, { recursive: true });
});
