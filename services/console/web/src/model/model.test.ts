import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTexts } from './difference.ts';
import { applyBody, onVersion, problemOf, versionOf, withoutManagedFields } from './document.ts';
import { eventCount, lastSeen } from './event-list.ts';
import { kindsOf, resourcePath } from './kinds.ts';
import { JsonLines } from './lines.ts';
import { formatRoute, parseRoute, type Route } from './route.ts';
import { age, cellText, compareRows, TableStore } from './table.ts';

const yaml = `apiVersion: v1
data:
  text: |
    metadata:
      managedFields:
    x
kind: ConfigMap
metadata:
  managedFields:
  - apiVersion: v1
    fieldsV1:
      f:data: {}
    manager: kubectl
  name: a
  resourceVersion: "12"
`;

test('managed fields go, texts that look like them stay', () => {
  assert.equal(
    withoutManagedFields(yaml),
    'apiVersion: v1\ndata:\n  text: |\n    metadata:\n      managedFields:\n    x\nkind: ConfigMap\nmetadata:\n  name: a\n  resourceVersion: "12"\n',
  );
  const last = 'metadata:\n  name: a\n  managedFields:\n  - manager: x\nspec: {}\n';
  assert.equal(withoutManagedFields(last), 'metadata:\n  name: a\nspec: {}\n');
});

test('the version of a text is read and replaced', () => {
  assert.equal(versionOf(yaml), '12');
  assert.equal(versionOf(onVersion(yaml, '99')), '99');
  assert.equal(onVersion('metadata:\n  name: a\n', '5'), 'metadata:\n  resourceVersion: "5"\n  name: a\n');
});

test('a text that is no object says where', () => {
  assert.equal(problemOf(yaml), undefined);
  assert.match(problemOf('a: b: c') ?? '', /^Line 1, column \d+: /);
  assert.equal(problemOf('- a'), 'That is no object');
  assert.equal(problemOf('a: 1'), 'apiVersion and kind are missing');
});

test('an apply sends what people write', () => {
  assert.deepEqual(JSON.parse(applyBody(`${yaml}  uid: u\n  generation: 3\nstatus: {a: 1}\n`)), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    data: { text: 'metadata:\n  managedFields:\nx\n' },
    metadata: { name: 'a' },
  });
});

test('comparisons number lines and leave out what is far from changes', () => {
  const before = Array.from({ length: 20 }, (_, index) => `line ${index + 1}`).join('\n');
  const parts = compareTexts(before, before.replace('line 10', 'other'), 1);
  assert.deepEqual(parts, [
    { hidden: 8 },
    {
      lines: [
        { kind: 'same', text: 'line 9', before: 9, after: 9 },
        { kind: 'removed', text: 'line 10', before: 10 },
        { kind: 'added', text: 'other', after: 10 },
        { kind: 'same', text: 'line 11', before: 11, after: 11 },
      ],
    },
    { hidden: 9 },
  ]);
  assert.deepEqual(compareTexts('a\n', 'a\n'), [{ hidden: 1 }]);
});

test('lines that are cut anywhere come out whole', () => {
  const lines = new JsonLines();
  assert.deepEqual(lines.take('{"a":1}\n{"b"'), [{ a: 1 }]);
  assert.deepEqual(lines.take(':2}'), []);
  assert.deepEqual(lines.take('\n\n'), [{ b: 2 }]);
});

test('routes come back as they were', () => {
  const routes: Route[] = [
    { at: 'health' },
    { at: 'list', group: '', version: 'v1', plural: 'pods', namespace: '' },
    {
      at: 'object',
      group: 'rbac.authorization.k8s.io',
      version: 'v1',
      plural: 'clusterroles',
      namespace: '',
      name: 'system:a/b c',
      tab: 'history',
    },
    { at: 'events', namespace: 'default' },
    { at: 'drills', report: 'a.html' },
  ];
  for (const route of routes) assert.deepEqual(parseRoute(formatRoute(route)), route);
  for (const bad of ['', '#', '#/x', '#/list/a', '#/object/%/1/2/3/4', '#link=abc'])
    assert.deepEqual(parseRoute(bad), { at: 'health' }, bad);
});

const row = (name: string, restarts: number, creationTimestamp = '2026-01-01T00:00:00Z') => ({
  cells: [name, restarts, '5s'],
  object: { metadata: { name, namespace: 'n', creationTimestamp } },
});
const columns = ['Name', 'Restarts', 'Age'].map((name) => ({ name, type: 'string', priority: 0 }));

test('a table takes pages and changes, and keeps its columns', () => {
  const store = new TableStore();
  store.take('ADDED', { columnDefinitions: columns, rows: [row('b', 1), row('a', 2)] });
  store.take('MODIFIED', { columnDefinitions: [], rows: [row('b', 9)] });
  store.take('ADDED', { rows: [row('c', 0)] });
  store.take('DELETED', { rows: [row('a', 2)] });
  assert.deepEqual(
    store.rows.map((each) => each.cells.slice(0, 2)),
    [
      ['b', 9],
      ['c', 0],
    ],
  );
  assert.equal(store.columns.length, 3);
  store.take('BOOKMARK', { columnDefinitions: null, rows: null });
  store.reset();
  assert.deepEqual(store.rows, []);
});

test('rows are sorted as what they hold, ages go on', () => {
  const now = Date.parse('2026-01-01T00:10:00Z');
  const [x, y] = [row('pod-9', 10), row('pod-10', 9, '2026-01-01T00:05:00Z')];
  const [name, restarts, born] = columns as [(typeof columns)[0], (typeof columns)[0], (typeof columns)[0]];
  assert.ok(compareRows(x, y, name, 0) < 0);
  assert.ok(compareRows(x, y, restarts, 1) > 0);
  assert.ok(compareRows(x, y, born, 2) > 0);
  assert.equal(cellText(x, born, 2, now), '10m');
  assert.equal(cellText(x, restarts, 1, now), '10');
});

test('ages are those of kubectl', () => {
  const second = 1000;
  const cases: [number, string][] = [
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [432, '7m12s'],
    [3 * 3600, '3h'],
    [3 * 3600 + 300, '3h5m'],
    [50 * 3600, '2d2h'],
    [30 * 86400, '30d'],
    [800 * 86400, '2y70d'],
  ];
  for (const [seconds, text] of cases) assert.equal(age(seconds * second), text);
});

test('kinds that can be listed, in the preferred version', () => {
  const kinds = kindsOf([
    {
      items: [
        {
          metadata: { name: 'batch' },
          versions: [
            {
              version: 'v1',
              resources: [
                {
                  resource: 'jobs',
                  responseKind: { kind: 'Job' },
                  scope: 'Namespaced',
                  verbs: ['list', 'get'],
                },
              ],
            },
            {
              version: 'v1beta1',
              resources: [
                { resource: 'jobs', responseKind: { kind: 'Job' }, scope: 'Namespaced', verbs: ['list'] },
                { resource: 'reviews', scope: 'Cluster', verbs: ['create'] },
              ],
            },
          ],
        },
      ],
    },
    {},
  ]);
  assert.equal(kinds.length, 1);
  assert.equal(kinds[0]?.version, 'v1');
  const [job] = kinds;
  assert.ok(job);
  assert.equal(resourcePath(job, 'a', 'b/c'), '/k8s/apis/batch/v1/namespaces/a/jobs/b%2Fc');
  assert.equal(resourcePath({ group: '', version: 'v1', plural: 'nodes' }, ''), '/k8s/api/v1/nodes');
});

test('events of old and new writers', () => {
  const metadata = { name: 'e', creationTimestamp: '2026-01-01T00:00:00Z' };
  assert.equal(
    lastSeen({ metadata, lastTimestamp: null, eventTime: '2026-01-01T00:00:09.000000Z' }),
    Date.parse('2026-01-01T00:00:09Z'),
  );
  const series = { count: 4, lastObservedTime: '2026-01-01T00:01:00Z' };
  assert.equal(
    lastSeen({ metadata, series, eventTime: '2026-01-01T00:00:09Z' }),
    Date.parse(series.lastObservedTime),
  );
  assert.equal(eventCount({ metadata, series, count: 1 }), 4);
  assert.equal(lastSeen({ metadata }), Date.parse(metadata.creationTimestamp));
});
