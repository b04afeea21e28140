import { jsonText } from '@pilothouse/apimachinery';
import type { Sample } from './objects.ts';

type Json = Record<string, unknown>;

/** A request of the sweep; what a server chose itself (uid, revision) comes from its own copy of the object. */
export interface SweepRequest {
  readonly method: string;
  /** What follows the collection (`/base?dryRun=All`). */
  readonly path: string;
  body?(own: Json): unknown;
  readonly contentType?: string;
  readonly accept?: string;
}

const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const partial = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const partialList = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
const types = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

const get = (path: string, accept?: string): SweepRequest => ({
  method: 'GET',
  path,
  ...(accept === undefined ? {} : { accept }),
});

/** Reads of one object and of its collection, good and bad. */
function reads(name: string): SweepRequest[] {
  const one = `/${name}`;
  const queries = [
    'limit=1',
    'limit=-1',
    'limit=x',
    'fieldSelector=metadata.name%3Dbase',
    'fieldSelector=metadata.namespace%3Dnowhere',
    'fieldSelector=metadata.name!%3Dbase,metadata.name!%3Dx',
    'fieldSelector=spec.nodeName%3Dx',
    'fieldSelector=status.phase%3DPending',
    'fieldSelector=type%3DOpaque',
    'fieldSelector=spec.unschedulable%3Dfalse',
    'fieldSelector=involvedObject.name%3Dx',
    'fieldSelector=status.successful%3D1',
    'fieldSelector=spec.nothing%3Dx',
    'fieldSelector=x',
    'fieldSelector=%3D',
    'fieldSelector=metadata.name%3D',
    'labelSelector=app%3Da',
    'labelSelector=app+in+(a,b),!x',
    'labelSelector=app+in+()',
    'labelSelector=a+b',
    'labelSelector=app%3D%3D',
    'labelSelector=app+gt+1',
    'labelSelector=-bad%3Dx',
    'resourceVersion=0',
    'resourceVersion=abc',
    'resourceVersion=-1',
    'resourceVersion=0&resourceVersionMatch=Exact',
    'resourceVersion=1&resourceVersionMatch=Bogus',
    'resourceVersionMatch=Exact',
    'resourceVersion=99999999&timeoutSeconds=1&resourceVersionMatch=NotOlderThan&limit=1',
    'continue=abc',
    'continue=abc&resourceVersion=5',
    'sendInitialEvents=true',
    'watch=1&timeoutSeconds=1&labelSelector=a+b',
    'watch=1&timeoutSeconds=1&fieldSelector=spec.nothing%3Dx',
    'watch=1&timeoutSeconds=1&resourceVersion=abc',
    'watch=1&timeoutSeconds=1&resourceVersion=-5',
    'watch=1&timeoutSeconds=1&resourceVersionMatch=NotOlderThan',
    'watch=1&timeoutSeconds=1&sendInitialEvents=true',
    'watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=Exact',
    'watch=1&timeoutSeconds=1&continue=abc&resourceVersionMatch=NotOlderThan&sendInitialEvents=true',
    'watch=1&timeoutSeconds=abc',
    'timeoutSeconds=abc',
    'timeout=abc',
    'includeObject=Bogus',
    'fieldSelector=%3Dx',
    'fieldSelector=x%3D',
    'fieldSelector=metadata.name',
    'fieldSelector=metadata.name%3Da%5C%2Cb',
    'shardSelector=x',
  ];
  return [
    get(one),
    get(one, table),
    get(one, partial),
    get(one, partialList),
    get(one, 'application/yaml'),
    get(one, 'application/xml'),
    get(one, 'application/json;as=Table;v=v9;g=meta.k8s.io'),
    get(one, 'application/json;as=Bogus;v=v1;g=meta.k8s.io'),
    get(`${one}?resourceVersion=0`),
    get(`${one}?resourceVersion=abc`),
    get(`${one}?resourceVersion=-1`),
    get(`${one}?pretty=true`),
    get(`${one}?includeObject=Object`, table),
    get(`${one}?includeObject=None`, table),
    get(`${one}?includeObject=Bogus`, table),
    get('/nothing-here'),
    get('/Bad_Name'),
    get(`${one}/nothing`),
    get(`${one}/status/more`),
    get('', table),
    get('', partialList),
    get('', partial),
    get('?fieldSelector=metadata.name%3Dnone', table),
    ...queries.map((query) => get(`?${query}`)),
    { method: 'HEAD', path: one },
    { method: 'OPTIONS', path: one },
    { method: 'TRACE', path: one },
  ];
}

const dry = 'dryRun=All';

function creates(sample: Sample): SweepRequest[] {
  const { object } = sample;
  const post = (body: unknown, query = dry, contentType?: string): SweepRequest => ({
    method: 'POST',
    path: `?${query}`,
    body: () => body,
    ...(contentType === undefined ? {} : { contentType }),
  });
  const named = (metadata: Json): Json => ({ ...object, metadata: { ...object.metadata, ...metadata } });
  const { apiVersion: _version, kind: _kind, ...bare } = object;
  const text = jsonText(named({ name: 'fresh' }));
  return [
    post(object),
    post(named({ name: 'fresh' })),
    post({ ...bare, metadata: { ...object.metadata, name: 'fresh' } }),
    post(named({ name: '', generateName: '' })),
    post(named({ name: undefined })),
    post(named({ name: 'Bad_Name' })),
    post(named({ name: 'x'.repeat(260) })),
    post(named({ name: 'fresh', namespace: 'elsewhere' })),
    post(named({ name: 'fresh', resourceVersion: '5' })),
    post(named({ name: 'fresh', uid: 'abc' })),
    post(named({ name: 'fresh', labels: { 'bad key!': 'x' }, annotations: { 'bad key!': 'y' } })),
    post(named({ name: 'fresh', labels: { a: 'x'.repeat(70) } })),
    post(named({ name: 'fresh', finalizers: ['bad', 'example.com/ok'] })),
    post(named({ name: 'fresh', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x' }] })),
    post(named({ name: 'fresh', managedFields: [{ manager: 'x', operation: 'Bogus' }] })),
    post(named({ name: 'fresh', annotations: { a: 'x'.repeat(300_000) } })),
    post({ ...object, apiVersion: 'bogus/v1' }),
    post({ ...object, apiVersion: 'v9' }),
    post({ ...object, kind: 'Bogus' }),
    post({ ...object, spec: 'text' }),
    post({ ...object, spec: [] }),
    post({ ...object, spec: null }),
    post({ ...named({ name: 'fresh' }), bogus: 1 }, `${dry}&fieldValidation=Strict`),
    post({ ...named({ name: 'fresh' }), bogus: 1 }, `${dry}&fieldValidation=Warn`),
    post({ ...named({ name: 'fresh' }), bogus: 1 }, `${dry}&fieldValidation=Ignore`),
    post(`${text.slice(0, -1)},"metadata":{"labels":{"again":"x"}}}`, `${dry}&fieldValidation=Strict`),
    post(`${text.slice(0, -1)},"metadata":{"labels":{"again":"x"}}}`, dry),
    post(named({ name: 'fresh' }), `${dry}&fieldValidation=Bogus`),
    post(named({ name: 'fresh' }), 'dryRun=Bogus'),
    post(named({ name: 'fresh' }), `${dry}&fieldManager=${'m'.repeat(130)}`),
    post(named({ name: 'fresh' }), `${dry}&fieldManager=a%01b`),
    post('', dry),
    post('{', dry),
    post('[]', dry),
    post('null', dry),
    post('{}', dry),
    post('a: [', dry, 'application/yaml'),
    post('x', dry, 'text/plain'),
    post(named({ name: 'fresh' }), dry, 'application/bogus'),
    { method: 'POST', path: `/${object.metadata.name}`, body: () => object },
    { method: 'PUT', path: '', body: () => object },
  ];
}

function updates(sample: Sample): SweepRequest[] {
  const { name } = sample.object.metadata;
  const put = (change: (own: Json) => unknown, query = dry): SweepRequest => ({
    method: 'PUT',
    path: `/${name}?${query}`,
    body: change,
  });
  const meta = (own: Json, more: Json): Json => ({
    ...own,
    metadata: { ...(own['metadata'] as Json), ...more },
  });
  return [
    put((own) => own),
    put((own) => meta(own, { resourceVersion: undefined })),
    put((own) => meta(own, { resourceVersion: '1' })),
    put((own) => meta(own, { resourceVersion: 'abc' })),
    put((own) => meta(own, { uid: 'other' })),
    put((own) => meta(own, { name: 'other' })),
    put((own) => meta(own, { name: undefined })),
    put((own) => meta(own, { namespace: 'other' })),
    put((own) => meta(own, { labels: { new: 'label' }, annotations: { a: 'b' } })),
    put((own) => meta(own, { creationTimestamp: '2020-01-01T00:00:00Z', generation: 77 })),
    put((own) => meta(own, { deletionTimestamp: '2020-01-01T00:00:00Z' })),
    put((own) => meta(own, { selfLink: 'x', generateName: 'y' })),
    put((own) => meta(own, { managedFields: [] })),
    put((own) => meta(own, { managedFields: [{}] })),
    put((own) => meta(own, { ownerReferences: [{ apiVersion: 'v1', kind: 'Event', name: 'x', uid: '1' }] })),
    put((own) => ({ ...own, kind: 'Bogus' })),
    put((own) => ({ ...own, spec: undefined })),
    put(() => ({})),
    put(() => ''),
    put((own) => own, 'dryRun=Bogus'),
    {
      method: 'PUT',
      path: `/nothing-here?${dry}`,
      body: (own) => meta(own, { name: 'nothing-here', uid: undefined, resourceVersion: undefined }),
    },
    {
      method: 'PUT',
      path: `/nothing-here?${dry}`,
      body: (own) => meta(own, { name: 'nothing-here' }),
    },
  ];
}

function patches(sample: Sample): SweepRequest[] {
  const { object } = sample;
  const { name } = object.metadata;
  const patch = (body: unknown, contentType: string, query = dry, at = name): SweepRequest => ({
    method: 'PATCH',
    path: `/${at}?${query}`,
    body: () => body,
    contentType,
  });
  const operations: unknown[] = [
    [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }],
    [{ op: 'replace', path: '/metadata/labels/none', value: 'b' }],
    [{ op: 'remove', path: '/metadata/none' }],
    [{ op: 'test', path: '/metadata/name', value: 'other' }],
    [{ op: 'test', path: '/metadata/none', value: null }],
    [{ op: 'move', from: '/metadata/none', path: '/metadata/labels' }],
    [{ op: 'copy', from: '/metadata/name', path: '/metadata/annotations' }],
    [{ op: 'bogus', path: '/a' }],
    [{ op: 'add', path: 'a', value: 1 }],
    [{ op: 'add', value: 1 }],
    [{ op: 'add', path: '/metadata/finalizers/5', value: 'a' }],
    [{ path: '/a' }],
    [{ op: 'replace', path: '/metadata/name', value: 'other' }],
    [{ op: 'replace', path: '', value: { a: 1 } }],
    [{ op: 'add', path: '/metadata/labels', value: 5 }],
    [{ op: 'replace', path: '/kind', value: 'Bogus' }],
    [{ op: 'add', path: '/bogus', value: 1 }],
    {},
    [],
    'x',
    [5],
  ];
  const merges: unknown[] = [
    { metadata: { labels: { a: 'b', none: null } } },
    { metadata: { name: 'other' } },
    { metadata: { uid: 'other' } },
    { metadata: { resourceVersion: '1' } },
    { metadata: { namespace: 'other' } },
    { metadata: null },
    { kind: 'Bogus' },
    { apiVersion: 'bogus/v1' },
    { bogus: 1 },
    { metadata: { labels: { a: 5 } } },
    { metadata: { labels: { '!': 'x' } } },
    { metadata: { finalizers: ['bad'] } },
    { spec: 'text' },
    { spec: null },
    { status: { bogus: 1 } },
    [],
    'x',
    null,
    5,
    '{',
    '',
  ];
  const strategics: unknown[] = [
    ...merges,
    { $patch: 'bogus' },
    { $patch: 'replace', metadata: { name } },
    { $patch: 'delete' },
    { metadata: { $patch: 'replace', labels: { only: 'x' } } },
    { metadata: { labels: { $patch: 'replace', only: 'x' } } },
    { metadata: { labels: { $patch: 'delete' } } },
    { metadata: { labels: { $retainKeys: ['a'], a: 'b' } } },
    { metadata: { $retainKeys: ['labels'], labels: { a: 'b' }, annotations: { c: 'd' } } },
    { metadata: { finalizers: ['example.com/x'], '$setElementOrder/finalizers': ['example.com/x'] } },
    { metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/x'] } },
    { metadata: { '$setElementOrder/finalizers': ['example.com/y'], finalizers: ['example.com/x'] } },
    { metadata: { ownerReferences: [{ $patch: 'delete', uid: 'x' }] } },
    { metadata: { ownerReferences: [{ name: 'x' }] } },
    { metadata: { ownerReferences: [{ $patch: 'bogus', uid: 'x' }] } },
  ];
  const kind = { apiVersion: object['apiVersion'], kind: object['kind'] };
  const manager = `${dry}&fieldManager=sweeper`;
  const applied = { ...kind, metadata: { name, labels: { applied: 'x' } } };
  const applies: [unknown, string][] = [
    [applied, manager],
    [applied, dry],
    [applied, `${manager}&force=true`],
    [applied, `${manager}&force=maybe`],
    [{ ...object, metadata: { ...object.metadata, name } }, manager],
    [{ ...object, metadata: { ...object.metadata, name } }, `${manager}&force=true`],
    [{ metadata: { name } }, manager],
    [{ ...kind }, manager],
    [{ ...kind, metadata: {} }, manager],
    [{ ...kind, metadata: { name: 'other' } }, manager],
    [{ ...kind, apiVersion: 'bogus/v1', metadata: { name } }, manager],
    [{ ...kind, kind: 'Bogus', metadata: { name } }, manager],
    [{ ...applied, metadata: { ...applied.metadata, managedFields: [] } }, manager],
    [{ ...applied, metadata: { ...applied.metadata, managedFields: [{ manager: 'x' }] } }, manager],
    [{ ...applied, metadata: { ...applied.metadata, uid: 'other' } }, manager],
    [{ ...applied, metadata: { ...applied.metadata, resourceVersion: '1' } }, manager],
    [{ ...applied, bogus: 1 }, manager],
    [{ ...applied, bogus: 1 }, `${manager}&fieldValidation=Strict`],
    [{ ...applied, spec: 'text' }, manager],
    [{ ...applied, metadata: { ...applied.metadata, labels: { a: 5 } } }, manager],
    ['a: [', manager],
    ['[]', manager],
    ['', manager],
  ];
  return [
    ...operations.map((body) => patch(body, types.json)),
    patch(
      [{ op: 'add', path: '/metadata/labels', value: {}, more: 1 }],
      types.json,
      `${dry}&fieldValidation=Strict`,
    ),
    ...merges.map((body) => patch(body, types.merge)),
    patch({ bogus: 1 }, types.merge, `${dry}&fieldValidation=Strict`),
    ...strategics.map((body) => patch(body, types.strategic)),
    ...applies.map(([body, query]) => patch(body, types.apply, query)),
    patch({ ...kind, metadata: { name: 'nothing-here' } }, types.apply, manager, 'nothing-here'),
    patch({ ...kind, metadata: { name: 'nothing-here', uid: 'x' } }, types.apply, manager, 'nothing-here'),
    patch({}, types.merge, dry, 'nothing-here'),
    patch([], types.json, dry, 'nothing-here'),
    patch({}, 'application/json'),
    patch({}, 'application/bogus'),
    patch({}, types.merge, `${dry}&force=true`),
    patch({}, types.merge, `${dry}&fieldManager=`),
    { method: 'PATCH', path: '', body: () => ({}), contentType: types.merge },
  ];
}

function deletes(name: string): SweepRequest[] {
  const remove = (body: unknown, query = dry, path = `/${name}`): SweepRequest => ({
    method: 'DELETE',
    path: `${path}?${query}`,
    ...(body === undefined ? {} : { body: () => body }),
  });
  const options = (more: Json): Json => ({ kind: 'DeleteOptions', apiVersion: 'v1', ...more });
  return [
    remove(undefined),
    remove(undefined, `${dry}&propagationPolicy=Bogus`),
    remove(undefined, `${dry}&propagationPolicy=Foreground`),
    remove(undefined, `${dry}&propagationPolicy=Orphan`),
    remove(undefined, `${dry}&propagationPolicy=Background&orphanDependents=true`),
    remove(undefined, `${dry}&gracePeriodSeconds=-1`),
    remove(undefined, `${dry}&gracePeriodSeconds=5`),
    remove(undefined, `${dry}&gracePeriodSeconds=x`),
    remove(undefined, 'dryRun=Bogus'),
    remove(undefined, `${dry}&ignoreStoreReadErrorWithClusterBreakingPotential=true`),
    remove(options({ dryRun: ['All'], preconditions: { uid: 'other' } }), ''),
    remove(options({ dryRun: ['All'], preconditions: { resourceVersion: '1' } }), ''),
    remove(options({ dryRun: ['Bogus'] }), ''),
    remove(options({ dryRun: ['All'], gracePeriodSeconds: 'x' }), ''),
    remove(options({ dryRun: ['All'], bogus: 1 }), ''),
    remove(options({ dryRun: ['All'], kind: 'Bogus' }), ''),
    remove('{', dry),
    remove('[]', dry),
    remove(undefined, dry, '/nothing-here'),
    remove(undefined, `${dry}&labelSelector=a+b`, ''),
    remove(undefined, `${dry}&fieldSelector=spec.nothing%3Dx`, ''),
    remove(undefined, `${dry}&fieldSelector=metadata.name%3Dnone`, ''),
    remove(undefined, `${dry}&limit=x`, ''),
    remove(undefined, `${dry}&fieldSelector=metadata.name%3D${name}`, ''),
  ];
}

/** What a write of a part may or may not do to the metadata. */
const metadataChanges: readonly Json[] = [
  { labels: { 'bad key!': 'x' } },
  { annotations: { good: 'x' } },
  { finalizers: ['bad'] },
  { finalizers: ['example.com/x'] },
  { ownerReferences: [{ kind: 'Pod' }] },
  { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x', uid: 'y' }] },
  { deletionTimestamp: '2020-01-01T00:00:00Z' },
  { generation: 99 },
  { managedFields: [] },
];

const condition: Json = {
  type: 'A',
  status: 'True',
  reason: 'R',
  message: 'm',
  lastTransitionTime: '2026-01-02T03:04:05Z',
};
const conditionLists: readonly (readonly unknown[])[] = [
  [condition],
  [condition, condition],
  [{ ...condition, status: 'Bogus' }],
  [{ ...condition, type: '' }],
  [{ ...condition, reason: 'bad reason' }],
  [{ ...condition, observedGeneration: -1 }],
];

function subresources(sample: Sample): SweepRequest[] {
  const { name } = sample.object.metadata;
  const requests: SweepRequest[] = [];
  const known = sample.resource.subresources.map((each) => each.name);
  const connects = new Set(['exec', 'attach', 'portforward', 'proxy', 'log', 'token', 'eviction', 'binding']);
  for (const part of new Set(['status', 'scale', 'finalize', 'approval', 'resize', ...known])) {
    if (connects.has(part)) continue;
    const path = `/${name}/${part}?${dry}`;
    requests.push(
      get(`/${name}/${part}`),
      get(`/${name}/${part}`, table),
      get(`/nothing-here/${part}`),
      { method: 'PUT', path, body: (own) => own },
      { method: 'PUT', path, body: () => ({}) },
      { method: 'PATCH', path, body: () => ({ metadata: { labels: { s: 'x' } } }), contentType: types.merge },
      { method: 'PATCH', path, body: () => ({ status: null }), contentType: types.merge },
      { method: 'PATCH', path, body: () => ({ status: 'x' }), contentType: types.merge },
      {
        method: 'PATCH',
        path,
        body: () => ({ status: { conditions: [{ type: 'A' }] } }),
        contentType: types.merge,
      },
      {
        method: 'PATCH',
        path,
        body: () => ({ status: { conditions: [{ type: 'A' }] } }),
        contentType: types.strategic,
      },
      { method: 'PATCH', path, body: () => ({ spec: { replicas: 3 } }), contentType: types.merge },
      { method: 'PATCH', path, body: () => ({ spec: { replicas: -3 } }), contentType: types.merge },
      { method: 'PATCH', path, body: () => ({ spec: { replicas: 'x' } }), contentType: types.merge },
      {
        method: 'PATCH',
        path: `${path}&fieldManager=sweeper`,
        body: (own) => ({
          apiVersion: own['apiVersion'],
          kind: own['kind'],
          metadata: { name, labels: { a: 'b' } },
        }),
        contentType: types.apply,
      },
      { method: 'POST', path, body: () => ({}) },
      { method: 'DELETE', path },
      ...metadataChanges.map((metadata) => ({
        method: 'PATCH',
        path,
        body: () => ({ metadata }),
        contentType: types.merge,
      })),
      ...conditionLists.map((conditions) => ({
        method: 'PATCH',
        path,
        body: () => ({ status: { conditions } }),
        contentType: types.merge,
      })),
    );
  }
  return requests;
}

/** Every request of the sweep for one stored object: none of them changes it. */
export function sweepRequests(sample: Sample): SweepRequest[] {
  const { name } = sample.object.metadata;
  return [
    ...reads(name),
    ...creates(sample),
    ...updates(sample),
    ...patches(sample),
    ...deletes(name),
    ...subresources(sample),
  ];
}
