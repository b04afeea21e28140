import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container } from '../pod-shape.ts';
import { ConfigError, containerEnvironment } from './environment.ts';
import { expand } from './expand.ts';
import { commandOf, imageDirectories, parseImage } from './image-reference.ts';
import { formatEntry, LineCutter, parseEntry } from './log-line.ts';
import { LogRenderer, parseLogQuery } from './log-query.ts';
import { ProbeState } from './probe-state.ts';
import { safePath, volumeFiles } from './volume-files.ts';

test('expansion follows the rules of command and args', () => {
  const variables = { A: '1', 'B.C': '2' };
  for (const [text, wanted] of [
    ['$(A)-$(B.C)', '1-2'],
    ['$$(A)', '$(A)'],
    ['$(NONE) $A ${A} $', '$(NONE) $A ${A} $'],
    ['$(A', '$(A'],
    ['$$$(A)', '$1'],
  ] as const)
    assert.equal(expand(text, variables), wanted, text);
});

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'n', uid: 'u', labels: { a: 'x', b: 'y' } },
  spec: { containers: [], serviceAccountName: 'sa' },
};
function environment(container: Partial<Container>): Record<string, string> {
  return containerEnvironment({
    pod: pod as never,
    container: { name: 'c', image: 'i', ...container },
    podIp: '127.1.0.2',
    hostIp: '127.1.0.1',
    nodeName: 'node-0',
    allocatable: { cpu: '8', memory: '1Gi' },
    services: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'my-db', namespace: 'n' },
        spec: { clusterIP: '10.0.0.9', ports: [{ name: 'sql', port: 5432 }] },
      } as never,
    ],
    configMap: (name) => (name === 'cm' ? { K: 'v', 'bad key': 'x' } : undefined),
    secret: (name) => (name === 's' ? { P: 'w' } : undefined),
  });
}

test('variables come from links, maps, secrets, fields and resources, later ones see earlier ones', () => {
  const env = environment({
    envFrom: [
      { prefix: 'X_', configMapRef: { name: 'cm' } },
      { secretRef: { name: 'none', optional: true } },
    ],
    env: [
      { name: 'ONE', value: '1' },
      { name: 'TWO', value: '$(ONE)$(X_K)$(MY_DB_SERVICE_PORT)' },
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['b']" } } },
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'requests.memory', divisor: '1Mi' } } },
      { name: 'SECRET', valueFrom: { secretKeyRef: { name: 's', key: 'P' } } },
      { name: 'GONE', valueFrom: { secretKeyRef: { name: 's', key: 'Q', optional: true } } },
    ],
    resources: { requests: { memory: '100Mi' } },
  });
  assert.equal(env['TWO'], '1v5432');
  assert.equal(env['MY_DB_PORT_5432_TCP'], 'tcp://10.0.0.9:5432');
  assert.deepEqual(
    [env['IP'], env['LABEL'], env['CPU'], env['MEM'], env['SECRET'], env['GONE'], env['X_bad key']],
    ['127.1.0.2', 'y', '8', '100', 'w', undefined, undefined],
  );
  assert.throws(() => environment({ envFrom: [{ configMapRef: { name: 'none' } }] }), ConfigError);
  assert.throws(
    () => environment({ env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cm', key: 'Z' } } }] }),
    /couldn't find key Z in ConfigMap n\/cm/,
  );
});

test('images are names of directories, their configuration gives way to command and args', () => {
  assert.deepEqual(
    imageDirectories(parseImage('reg.example:5000/team/app:v1') ?? { repository: '', tag: '' }),
    ['reg.example:5000/team/app:v1', 'reg.example:5000/team/app', 'app:v1', 'app'],
  );
  assert.equal(parseImage('registry.k8s.io/e2e-test-images/agnhost:2.53')?.tag, '2.53');
  assert.equal(parseImage(`busybox@sha256:${'a'.repeat(64)}`)?.repository, 'busybox');
  for (const bad of [
    '',
    'UPPER/case',
    'a b',
    '../up',
    '/etc',
    'a//b:',
    'a/../b',
    'a.b/../c',
    '..:1/x',
    'x:../y',
  ])
    assert.equal(parseImage(bad), undefined, bad);
  const config = { Entrypoint: ['e'], Cmd: ['c'] };
  assert.deepEqual(commandOf(config, undefined, undefined), ['e', 'c']);
  assert.deepEqual(commandOf(config, undefined, ['a']), ['e', 'a']);
  assert.deepEqual(commandOf(config, ['x'], undefined), ['x']);
});

test('volumes: keys as files, chosen items with modes, no way out', () => {
  const input = {
    pod: pod as never,
    podIp: '',
    hostIp: '',
    nodeName: '',
    allocatable: {},
    configMap: () =>
      ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: {},
        data: { a: '1' },
        binaryData: { b: 'AQI=' },
      }) as never,
    secret: () => undefined,
    token: () => 'jwt',
  };
  const files = volumeFiles({ name: 'v', configMap: { name: 'cm' } }, input);
  assert.deepEqual(
    files.map((each) => [each.path, Buffer.from(each.data).toString('hex'), each.mode]),
    [
      ['a', '31', 0o644],
      ['b', '0102', 0o644],
    ],
  );
  const [token] = volumeFiles(
    { name: 'v', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
    input,
  );
  assert.equal(Buffer.from(token?.data ?? []).toString(), 'jwt');
  assert.throws(() => volumeFiles({ name: 'v', secret: { secretName: 'x' } }, input), /secret "x" not found/);
  for (const path of ['../x', '/x', 'a/../../x', '']) assert.throws(() => safePath(path), path);
});

test('log entries: lines, pieces, tails, times and limits', () => {
  const cutter = new LineCutter();
  assert.deepEqual(
    [
      ...cutter.push(Buffer.from('a\nb')),
      ...cutter.push(Buffer.from('c\n')),
      ...cutter.push(Buffer.from('d')),
    ].map((each) => each.text.toString()),
    ['a', 'bc'],
  );
  assert.deepEqual(
    cutter.finish().map((each) => [each.text.toString(), each.complete]),
    [['d', false]],
  );
  const long = new LineCutter().push(Buffer.from(`${'x'.repeat(20_000)}\n`));
  assert.deepEqual(
    long.map((each) => [each.text.length, each.complete]),
    [
      [16_384, false],
      [3_616, true],
    ],
  );
  const time = '2026-01-02T03:04:05.000000000Z';
  const entry = { time, stream: 'stderr', complete: true, text: Buffer.from('hi there') } as const;
  assert.deepEqual(parseEntry(formatEntry(entry).subarray(0, -1)), entry);
  for (const bad of ['', 'x', 'x stdout', 'no-time stdout F x', `${time} stdin F x`])
    assert.equal(parseEntry(Buffer.from(bad)), undefined, bad);
  const query = parseLogQuery(new URLSearchParams('timestamps=true&limitBytes=34'), 0);
  const renderer = new LogRenderer(query);
  assert.equal(renderer.render(entry).toString(), `${time} hi `);
  assert.equal(renderer.exhausted, true);
  assert.throws(() => parseLogQuery(new URLSearchParams('tailLines=-1'), 0), /Invalid request/);
  assert.throws(() => parseLogQuery(new URLSearchParams('tailLines=x'), 0), /Unable to decode/);
});

test('a probe changes its mind only after enough outcomes in a row', () => {
  const state = new ProbeState('readiness', { successThreshold: 2, failureThreshold: 3 });
  const seen = [true, true, false, false, true, false, false, false].map((each) => {
    state.record(each);
    return state.result;
  });
  assert.deepEqual(seen, [undefined, true, true, true, true, true, true, false]);
});
