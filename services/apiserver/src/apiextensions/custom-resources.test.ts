import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import type { ApiRegistry } from '../registry/registry.ts';
import { createRegistry } from '../registry/registry.ts';
import type { ApiServer } from '../server.ts';
import { MemoryKeyValueStore } from '../storage/memory/memory-key-value-store.ts';
import { testServer } from '../testing/test-server.ts';
import type { CustomResourceServing } from './start.ts';
import { customResources } from './start.ts';

interface Replica {
  readonly registry: ApiRegistry;
  readonly server: ApiServer;
  readonly custom: CustomResourceServing;
}

interface Answer {
  readonly status: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any object of the API
  readonly body: any;
  readonly warning: string;
}

const store = new MemoryKeyValueStore({ now: () => Date.now() });
const replicas: Replica[] = [];
const clock = nodeClock;
const random = nodeRandom;

async function open(): Promise<Replica> {
  const registry = createRegistry({ store, clock, random });
  const { server } = await testServer({ registry });
  await registry.start();
  const custom = customResources({ registry, server, clock, random, logger: silentLogger });
  await custom.start();
  return { registry, server, custom };
}

before(async () => {
  replicas.push(await open(), await open());
});
after(async () => {
  for (const { registry, server, custom } of replicas) {
    custom.stop();
    registry.close();
    await server.close();
  }
});

async function call(
  method: string,
  url: string,
  body?: unknown,
  headers: object = {},
  replica = 0,
): Promise<Answer> {
  const response = await (replicas[replica] as Replica).server.app.inject({
    method: method as 'GET',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
  });
  const text = response.body;
  return {
    status: response.statusCode,
    body: text.startsWith('{') ? (JSON.parse(text) as unknown) : text,
    warning: String(response.headers['warning'] ?? ''),
  };
}

/** Asks again until `wanted` holds; what is waited for comes through watches. */
async function until(ask: () => Promise<Answer>, wanted: (answer: Answer) => boolean): Promise<Answer> {
  const end = Date.now() + 5000;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    assert.ok(Date.now() < end, `still ${answer.status} ${JSON.stringify(answer.body)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

const status = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

function definition(plural: string, kind: string, spec: object, version: object = {}): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural, kind },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec, status } } },
          ...version,
        },
      ],
    },
  };
}

async function define(object: object): Promise<string> {
  const created = await call('POST', definitions, object);
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const name = created.body.metadata.name as string;
  await until(
    () => call('GET', `${definitions}/${name}`),
    ({ body }) => isEstablished(body),
  );
  return name;
}

function isEstablished(object: { status?: { conditions?: { type: string; status: string }[] } }): boolean {
  return (object.status?.conditions ?? []).some(
    ({ type, status }) => type === 'Established' && status === 'True',
  );
}

const widgets = '/apis/example.com/v1/namespaces/default/widgets';
const widget = (name: string, spec: object): object => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec,
});

describe('custom resources', () => {
  test('are served by every replica once established, and gone with their definition', async () => {
    assert.equal((await call('GET', widgets)).status, 404);
    const name = await define(
      definition(
        'widgets',
        'Widget',
        {
          type: 'object',
          required: ['size'],
          properties: { size: { type: 'integer', minimum: 1 }, color: { type: 'string', default: 'red' } },
          'x-kubernetes-validations': [{ rule: 'self.size < 100', message: 'too large', fieldPath: '.size' }],
        },
        {
          subresources: {
            status: {},
            scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' },
          },
          additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
          selectableFields: [{ jsonPath: '.spec.color' }],
        },
      ),
    );
    const created = await call('POST', widgets, {
      ...widget('a', { size: 3, other: 1 }),
      status: { size: 9 },
    });
    assert.equal(created.status, 201);
    assert.deepEqual(created.body.spec, { size: 3, color: 'red' });
    assert.equal(created.body.status, undefined);
    assert.match(created.warning, /unknown field \\"spec.other\\"/);
    const seen = await until(
      () => call('GET', `${widgets}/a`, undefined, {}, 1),
      ({ status }) => status === 200,
    );
    assert.equal(seen.body.metadata.generation, 1);

    const invalid = await call('POST', widgets, widget('b', { size: 'x' }));
    assert.equal(invalid.status, 422);
    assert.equal(
      invalid.body.details.causes[0].message,
      'Invalid value: "string": spec.size in body must be of type integer: "string"',
    );
    const refused = await call('POST', widgets, widget('b', { size: 100 }));
    assert.deepEqual(refused.body.details.causes, [
      { reason: 'FieldValueInvalid', message: 'Invalid value: too large', field: 'spec.size' },
    ]);
    const strict = await call(
      'POST',
      `${widgets}?fieldValidation=Strict`,
      widget('b', { size: 1, other: 1 }),
    );
    assert.match(strict.body.message as string, /strict decoding error: unknown field "spec.other"$/);

    const scaled = await call(
      'PATCH',
      `${widgets}/a/scale`,
      { spec: { replicas: 7 } },
      { 'content-type': 'application/merge-patch+json' },
    );
    assert.equal(scaled.body.kind, 'Scale');
    const status = await call(
      'PATCH',
      `${widgets}/a/status`,
      { spec: { size: 1 }, status: { size: 7 } },
      { 'content-type': 'application/merge-patch+json' },
    );
    assert.equal(status.body.spec.size, 7);
    assert.equal(status.body.metadata.generation, 2);
    const strategic = await call(
      'PATCH',
      `${widgets}/a`,
      {},
      { 'content-type': 'application/strategic-merge-patch+json' },
    );
    assert.equal(strategic.status, 415);

    const table = await call('GET', widgets, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    });
    assert.deepEqual(table.body.rows[0].cells, ['a', 7]);
    const selected = await call('GET', `${widgets}?fieldSelector=spec.color%3Dblue`);
    assert.deepEqual(selected.body.items, []);

    const openApi = await call('GET', '/openapi/v3/apis/example.com/v1');
    assert.ok('com.example.v1.Widget' in openApi.body.components.schemas);

    const apiService = '/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com';
    await until(
      () => call('GET', apiService),
      ({ status: found }) => found === 200,
    );

    assert.equal((await call('DELETE', `${definitions}/${name}`)).status, 200);
    await until(
      () => call('GET', widgets),
      (answer) => answer.status === 404,
    );
    await until(
      () => call('GET', widgets, undefined, {}, 1),
      (answer) => answer.status === 404,
    );
    assert.equal(
      await store.get('/registry/example.com/widgets/default/a').then((found) => found.kv),
      undefined,
    );
    assert.equal((await call('GET', '/apis/example.com')).status, 404);
    await until(
      () => call('GET', apiService),
      ({ status: found }) => found === 404,
    );
  });

  test('whose names are taken are not accepted until those are free', async () => {
    const first = await define(definition('gears', 'Gear', { type: 'object' }));
    const second = await call('POST', definitions, definition('cogs', 'Gear', { type: 'object' }));
    const name = second.body.metadata.name as string;
    const refused = await until(
      () => call('GET', `${definitions}/${name}`),
      ({ body }) => ((body.status.conditions ?? []) as unknown[]).length > 0,
    );
    assert.deepEqual(
      (refused.body.status.conditions as { type: string; status: string; reason: string }[]).map(
        ({ type, status, reason }) => [type, status, reason],
      ),
      [
        ['NamesAccepted', 'False', 'ListKindConflict'],
        ['Established', 'False', 'NotAccepted'],
      ],
    );
    await call('DELETE', `${definitions}/${first}`);
    await until(
      () => call('GET', `${definitions}/${name}`),
      ({ body }) => isEstablished(body),
    );
    await call('DELETE', `${definitions}/${name}`);
  });

  test('of another version are the same objects', async () => {
    const spec = { type: 'object', properties: { a: { type: 'string' } } };
    const schema = { openAPIV3Schema: { type: 'object', properties: { spec } } };
    const object = definition('parts', 'Part', spec) as { spec: { versions: object[] } };
    object.spec.versions.push({ name: 'v2', served: true, storage: false, deprecated: true, schema });
    await define(object);
    const path = (version: string): string => `/apis/example.com/${version}/namespaces/default/parts`;
    const part = { apiVersion: 'example.com/v2', kind: 'Part', metadata: { name: 'p' }, spec: { a: 'x' } };
    const created = await call('POST', path('v2'), part);
    assert.equal(created.body.apiVersion, 'example.com/v2');
    assert.match(created.warning, /example.com\/v2 Part is deprecated/);
    // Flow control counts them as it counts built-in ones.
    const sizes = replicas.map(({ registry }) => registry.cached?.get('example.com/parts')?.view.stats?.());
    assert.equal(sizes[0]?.count, 1);
    assert.ok((sizes[0]?.averageBytes ?? 0) > 0);
    const read = await call('GET', `${path('v1')}/p`);
    assert.equal(read.body.apiVersion, 'example.com/v1');
    const { kv } = await store.get('/registry/example.com/parts/default/p');
    assert.match(Buffer.from(kv?.value ?? []).toString(), /"apiVersion":"example.com\/v1"/);
  });

  test('are there at once when a server starts', async () => {
    replicas.push(await open());
    const { status, body } = await call('GET', '/apis/example.com/v2/parts', undefined, {}, 2);
    assert.equal(status, 200);
    assert.deepEqual(
      (body.items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name),
      ['p'],
    );
    const groups = await call('GET', '/apis/example.com', undefined, {}, 2);
    assert.equal(groups.body.preferredVersion.version, 'v2');
  });

  test('are published as they are now, the same by every server', async () => {
    const spec = (more: object) => ({
      type: 'object',
      properties: {
        tone: { type: 'string', nullable: true },
        hue: { type: 'string', default: 'warm' },
        ...more,
      },
    });
    const names = ['zithers', 'alphorns'];
    for (const plural of names) await define(definition(plural, `Kind${plural}`, spec({})));
    const key = 'apis/example.com/v1';
    const urlOf = async (replica: number): Promise<string> =>
      (await call('GET', '/openapi/v3', undefined, {}, replica)).body.paths[key].serverRelativeURL as string;
    const schemasOf = async (replica: number): Promise<Record<string, { properties: object }>> =>
      (await call('GET', `/openapi/v3/${key}`, undefined, {}, replica)).body.components.schemas;
    const end = Date.now() + 5000;
    while ((await urlOf(0)) !== (await urlOf(1))) {
      assert.ok(Date.now() < end, 'the servers do not agree');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.deepEqual(await schemasOf(0), await schemasOf(1));
    const before = await urlOf(0);

    const changed = definition('zithers', 'Kindzithers', spec({ strings: { type: 'integer' } })) as {
      spec: { versions: object[] };
    };
    const patched = await call(
      'PATCH',
      `${definitions}/zithers.example.com`,
      { spec: { versions: changed.spec.versions } },
      { 'content-type': 'application/merge-patch+json' },
    );
    assert.equal(patched.status, 200, JSON.stringify(patched.body));
    await until(
      () => call('GET', `/openapi/v3/${key}`),
      ({ body }) =>
        body.components.schemas['com.example.v1.Kindzithers'].properties.spec.properties.strings !==
        undefined,
    );
    assert.notEqual(await urlOf(0), before);
    const v2 = await call('GET', '/openapi/v2');
    const published = v2.body.definitions['com.example.v1.Kindzithers'].properties.spec.properties;
    assert.equal(published.strings.type, 'integer');
    // Swagger 2.0 cannot say that null is allowed, so it says nothing of the type.
    assert.equal(published.tone.type, undefined);

    const made = await call('POST', '/apis/example.com/v1/namespaces/default/zithers', {
      apiVersion: 'example.com/v1',
      kind: 'Kindzithers',
      metadata: { name: 'a' },
      spec: { tone: null, hue: null },
    });
    assert.deepEqual(made.body.spec, { tone: null, hue: 'warm' });
  });

  test('with a rule that does not compile are refused', async () => {
    const answer = await call(
      'POST',
      definitions,
      definition('bad', 'Bad', {
        type: 'object',
        properties: { a: { type: 'string' } },
        'x-kubernetes-validations': [{ rule: 'self.b' }],
      }),
    );
    assert.equal(answer.status, 422);
    assert.match(
      answer.body.details.causes[0].message as string,
      /compilation failed: ERROR: <input>:1:5: undefined field 'b'\n \| self\.b\n \| \.\.\.\.\^$/,
    );
  });
});
