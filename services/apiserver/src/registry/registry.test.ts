import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import type { KubeObject, Status } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import { MemoryKeyValueStore } from '../storage/memory/memory-key-value-store.ts';
import { internalContext } from './internal-client.ts';
import type { ApiRegistry } from './registry.ts';
import { createRegistry } from './registry.ts';
import type { RestContext, RestStorage, Stored } from './rest/rest-storage.ts';
import { noAdmission } from './rest/rest-storage.ts';

async function open(): Promise<ApiRegistry> {
  const registry = createRegistry({
    store: new MemoryKeyValueStore({ now: () => Date.now() }),
    clock: nodeClock,
    random: nodeRandom,
    serviceCidrs: ['10.0.0.0/16'],
  });
  await registry.start();
  return registry;
}

async function using(body: (registry: ApiRegistry) => Promise<void>): Promise<void> {
  const registry = await open();
  try {
    await body(registry);
  } finally {
    registry.close();
  }
}

const context = (namespace = 'ns', more: Partial<RestContext> = {}): RestContext => ({
  ...internalContext(nodeClock, namespace),
  fieldManager: 'test',
  ...more,
});

function storageOf(
  registry: ApiRegistry,
  group: string,
  version: string,
  resource: string,
  subresource = '',
): RestStorage {
  const storage = registry.storage(group, version, resource, subresource);
  assert.ok(storage, `${group}/${version} ${resource}/${subresource} is not served`);
  return storage;
}

async function create(
  storage: RestStorage,
  object: KubeObject,
  at: RestContext = context(),
): Promise<Stored> {
  const own = structuredClone(object);
  storage.defaults?.(own);
  return (await storage.create?.(at, '', own, {}, noAdmission)) as Stored;
}

/** A PUT. */
async function put(
  storage: RestStorage,
  object: KubeObject,
  at: RestContext = context(),
): Promise<{ object: Stored; created: boolean }> {
  assert.ok(storage.update);
  return storage.update(
    at,
    object.metadata.name ?? '',
    { updatedObject: () => structuredClone(object) },
    {},
    noAdmission,
  );
}

const configMap = (name: string, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { a: '1' },
  ...more,
});
const status = (code: number, text: string) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.status.message, text);
  assert.equal(error.httpCode, code);
  return true;
};

test('create fills metadata; get, list and a second create see it', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'configmaps');
    const stored = await create(storage, configMap('c'));
    const { metadata } = stored.object;
    assert.match(metadata.uid ?? '', /^[0-9a-f-]{36}$/);
    assert.equal(metadata.namespace, 'ns');
    assert.equal(metadata.resourceVersion, String(stored.revision));
    assert.equal(metadata.managedFields?.[0]?.manager, 'test');
    assert.deepEqual((await storage.get?.(context(), 'c', {}))?.object, stored.object);
    const list = await storage.list?.(context(), { fieldSelector: 'metadata.name=c' });
    assert.equal([...(list?.items ?? [])].length, 1);
    await assert.rejects(create(storage, configMap('c')), status(409, 'configmaps "c" already exists'));
    await assert.rejects(
      create(storage, configMap('C_')),
      (error: unknown) => error instanceof StatusError && error.reason === 'Invalid',
    );
    const text = Buffer.from(stored.json()).toString();
    assert.ok(text.startsWith('{"kind":"ConfigMap","apiVersion":"v1","metadata":'), text);
    assert.equal(
      `{${Buffer.from(stored.listItemJson()).toString()}`,
      text.replace('"kind":"ConfigMap","apiVersion":"v1",', ''),
    );
  }));

test('generateName makes a name and creates', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'configmaps');
    const stored = await create(storage, { ...configMap(''), metadata: { generateName: 'x-' } });
    assert.match(stored.object.metadata.name ?? '', /^x-[a-z0-9]{5}$/);
  }));

test('an update obeys resourceVersion, keeps what may not change and skips what changes nothing', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'configmaps');
    const first = await create(storage, configMap('c'));
    const same = await put(storage, configMap('c'));
    assert.equal(same.object.revision, first.revision);
    const second = await put(storage, configMap('c', { data: { a: '2' } }));
    assert.ok(second.object.revision > first.revision);
    assert.equal(second.object.object.metadata.uid, first.object.metadata.uid);
    const stale = { ...configMap('c'), metadata: { name: 'c', resourceVersion: String(first.revision) } };
    await assert.rejects(
      put(storage, stale),
      status(
        409,
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to the latest version and try again',
      ),
    );
    await assert.rejects(put(storage, configMap('none')), status(404, 'configmaps "none" not found'));
  }));

test('dry runs answer as the real thing and store nothing', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'configmaps');
    const dry = context('ns', { dryRun: true });
    const stored = await create(storage, configMap('c'), dry);
    assert.equal(stored.object.metadata.resourceVersion, undefined);
    assert.ok(stored.object.metadata.uid);
    await create(storage, configMap('c'));
    await assert.rejects(create(storage, configMap('c'), dry), status(409, 'configmaps "c" already exists'));
    await put(storage, configMap('c', { data: { b: '9' } }), dry);
    await storage.delete?.(dry, 'c', {}, noAdmission);
    assert.deepEqual((await storage.get?.(context(), 'c', {}))?.object['data'], { a: '1' });
  }));

test('finalizers hold a deletion until the last one is removed', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'configmaps');
    const object = { ...configMap('c'), metadata: { name: 'c', finalizers: ['example.com/f'] } };
    await create(storage, object);
    const result = await storage.delete?.(context(), 'c', {}, noAdmission);
    assert.equal(result?.immediate, false);
    const waiting = (result?.object as Stored).object;
    assert.ok(waiting.metadata.deletionTimestamp);
    assert.equal(waiting.metadata.deletionGracePeriodSeconds, 0);
    await assert.rejects(
      create(storage, configMap('c')),
      status(409, 'object is being deleted: configmaps "c" already exists'),
    );
    const last = await put(storage, configMap('c'));
    assert.equal(last.object.revision, (result?.object as Stored).revision);
    await assert.rejects(
      Promise.resolve(storage.get?.(context(), 'c', {})),
      status(404, 'configmaps "c" not found'),
    );
  }));

test('delete answers a Status, refuses wrong preconditions, and orphans when told', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'configmaps');
    const { uid } = (await create(storage, configMap('c'))).object.metadata;
    await assert.rejects(
      Promise.resolve(storage.delete?.(context(), 'c', { preconditions: { uid: 'x' } }, noAdmission)),
      status(
        409,
        `Operation cannot be fulfilled on ConfigMap "c": the UID in the precondition (x) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
      ),
    );
    const orphaned = await storage.delete?.(context(), 'c', { propagationPolicy: 'Orphan' }, noAdmission);
    assert.deepEqual((orphaned?.object as Stored).object.metadata.finalizers, ['orphan']);
    const gone = await storage.delete?.(context(), 'c', { propagationPolicy: 'Background' }, noAdmission);
    assert.deepEqual(gone?.object, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'c', kind: 'configmaps', uid: uid ?? '' },
    } satisfies Status);
  }));

test('a collection is deleted by selector', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'configmaps');
    await create(storage, { ...configMap('a'), metadata: { name: 'a', labels: { k: 'x' } } });
    await create(storage, configMap('b'));
    const list = await storage.deleteCollection?.(context(), {}, { labelSelector: 'k=x' }, noAdmission);
    assert.deepEqual(
      [...(list?.items ?? [])].map((item) => item.key),
      ['ns/a'],
    );
    const left = await storage.list?.(context(), {});
    assert.deepEqual(
      [...(left?.items ?? [])].map((item) => item.key),
      ['ns/b'],
    );
  }));

test('a namespace ends in two steps', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'namespaces');
    await create(
      storage,
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' }, spec: { finalizers: ['kubernetes'] } },
      context(''),
    );
    const result = await storage.delete?.(context(''), 'n', {}, noAdmission);
    const object = (result?.object as Stored).object;
    assert.equal(object['status'].phase, 'Terminating');
    const finalize = storageOf(registry, '', 'v1', 'namespaces', 'finalize');
    await put(
      finalize,
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' }, spec: { finalizers: [] } },
      context(''),
    );
    await assert.rejects(
      Promise.resolve(storage.get?.(context(''), 'n', {})),
      status(404, 'namespaces "n" not found'),
    );
  }));

test('a namespace is not deleted against its preconditions, and its owned go first when told', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'namespaces');
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } };
    const { resourceVersion } = (await create(storage, namespace, context(''))).object.metadata;
    const remove = (options: object, more: Partial<RestContext> = {}): Promise<Stored> =>
      Promise.resolve(storage.delete?.(context('', more), 'n', options, noAdmission)).then(
        (result) => result?.object as Stored,
      );
    await assert.rejects(
      remove({ preconditions: { resourceVersion: '1' } }),
      status(
        409,
        `Operation cannot be fulfilled on namespaces "n": Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in object meta: ${resourceVersion}`,
      ),
    );
    const marked = await remove({ propagationPolicy: 'Foreground' }, { dryRun: true });
    assert.deepEqual(marked.object.metadata.finalizers, ['foregroundDeletion']);
  }));

test('selfLink is shown by a dry run and never stored', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'configmaps');
    await create(storage, configMap('c'));
    const linked = { ...configMap('c'), metadata: { name: 'c', selfLink: 'x' } };
    const dry = await put(storage, linked, context('ns', { dryRun: true }));
    assert.equal(dry.object.object.metadata.selfLink, 'x');
    const stored = await put(storage, linked);
    assert.equal(stored.object.object.metadata.selfLink, undefined);
  }));

test('Services get addresses and ports, and give them back', () =>
  using(async (registry) => {
    const storage = storageOf(registry, '', 'v1', 'services');
    const service = (name: string, spec: object): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec,
    });
    const first = await create(
      storage,
      service('a', { type: 'NodePort', ports: [{ port: 80, protocol: 'TCP' }] }),
    );
    const { clusterIP, clusterIPs, ports, ipFamilies } = first.object['spec'];
    assert.match(clusterIP, /^10\.0\./);
    assert.deepEqual([clusterIPs, ipFamilies], [[clusterIP], ['IPv4']]);
    assert.ok(ports[0].nodePort >= 30000 && ports[0].nodePort <= 32767);
    await assert.rejects(
      create(storage, service('b', { clusterIP, ports: [{ port: 80, protocol: 'TCP' }] })),
      status(
        422,
        `Service "b" is invalid: spec.clusterIPs: Invalid value: ["${clusterIP}"]: failed to allocate IP ${clusterIP}: provided IP is already allocated`,
      ),
    );
    await assert.rejects(
      create(
        storage,
        service('b', {
          type: 'NodePort',
          ports: [{ port: 80, protocol: 'TCP', nodePort: ports[0].nodePort }],
        }),
      ),
      status(
        422,
        `Service "b" is invalid: spec.ports[0].nodePort: Invalid value: ${ports[0].nodePort}: provided port is already allocated`,
      ),
    );
    const ip = await registry.client.get('networking.k8s.io', 'v1', 'ipaddresses', '', clusterIP);
    assert.deepEqual(ip['spec'].parentRef.name, 'a');
    await storage.delete?.(context(), 'a', {}, noAdmission);
    await create(
      storage,
      service('b', {
        clusterIP,
        type: 'NodePort',
        ports: [{ port: 80, protocol: 'TCP', nodePort: ports[0].nodePort }],
      }),
    );
  }));

test('a Scale reads and writes the replicas of its parent', () =>
  using(async (registry) => {
    const storage = storageOf(registry, 'apps', 'v1', 'deployments');
    const template = {
      metadata: { labels: { app: 'a' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    const spec = { replicas: 2, selector: { matchLabels: { app: 'a' } }, template };
    await create(storage, { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec });
    const scale = storageOf(registry, 'apps', 'v1', 'deployments', 'scale');
    const read = await scale.get?.(context(), 'd', {});
    assert.deepEqual(
      [read?.object.kind, read?.object['spec'], read?.object['status'].selector],
      ['Scale', { replicas: 2 }, 'app=a'],
    );
    const changed = structuredClone(read?.object) as KubeObject;
    changed['spec'] = { replicas: 5 };
    await put(scale, changed);
    assert.equal((await storage.get?.(context(), 'd', {}))?.object['spec'].replicas, 5);
  }));

test('HorizontalPodAutoscalers are served as v1 and v2', () =>
  using(async (registry) => {
    const v1 = storageOf(registry, 'autoscaling', 'v1', 'horizontalpodautoscalers');
    const v2 = storageOf(registry, 'autoscaling', 'v2', 'horizontalpodautoscalers');
    const spec = {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' },
      maxReplicas: 3,
      targetCPUUtilizationPercentage: 50,
    };
    await create(v1, {
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'h' },
      spec,
    });
    const asV2 = (await v2.get?.(context(), 'h', {}))?.object;
    assert.equal(asV2?.['spec'].metrics[0].resource.target.averageUtilization, 50);
    const asV1 = (await v1.get?.(context(), 'h', {}))?.object;
    assert.equal(asV1?.['spec'].targetCPUUtilizationPercentage, 50);
    assert.equal(asV1?.apiVersion, 'autoscaling/v1');
  }));

test('a binding assigns a pod once', () =>
  using(async (registry) => {
    const pods = storageOf(registry, '', 'v1', 'pods');
    await create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    const binding = storageOf(registry, '', 'v1', 'pods', 'binding');
    const bind = () =>
      binding.create?.(
        context(),
        'p',
        { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } },
        {},
        noAdmission,
      );
    assert.deepEqual(await bind(), {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      code: 201,
    });
    const pod = (await pods.get?.(context(), 'p', {}))?.object;
    assert.equal(pod?.['spec'].nodeName, 'n');
    assert.equal(pod?.['status'].conditions[0].type, 'PodScheduled');
    await assert.rejects(
      Promise.resolve(bind()),
      status(409, 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n"'),
    );
    const graceful = await pods.delete?.(context(), 'p', {}, noAdmission);
    assert.equal((graceful?.object as Stored).object.metadata.deletionGracePeriodSeconds, 30);
    await pods.delete?.(context(), 'p', { gracePeriodSeconds: 0 }, noAdmission);
    await assert.rejects(Promise.resolve(pods.get?.(context(), 'p', {})), status(404, 'pods "p" not found'));
  }));
