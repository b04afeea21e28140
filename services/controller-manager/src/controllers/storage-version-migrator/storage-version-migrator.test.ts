import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { silentLogger } from '@pilothouse/base';
import type { Transport, TransportRequest } from '@pilothouse/client';
import { EventRecorder, InformerFactory, RestClient } from '@pilothouse/client';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import type { ControllerSettings, ControlLoop } from '../../context.ts';
import { createStorageVersionMigrator } from './storage-version-migrator.ts';

const migrationsPath = '/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations';
const definitionsPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** As much of an API as the controller asks for, with the answers that it has to tell apart. */
class FakeApi implements Transport {
  readonly objects = new Map<string, KubeObject>();
  readonly applied: string[] = [];
  readonly answers = new Map<string, number>();
  #revision = 100;
  #watch: ((line: string) => void) | undefined;

  put(path: string, object: KubeObject): KubeObject {
    const made = structuredClone(object);
    made.metadata.resourceVersion = String(++this.#revision);
    const type = this.objects.has(path) ? 'MODIFIED' : 'ADDED';
    this.objects.set(path, made);
    if (path.startsWith(migrationsPath)) this.#watch?.(JSON.stringify({ type, object: made }));
    return made;
  }

  request({ method, path, body, signal }: TransportRequest) {
    const url = new URL(path, 'http://x');
    const text = (status: number, value: unknown) =>
      Promise.resolve({ status, headers: {}, body: pieces([JSON.stringify(value)]) });
    if (url.searchParams.get('watch') === 'true') {
      const body = new Lines((push) => this.#open(push), signal);
      return Promise.resolve({ status: 200, headers: {}, body });
    }
    const here = url.pathname.replace(/\/status$/, '');
    if (method === 'GET') return text(...this.#read(url));
    if (method === 'PUT') return text(200, this.put(here, JSON.parse(String(body)) as KubeObject));
    return text(...this.#apply(here, JSON.parse(String(body)) as KubeObject));
  }

  close(): void {}

  #open(push: (line: string) => void): void {
    this.#watch = push;
    for (const [path, object] of this.objects)
      if (path.startsWith(migrationsPath)) push(JSON.stringify({ type: 'ADDED', object }));
    const metadata = {
      resourceVersion: String(this.#revision),
      annotations: { 'k8s.io/initial-events-end': 'true' },
    };
    push(JSON.stringify({ type: 'BOOKMARK', object: { metadata } }));
  }

  #read(url: URL): [number, unknown] {
    const found = this.objects.get(url.pathname);
    if (found !== undefined) return [200, found];
    if (url.pathname === '/apis') return [200, { groups: [group('example.com')] }];
    if (url.pathname === '/api/v1') return [200, { resources: [] }];
    if (url.pathname === '/apis/example.com/v2')
      return [
        200,
        {
          resources: [
            { name: 'sites', kind: 'Site', namespaced: true, verbs: ['list', 'patch', 'update'] },
            { name: 'reads', kind: 'Read', namespaced: true, verbs: ['list'] },
          ],
        },
      ];
    if (!url.pathname.endsWith('/sites')) return [404, failure(404, 'NotFound')];
    const plural = url.pathname.split('/').at(-1);
    const all = [...this.objects]
      .filter(([path]) => path.split('/').at(-2) === plural)
      .map(([, each]) => each);
    const limit = Number(url.searchParams.get('limit') ?? all.length);
    const from = Number(url.searchParams.get('continue') ?? 0);
    // Two on a page, so that there are several.
    const to = Math.min(from + Math.min(limit, 2), all.length);
    return [
      200,
      {
        kind: 'List',
        apiVersion: 'v1',
        metadata: {
          resourceVersion: String(this.#revision),
          ...(to < all.length ? { continue: String(to) } : {}),
        },
        items: all.slice(from, to),
      },
    ];
  }

  #apply(path: string, patch: KubeObject): [number, unknown] {
    const code = this.answers.get(path) ?? 200;
    if (code === 503) this.answers.delete(path);
    if (code !== 200)
      return [
        code,
        failure(code, { 409: 'Conflict', 503: 'ServiceUnavailable', 422: 'Invalid' }[code] ?? ''),
      ];
    this.applied.push(path);
    const old = this.objects.get(path) as KubeObject;
    if (patch.metadata.resourceVersion !== old.metadata.resourceVersion)
      return [409, failure(409, 'Conflict')];
    return [
      200,
      this.put(path, { ...old, ...(patch['status'] === undefined ? {} : { status: patch['status'] }) }),
    ];
  }
}

const failure = (code: number, reason: string) => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  reason,
  message: `${reason} it is`,
});
const group = (name: string) => ({
  name,
  preferredVersion: { groupVersion: `${name}/v2` },
  versions: [{ groupVersion: `${name}/v2` }],
});

async function* pieces(texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield await Promise.resolve(new TextEncoder().encode(text));
}

/** A watch: lines until the signal. */
class Lines implements AsyncIterable<Uint8Array> {
  readonly #waiting: string[] = [];
  #wake: () => void = () => undefined;
  #ended = false;

  constructor(open: (push: (line: string) => void) => void, signal: AbortSignal | undefined) {
    open((line) => {
      this.#waiting.push(line);
      this.#wake();
    });
    signal?.addEventListener('abort', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    while (!this.#ended) {
      for (const line of this.#waiting.splice(0)) yield new TextEncoder().encode(`${line}\n`);
      if (!this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

const sitePath = (name: string) => `/apis/example.com/v2/namespaces/n/sites/${name}`;
const site = (name: string): KubeObject => ({
  apiVersion: 'example.com/v2',
  kind: 'Site',
  metadata: { name, namespace: 'n', uid: name },
});
const migration = (name: string, resource = 'sites'): KubeObject => ({
  apiVersion: 'storagemigration.k8s.io/v1beta1',
  kind: 'StorageVersionMigration',
  metadata: { name, creationTimestamp: '2026-01-02T03:04:05Z' },
  spec: { resource: { group: 'example.com', resource } },
});

async function running(api: FakeApi, body: () => Promise<void>): Promise<void> {
  const dependencies = { clock: nodeClock, random: nodeRandom, logger: silentLogger };
  const client = new RestClient(api, { clock: nodeClock, userAgent: 'test' });
  const informers = new InformerFactory({ client, ...dependencies });
  const loop: ControlLoop = createStorageVersionMigrator({
    name: 'storage-version-migrator-controller',
    client,
    informers,
    recorder: new EventRecorder(client, { ...dependencies, component: 'test' }),
    settings: {} as ControllerSettings,
    observe: undefined,
    ...dependencies,
  });
  loop.start();
  try {
    await body();
  } finally {
    await loop.stop();
    await informers.stop();
  }
}

const conditions = (api: FakeApi, name: string): string[] =>
  (
    (api.objects.get(`${migrationsPath}/${name}`)?.['status']?.conditions ?? []) as Record<string, string>[]
  ).map(({ type, status, reason }) => `${type}=${status} ${reason}`);

async function until(done: () => boolean): Promise<void> {
  const endMs = Date.now() + 5000;
  while (!done()) {
    assert.ok(Date.now() < endMs, 'not in 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const done = ['Running=False MigrationCompleted', 'Succeeded=True StorageVersionMigrationSucceeded'];

test('every object of the pages is applied once, but for those written later, and the definition is told', async () => {
  const api = new FakeApi();
  const definition = `${definitionsPath}/sites.example.com`;
  api.put(definition, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'sites.example.com', generation: 3 },
    spec: { versions: [{ name: 'v1' }, { name: 'v2', storage: true }] },
    status: { storedVersions: ['v1', 'v2'] },
  });
  for (const name of ['a', 'b', 'c', 'd', 'e']) api.put(sitePath(name), site(name));
  // Somebody else writes it while the migration runs.
  api.answers.set(sitePath('b'), 409);
  // The first answer only.
  api.answers.set(sitePath('e'), 503);
  api.put(`${migrationsPath}/m`, migration('m'));
  await running(api, () => until(() => conditions(api, 'm').join() === done.join()));
  const times = (name: string): number => api.applied.filter((path) => path === sitePath(name)).length;
  // What was done before the 503 is newer than the checkpoint at the second try.
  assert.deepEqual(['a', 'b', 'c', 'd', 'e'].map(times), [1, 0, 1, 1, 1]);
  const { status } = api.objects.get(definition) as KubeObject & { status: Record<string, unknown> };
  assert.deepEqual(status['storedVersions'], ['v2']);
  assert.equal((status['conditions'] as { reason: string }[])[0]?.reason, 'MigrationSucceeded');
});

test('one runs at a time, and what cannot be migrated says why', async () => {
  const api = new FakeApi();
  api.put(sitePath('a'), site('a'));
  api.answers.set(sitePath('a'), 422);
  api.put(`${migrationsPath}/m1`, migration('m1'));
  api.put(`${migrationsPath}/m2`, migration('m2'));
  api.put(`${migrationsPath}/r`, migration('r', 'reads'));
  api.put(`${migrationsPath}/x`, migration('x', 'unknown'));
  const failed = 'Running=False MigrationCompleted,Failed=True StorageVersionMigrationFailed';
  await running(api, () =>
    until(() => ['m1', 'm2', 'r', 'x'].every((name) => conditions(api, name).join() === failed)),
  );
  const message = (name: string): string =>
    (
      api.objects.get(`${migrationsPath}/${name}`)?.['status'].conditions as {
        type: string;
        message: string;
      }[]
    ).find(({ type }) => type === 'Failed')?.message ?? '';
  assert.equal(message('m1'), 'migration encountered unhandled error: Invalid it is');
  assert.equal(
    message('r'),
    'resource "example.com/v2, Resource=reads" does not support discovery operations: [update patch list]',
  );
  assert.equal(message('x'), 'resource does not exist in discovery');
});
