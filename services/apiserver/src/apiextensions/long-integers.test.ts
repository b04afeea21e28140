import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import type { ApiRegistry } from '../registry/registry.ts';
import { createRegistry } from '../registry/registry.ts';
import type { ApiServer } from '../server.ts';
import { MemoryKeyValueStore } from '../storage/memory/memory-key-value-store.ts';
import { testServer } from '../testing/test-server.ts';
import type { CustomResourceServing } from './start.ts';
import { customResources } from './start.ts';

let registry: ApiRegistry;
let server: ApiServer;
let custom: CustomResourceServing;

async function call(method: string, url: string, payload?: string, headers: object = {}) {
  const response = await server.app.inject({
    method: method as 'GET',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    ...(payload === undefined ? {} : { payload }),
  });
  return { status: response.statusCode, text: response.body };
}

const big = '9007199254740993';
const url = '/apis/example.com/v1/namespaces/default/longs';
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'longs.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'longs', kind: 'Long' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        additionalPrinterColumns: [{ name: 'N', type: 'integer', jsonPath: '.spec.n' }],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  n: {
                    type: 'integer',
                    format: 'int64',
                    'x-kubernetes-validations': [{ rule: 'self != 9007199254740992' }],
                  },
                  set: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'integer' } },
                  any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                  small: { type: 'integer', maximum: 100 },
                },
              },
            },
          },
        },
      },
    ],
  },
};
const long = (name: string, spec: string): string =>
  `{"apiVersion":"example.com/v1","kind":"Long","metadata":{"name":"${name}"},"spec":${spec}}`;

before(async () => {
  const store = new MemoryKeyValueStore({ now: () => Date.now() });
  registry = createRegistry({ store, clock: nodeClock, random: nodeRandom });
  ({ server } = await testServer({ registry }));
  await registry.start();
  const options = { registry, server, clock: nodeClock, random: nodeRandom, logger: silentLogger };
  custom = customResources(options);
  await custom.start();
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } };
  await call('POST', '/api/v1/namespaces', JSON.stringify(namespace));
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const defined = await call('POST', definitions, JSON.stringify(definition));
  assert.equal(defined.status, 201, defined.text);
  const end = Date.now() + 5000;
  while ((await call('GET', url)).status !== 200) {
    assert.ok(Date.now() < end, 'not served');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});
after(async () => {
  custom.stop();
  registry.close();
  await server.close();
});

test('integers of 64 bits keep their digits through create, read, list, table and YAML', async () => {
  const made = await call('POST', url, long('a', `{"n":${big},"any":{"deep":[-9223372036854775808]}}`));
  assert.equal(made.status, 201, made.text);
  assert.match(made.text, /"n":9007199254740993/);
  assert.match(made.text, /-9223372036854775808/);
  for (const path of [`${url}/a`, url]) assert.match((await call('GET', path)).text, /"n":9007199254740993/);
  const yaml = await call('GET', `${url}/a`, undefined, { accept: 'application/yaml' });
  assert.match(yaml.text, /"n": 9007199254740993/);
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const table = await call('GET', `${url}?includeObject=Object`, undefined, { accept });
  assert.match(table.text, /"cells":\["a",9007199254740993\]/);
  assert.match(table.text, /"n":9007199254740993/);
});

test('patches and apply keep them, in sets too', async () => {
  await call('POST', url, long('b', `{"n":${big}}`));
  const patch = (body: string, type: string, query = '') =>
    call('PATCH', `${url}/b${query}`, body, { 'content-type': type });
  const merged = await patch('{"spec":{"small":3}}', 'application/merge-patch+json');
  assert.match(merged.text, /"n":9007199254740993/);
  const operations = '[{"op":"replace","path":"/spec/n","value":9007199254740995}]';
  const patched = await patch(operations, 'application/json-patch+json');
  assert.match(patched.text, /"n":9007199254740995/);
  const applied = await patch(
    long('b', '{"set":[9007199254740993,9007199254740995]}'),
    'application/apply-patch+yaml',
    '?fieldManager=me&force=true',
  );
  assert.equal(applied.status, 200, applied.text);
  assert.match(applied.text, /"set":\[9007199254740993,9007199254740995\]/);
  assert.match(applied.text, /"v:9007199254740993"/);
  const again = await patch(
    'apiVersion: example.com/v1\nkind: Long\nmetadata: {name: b}\nspec: {set: [9007199254740995]}\n',
    'application/apply-patch+yaml',
    '?fieldManager=me',
  );
  assert.match(again.text, /"set":\[9007199254740995\]/);
});

test('rules and limits count with all digits', async () => {
  assert.equal((await call('POST', url, long('c', '{"n":9007199254740992}'))).status, 422);
  const refused = await call('POST', url, long('c', `{"small":${big}}`));
  assert.equal(refused.status, 422);
  assert.match(refused.text, /Invalid value: 9007199254740993: spec.small in body should be less than/);
});
