import type { Json, Own, Sequence, Step } from './sequence-runner.ts';

const maps = (own: Own): string => `/api/v1/namespaces/${own.namespace}/configmaps`;
const deployments = (own: Own): string => `/apis/apps/v1/namespaces/${own.namespace}/deployments`;
const map = (more: Json = {}): Json => ({ metadata: { name: 'm' }, ...more });
const deployment = (spec: Json = {}): Json => ({
  metadata: { name: 'd' },
  spec: {
    selector: { matchLabels: { app: 'd' } },
    template: { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    ...spec,
  },
});

const post = (path: Step['path'], body: Json | string, more: Partial<Step> = {}): Step => ({
  method: 'POST',
  path,
  body: () => body,
  ...more,
});
const put = (path: Step['path'], body: Json, more: Partial<Step> = {}): Step => ({
  ...post(path, body, more),
  method: 'PUT',
});
const patch = (path: Step['path'], body: Json | string, more: Partial<Step> = {}): Step => ({
  ...post(path, body, more),
  method: 'PATCH',
});
const get = (path: Step['path'], more: Partial<Step> = {}): Step => ({ method: 'GET', path, ...more });
const remove = (path: Step['path'], more: Partial<Step> = {}): Step => ({ method: 'DELETE', path, ...more });

const named = (own: Own): string => `${maps(own)}/m`;
const operations = (count: number): string =>
  JSON.stringify(Array.from({ length: count }, () => ({ op: 'test', path: '/data', value: {} })));
const jsonPatch = { rawType: 'application/json-patch+json' } as const;

/** Groups of bad input by their number in docs/bad-input.md. */
const groups: readonly (readonly [group: string, steps: readonly Step[]])[] = [
  ['1 no document', [post(maps, '{'), post(maps, 'a: [', { rawType: 'application/yaml' }), post(maps, '')]],
  [
    '1 no protobuf',
    [
      post(maps, 'k8s', { rawType: 'application/vnd.kubernetes.protobuf' }),
      post(maps, '[]'),
      post(maps, 'null'),
      post(maps, '"x"'),
    ],
  ],
  [
    '2 wrong JSON type',
    [post(deployments, deployment({ replicas: '3' })), post(maps, map({ data: { a: 1 } }))],
  ],
  [
    '3 quantity, int or string',
    [
      post((own) => `/api/v1/namespaces/${own.namespace}/persistentvolumeclaims`, {
        metadata: { name: 'p' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1x' } } },
      }),
      post((own) => `/api/v1/namespaces/${own.namespace}/services`, {
        metadata: { name: 's' },
        spec: { ports: [{ port: 80, targetPort: { a: 1 } }] },
      }),
    ],
  ],
  [
    '4 apiVersion and kind',
    [
      post(maps, map({ apiVersion: 'v1', kind: 'Secret' })),
      post(maps, map({ apiVersion: 'apps/v1', kind: 'ConfigMap' })),
    ],
  ],
  ['5 namespace', [post(maps, { metadata: { name: 'm', namespace: 'other' } })]],
  ['6 name of a PUT', [post(maps, map()), put(named, { metadata: { name: 'other' } })]],
  [
    '7 names that are none',
    ['Bad_Name', '-a', '..', 'a/b', 'a%b', 'é', ' '].map((name) => post(maps, { metadata: { name } })),
  ],
  ['8 long names', [post(maps, { metadata: { name: 'x'.repeat(254) } })]],
  ['9 no name', [post(maps, { metadata: {} }), post(maps, {})]],
  ['10 missing namespace', [post(() => '/api/v1/namespaces/not-there/configmaps', map())]],
  ['12 a name that exists', [post(maps, map()), post(maps, map())]],
  [
    '13 old resourceVersion',
    [post(maps, map()), put(named, { metadata: { name: 'm', resourceVersion: '1' }, data: { a: '1' } })],
  ],
  [
    '14 no resourceVersion',
    [
      post((own) => `/apis/coordination.k8s.io/v1/namespaces/${own.namespace}/leases`, {
        metadata: { name: 'l' },
      }),
      put((own) => `/apis/coordination.k8s.io/v1/namespaces/${own.namespace}/leases/l`, {
        metadata: { name: 'l' },
      }),
    ],
  ],
  ['15 resourceVersion of a create', [post(maps, { metadata: { name: 'm', resourceVersion: '5' } })]],
  ['17 PUT of what is missing', [put((own) => `${maps(own)}/none`, { metadata: { name: 'none' } })]],
  [
    '18 unknown groups and paths',
    ['/apis/none.example.com/v1/things', '/apis/apps/v9/deployments', '/nothing/here', '/api/v2'].map(
      (path) => get(() => path),
    ),
  ],
  [
    '19 unknown resources',
    [get(() => '/api/v1/nothings'), get((own) => `/api/v1/namespaces/${own.namespace}/nodes2/x`)],
  ],
  [
    '20 verbs',
    [
      post(named, map()),
      put(maps, map()),
      patch(maps, map()),
      post(() => '/api/v1/componentstatuses', map()),
    ],
  ],
  ['21 content types', [post(maps, 'x', { rawType: 'text/plain' }), post(maps, '{}', { rawType: 'a/b; q' })]],
  [
    '22 what is accepted',
    ['image/png', 'application/json;as=Table;v=v9;g=meta.k8s.io', 'text/html;q=0'].map((accept) =>
      get(maps, { accept }),
    ),
  ],
  [
    '23 types of patches',
    [
      post(maps, map()),
      patch(named, '{}', { rawType: 'application/json' }),
      patch(named, '{}', { rawType: 'text/yaml' }),
    ],
  ],
  [
    '24 immutable fields',
    [
      post(deployments, deployment()),
      patch((own) => `${deployments(own)}/d`, {
        spec: {
          selector: { matchLabels: { app: 'x' } },
          template: { metadata: { labels: { app: 'x' } } },
        },
      }),
      post((own) => `/api/v1/namespaces/${own.namespace}/secrets`, {
        metadata: { name: 's' },
        immutable: true,
      }),
      patch((own) => `/api/v1/namespaces/${own.namespace}/secrets/s`, { data: { a: 'YQ==' } }),
      patch((own) => `/api/v1/namespaces/${own.namespace}/secrets/s`, { type: 'other' }),
    ],
  ],
  [
    '25 unknown and duplicate fields',
    ['Strict', 'Warn', 'Ignore'].flatMap((mode) => [
      post(
        (own) => `${maps(own)}?dryRun=All&fieldValidation=${mode}`,
        '{"metadata":{"name":"u"},"dta":{},"data":{"a":"1"},"data":{"b":"2"}}',
      ),
      post(
        (own) => `${maps(own)}?dryRun=All&fieldValidation=${mode}`,
        'metadata: {name: u, x: 1}\ndata: {a: b}\ndata: {c: d}\n',
        { rawType: 'application/yaml' },
      ),
    ]),
  ],
  [
    '26 options',
    [
      post((own) => `${maps(own)}?dryRun=foo`, map()),
      post((own) => `${maps(own)}?fieldValidation=foo`, map()),
      post((own) => `${maps(own)}?fieldManager=${'x'.repeat(200)}`, map()),
      remove((own) => `${named(own)}?propagationPolicy=foo`),
      remove((own) => `${named(own)}?gracePeriodSeconds=x`),
      remove(named, { body: () => ({ propagationPolicy: 'Orphan', orphanDependents: true }) }),
    ],
  ],
  [
    '27 label selectors',
    ['a in (', '((', 'a=b,,c', '%ff', 'a b', '=x', `${'x'.repeat(70)}=y`].map((text) =>
      get((own) => `${maps(own)}?labelSelector=${text.startsWith('%') ? text : encodeURIComponent(text)}`),
    ),
  ],
  [
    '28 field selectors',
    ['spec.none=x', 'metadata.name', 'metadata.name=a=b', 'a\\=b'].map((text) =>
      get((own) => `${maps(own)}?fieldSelector=${encodeURIComponent(text)}`),
    ),
  ],
  [
    '29 continue',
    ['x', 'e30', 'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLiJ9'].map((token) =>
      get((own) => `${maps(own)}?limit=1&continue=${token}`),
    ),
  ],
  [
    '29 limits',
    ['limit=-1', 'limit=x', 'timeoutSeconds=x', 'limit=99999999999999999999'].map((query) =>
      get((own) => `${maps(own)}?timeoutSeconds=1&${query}`),
    ),
  ],
  [
    '33 resourceVersion that is no number',
    [get((own) => `${maps(own)}?resourceVersion=x`), get((own) => `${named(own)}?resourceVersion=-1`)],
  ],
  [
    '34 resourceVersionMatch',
    [
      'resourceVersionMatch=Exact',
      'resourceVersionMatch=Foo&resourceVersion=1',
      'resourceVersionMatch=Exact&resourceVersion=0',
      'sendInitialEvents=true&watch=1&timeoutSeconds=1',
      'sendInitialEvents=true',
    ].map((query) => get((own) => `${maps(own)}?${query}`)),
  ],
  [
    '35 too much',
    [
      post(maps, `{"metadata":{"name":"m"},"data":{"a":"${'x'.repeat(3 * 1024 * 1024)}"}}`),
      post(maps, map()),
      patch(named, operations(10_001), jsonPatch),
    ],
  ],
  [
    '36 large objects',
    [
      post(maps, map({ data: { a: 'x'.repeat(1024 * 1024 + 1) } })),
      post(maps, { metadata: { name: 'm', annotations: { a: 'x'.repeat(256 * 1024 + 1) } } }),
      post(maps, { metadata: { name: 'm', labels: { a: 'x'.repeat(64) } } }),
    ],
  ],
  [
    '37 patches',
    [
      post(maps, map({ data: { a: '1' } })),
      patch(named, '[{"op":"test","path":"/data/a","value":"2"}]', jsonPatch),
      patch(named, '[{"op":"remove","path":"/none"}]', jsonPatch),
      patch(named, '[{"op":"fly","path":"/data"}]', jsonPatch),
      patch(named, '{"op":"test"}', jsonPatch),
      patch(named, '[', jsonPatch),
      patch(named, '[1]'),
      patch(named, '{"data":{"$patch":"fly"}}', { contentType: 'strategic' }),
    ],
  ],
  [
    '38 apply',
    [
      patch(named, { apiVersion: 'v1', kind: 'ConfigMap' }, { contentType: 'apply' }),
      patch((own) => `${named(own)}?force=true`, {}),
      patch((own) => `${named(own)}?fieldManager=m`, {}, { contentType: 'apply' }),
    ],
  ],
  [
    '40 managedFields of an apply',
    [
      patch(
        (own) => `${named(own)}?fieldManager=m`,
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', managedFields: [{ manager: 'x' }] } },
        { contentType: 'apply' },
      ),
    ],
  ],
  [
    '42 definitions',
    [
      post(() => '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
        metadata: { name: 'bads.example.com' },
        spec: {
          group: 'example.com',
          scope: 'Namespaced',
          names: { plural: 'bads', kind: 'Bad' },
          versions: ['v1', 'v2'].map((name) => ({
            name,
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { properties: { a: { anyOf: [{ type: 'string' }] } } } },
          })),
        },
      }),
    ],
  ],
  [
    '45 not allowed',
    [
      remove(() => '/api/v1/namespaces/default'),
      remove(() => '/api/v1/namespaces/kube-system'),
      get(maps, { headers: { 'Impersonate-User': 'nobody' } }),
      get(maps, { headers: { 'Impersonate-Group': 'alone' } }),
      post(
        () => '/apis/rbac.authorization.k8s.io/v1/clusterroles',
        { metadata: { name: 'r' }, rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] },
        { headers: { 'Impersonate-User': 'nobody' } },
      ),
      post((own) => `/api/v1/namespaces/${own.namespace}/limitranges`, {
        metadata: { name: 'l' },
        spec: { limits: [{ type: 'Container', max: { cpu: '1' } }] },
      }),
      post((own) => `/api/v1/namespaces/${own.namespace}/pods`, {
        metadata: { name: 'p' },
        spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '2' } } }] },
      }),
    ],
  ],
];

export const badInput: readonly Sequence[] = groups.map(([name, steps]) => ({
  name: `bad input ${name}`,
  watch: maps,
  steps,
}));
