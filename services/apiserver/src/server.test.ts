import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ApiServer } from './server.ts';
import { testServer } from './testing/test-server.ts';
import type { FakeConfigMaps } from './testing/fake-registry.ts';

let server: ApiServer;
let configMaps: FakeConfigMaps;

before(async () => {
  ({ server, configMaps } = await testServer());
});
after(() => server.close());

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS';

async function ask(method: Method, url: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await server.app.inject({
    method,
    url,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const isJson =
    String(response.headers['content-type']).startsWith('application/json') &&
    !response.headers['content-encoding'];
  return {
    status: response.statusCode,
    headers: response.headers,
    text: response.body,
    bytes: response.rawPayload,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any answer
    json: isJson && response.body !== '' ? (JSON.parse(response.body) as any) : undefined,
  };
}

const base = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  ...more,
});

test('POST, GET, PUT and DELETE of an object', async () => {
  const created = await ask('POST', base, configMap('crud', { data: { a: '1' } }));
  assert.equal(created.status, 201);
  assert.equal(created.json.metadata.namespace, 'default');
  assert.match(String(created.headers['audit-id']), /^[0-9a-f-]{36}$/);
  assert.equal(created.headers['cache-control'], 'no-cache, private');
  const read = await ask('GET', `${base}/crud`);
  assert.deepEqual(read.json, created.json);
  assert.ok(read.text.endsWith('}\n'));
  const updated = await ask('PUT', `${base}/crud`, { ...created.json, data: { a: '2' } });
  assert.deepEqual([updated.status, updated.json.data], [200, { a: '2' }]);
  assert.equal((await ask('DELETE', `${base}/crud`)).status, 200);
  const gone = await ask('GET', `${base}/crud`);
  assert.deepEqual(gone.json, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'configmaps "crud" not found',
    reason: 'NotFound',
    details: { name: 'crud', kind: 'configmaps' },
    code: 404,
  });
});

test('PATCH in its three classic types', async () => {
  await ask('POST', base, configMap('patched', { data: { a: '1', b: '2' } }));
  const patch = (type: string, body: unknown) =>
    ask('PATCH', `${base}/patched`, body, { 'content-type': `application/${type}+json` });
  assert.deepEqual((await patch('merge-patch', { data: { a: null } })).json.data, { b: '2' });
  assert.deepEqual((await patch('json-patch', [{ op: 'add', path: '/data/c', value: '3' }])).json.data, {
    b: '2',
    c: '3',
  });
  assert.deepEqual((await patch('strategic-merge-patch', { data: { d: '4' } })).json.data, {
    b: '2',
    c: '3',
    d: '4',
  });
  const refused = await ask('PATCH', `${base}/patched`, '{}', { 'content-type': 'text/plain' });
  assert.deepEqual([refused.status, refused.json.message], [415, '415: Unsupported Media Type']);
  const renamed = await patch('merge-patch', { metadata: { name: 'other' } });
  assert.equal(
    renamed.json.message,
    'the name of the object (other) does not match the name on the URL (patched)',
  );
});

test('LIST as JSON, Table, PartialObjectMetadataList and protobuf', async () => {
  configMaps.objects.clear();
  await ask('POST', base, configMap('one', { data: { a: '1' } }));
  const list = await ask('GET', base);
  assert.equal(list.json.kind, 'ConfigMapList');
  assert.deepEqual(Object.keys(list.json.items[0]), ['metadata', 'data']);
  const as = (kind: string) => `application/json;as=${kind};v=v1;g=meta.k8s.io`;
  const table = await ask('GET', base, undefined, { accept: as('Table') });
  assert.equal(table.json.rows[0].cells[0], 'one');
  assert.equal(table.json.rows[0].object.kind, 'PartialObjectMetadata');
  const bare = await ask('GET', `${base}?includeObject=None`, undefined, { accept: as('Table') });
  assert.equal(bare.json.rows[0].object, null);
  const partial = await ask('GET', base, undefined, { accept: as('PartialObjectMetadataList') });
  assert.deepEqual(Object.keys(partial.json.items[0]), ['kind', 'apiVersion', 'metadata']);
  const protobuf = await ask('GET', base, undefined, { accept: 'application/vnd.kubernetes.protobuf' });
  assert.equal(protobuf.headers['content-type'], 'application/vnd.kubernetes.protobuf');
  assert.equal(protobuf.bytes.subarray(0, 4).toString('hex'), '6b387300');
  assert.ok(protobuf.bytes.includes('ConfigMapList'));
  const yaml = await ask('GET', base, undefined, { accept: 'application/yaml' });
  assert.match(yaml.text, /^apiVersion: v1\nitems:\n- data:\n {4}a: "1"\n/);
});

test('a large LIST is compressed for who accepts it', async () => {
  configMaps.objects.clear();
  for (const name of ['a', 'b', 'c'])
    await ask('POST', base, configMap(name, { data: { text: 'x'.repeat(60_000) } }));
  const packed = await ask('GET', base, undefined, { 'accept-encoding': 'gzip' });
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.ok(packed.bytes.length < 10_000);
  const plain = await ask('GET', base);
  assert.equal(plain.json.items.length, 3);
  configMaps.objects.clear();
});

test('the router answers before handlers do', async () => {
  const cases: [Method, string, number, string][] = [
    ['GET', '/api/v1/nope', 404, 'the server could not find the requested resource'],
    ['GET', '/api/v1/configmaps/x', 404, 'the server could not find the requested resource'],
    ['GET', `${base}/x/status`, 404, 'the server could not find the requested resource'],
    ['POST', `${base}/x`, 405, 'the server does not allow this method on the requested resource'],
    ['PUT', base, 405, 'the server does not allow this method on the requested resource'],
    ['OPTIONS', base, 405, 'the server does not allow this method on the requested resource'],
    ['DELETE', '/api/v1/configmaps', 405, 'the server does not allow this method on the requested resource'],
  ];
  for (const [method, url, status, message] of cases) {
    const answer = await ask(method, url);
    assert.deepEqual([answer.status, answer.json.message], [status, message], `${method} ${url}`);
  }
  for (const url of [
    '/nope',
    '/apis/nope.example.com',
    '/apis/nope.example.com/v1',
    '/healthz/',
    '//api',
    '/logs/',
  ]) {
    const answer = await ask('GET', url);
    assert.deepEqual([answer.status, answer.text], [404, '404 page not found\n'], url);
  }
  const head = await ask('HEAD', '/api/v1/namespaces/default');
  assert.equal(head.text, '');
});

test('bodies that cannot be read', async () => {
  const post = (body: string, headers: Record<string, string> = {}) => ask('POST', base, body, headers);
  const cases: [string, number, string][] = [
    [
      '{',
      400,
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({)",
    ],
    [
      'hello',
      400,
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'h' looking for beginning of value (68656c6c6f)",
    ],
    [
      '{"apiVersion":"v1","kind":"Secret"}',
      400,
      'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion',
    ],
    [
      '{"data":{"a":1}}',
      400,
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
    ],
    [`{"data":{"a":"${'x'.repeat(3 * 1024 * 1024)}"}}`, 413, 'Request entity too large: limit is 3145728'],
  ];
  for (const [body, status, message] of cases) {
    const answer = await post(body);
    assert.deepEqual([answer.status, answer.json.message], [status, message]);
  }
  const media = await post('{}', { 'content-type': 'text/plain' });
  assert.equal(media.status, 415);
  const strict = await ask('POST', `${base}?fieldValidation=Strict`, configMap('s', { foo: 1 }));
  assert.equal(
    strict.json.message,
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "foo"',
  );
  const warned = await ask('POST', base, configMap('w', { foo: 1 }));
  assert.deepEqual([warned.status, warned.headers['warning']], [201, ['299 - "unknown field \\"foo\\""']]);
});

test('options are validated', async () => {
  const dryRun = await ask('POST', `${base}?dryRun=None`, configMap('x'));
  assert.deepEqual(
    [dryRun.status, dryRun.json.message],
    [
      422,
      'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["None"]: supported values: "All"',
    ],
  );
  const limit = await ask('GET', `${base}?limit=abc`);
  assert.deepEqual(
    [limit.status, limit.json.message],
    [400, 'strconv.ParseInt: parsing "abc": invalid syntax'],
  );
  const both = await ask('DELETE', `${base}/x`, { orphanDependents: false, propagationPolicy: 'Foreground' });
  assert.deepEqual([both.status, both.json.details.kind], [422, 'DeleteOptions']);
});

test('who may not is told so, before the path is looked at', async () => {
  const answer = await ask('GET', base, undefined, { user: 'nobody' });
  assert.deepEqual(
    [answer.status, answer.json.message],
    [
      403,
      'configmaps is forbidden: User "nobody" cannot list resource "configmaps" in API group "" in the namespace "default"',
    ],
  );
  const path = await ask('GET', '/nope', undefined, { user: 'nobody' });
  assert.equal(path.json.message, 'forbidden: User "nobody" cannot get path "/nope"');
});

test('discovery, plain and aggregated', async () => {
  assert.deepEqual((await ask('GET', '/api')).json.versions, ['v1']);
  assert.equal((await ask('GET', '/api/v1')).json.resources[0].name, 'configmaps');
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  const aggregated = await ask('GET', '/api', undefined, { accept });
  assert.equal(aggregated.headers['content-type'], accept);
  const again = await ask('GET', '/api', undefined, {
    accept,
    'if-none-match': String(aggregated.headers['etag']),
  });
  assert.equal(again.status, 304);
  server.discovery.add({
    group: 'example.com',
    version: 'v1',
    groupPriority: 1000,
    versionPriority: 100,
    resources: [],
  });
  assert.deepEqual(
    (await ask('GET', '/apis')).json.groups.map((group: { name: string }) => group.name),
    ['example.com'],
  );
  server.discovery.remove('example.com', 'v1');
  assert.deepEqual((await ask('GET', '/apis')).json.groups, []);
});

test('health, version and metrics', async () => {
  assert.equal((await ask('GET', '/readyz')).text, 'ok');
  assert.match((await ask('GET', '/livez?verbose')).text, /^\[\+\]ping ok\n[^]*livez check passed\n$/);
  assert.match((await ask('GET', '/livez?verbose&exclude=ping')).text, /^\[\+\]ping excluded: ok\n/);
  assert.equal((await ask('GET', '/livez/ping')).text, 'ok');
  assert.equal((await ask('GET', '/version')).json.gitVersion, 'v1.36.3');
  assert.match(
    (await ask('GET', '/metrics')).text,
    /^apiserver_request_total\{verb="POST",.*resource="configmaps"/m,
  );
});

test('what clients make up becomes no label of a metric', async () => {
  await ask('GET', '/api/v1/namespaces/default/madeups/x/proxy');
  await ask('GET', '/api/v1/watch/madeups');
  await ask('GET', `${base}?watch=1&timeoutSeconds=1`);
  const { text } = await ask('GET', '/metrics');
  assert.ok(!text.includes('madeups'));
  assert.match(text, /^apiserver_longrunning_requests\{verb="WATCH",.*resource="configmaps".*\} 0$/m);
});

test('a fault of a storage is answered and the server goes on', async () => {
  const { get } = configMaps;
  configMaps.get = () => {
    throw new TypeError('boom');
  };
  const answer = await ask('GET', `${base}/x`);
  configMaps.get = get;
  assert.deepEqual([answer.status, answer.json.reason], [500, 'InternalError']);
  assert.equal((await ask('GET', '/version')).status, 200);
});

test('a request ends at its deadline', async () => {
  const { get } = configMaps;
  configMaps.get = () => new Promise(() => undefined);
  const answer = await ask('GET', `${base}/x?timeout=10ms`);
  configMaps.get = get;
  assert.deepEqual([answer.status, answer.json.reason], [504, 'Timeout']);
});
