// @kubernetes/client-node the way programs use it. Prints "ok" or "FAIL" for each check.
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const namespace = `node-${Math.random().toString(36).slice(2, 10)}`;
let failed = false;

async function check(what, body) {
  try {
    await body();
    console.log(`ok    client-node: ${what}`);
  } catch (error) {
    failed = true;
    console.log(`FAIL  client-node: ${what}: ${String(error.stack ?? error).slice(0, 800)}`);
  }
}

function expect(condition, what) {
  if (!condition) throw new Error(typeof what === 'string' ? what : JSON.stringify(what));
}

async function until(seconds, body) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    try {
      return await body();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function refused(code, promise) {
  try {
    await promise;
  } catch (error) {
    expect(error.code === code, `${error.code} instead of ${code}: ${error.body}`);
    return;
  }
  throw new Error(`no ${code}`);
}

const configMap = (name, data = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace, labels: { l: 'x' } },
  data,
});

await core.createNamespace({ body: { metadata: { name: namespace } } });

await check('typed create, read, replace, delete, and what is refused', async () => {
  const made = await core.createNamespacedConfigMap({ namespace, body: configMap('a', { k: '1' }) });
  expect(made.metadata.creationTimestamp instanceof Date, made);
  await refused(409, core.createNamespacedConfigMap({ namespace, body: configMap('a') }));
  made.data.k = '2';
  await core.replaceNamespacedConfigMap({ name: 'a', namespace, body: made });
  await refused(409, core.replaceNamespacedConfigMap({ name: 'a', namespace, body: made }));
  await core.deleteNamespacedConfigMap({ name: 'a', namespace });
  await refused(404, core.readNamespacedConfigMap({ name: 'a', namespace }));
  await refused(422, core.createNamespacedConfigMap({ namespace, body: configMap('Bad Name') }));
});

await check('every patch strategy, apply with conflict and force', async () => {
  await core.createNamespacedConfigMap({ namespace, body: configMap('p', { k: '1', gone: 'x' }) });
  const patch = (body, strategy, extra = {}) =>
    core.patchNamespacedConfigMap(
      { name: 'p', namespace, body, ...extra },
      k8s.setHeaderOptions('Content-Type', strategy),
    );
  await patch({ data: { gone: null } }, k8s.PatchStrategy.MergePatch);
  await patch({ metadata: { annotations: { s: 'y' } } }, k8s.PatchStrategy.StrategicMergePatch);
  await patch([{ op: 'add', path: '/data/j', value: '3' }], k8s.PatchStrategy.JsonPatch);
  const wanted = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'p' }, data: { k: '9' } };
  await refused(409, patch(wanted, k8s.PatchStrategy.ServerSideApply, { fieldManager: 'me' }));
  const applied = await patch(wanted, k8s.PatchStrategy.ServerSideApply, { fieldManager: 'me', force: true });
  expect(applied.data.k === '9' && applied.data.j === '3' && applied.data.gone === undefined, applied.data);
  expect(
    applied.metadata.managedFields.some((each) => each.manager === 'me' && each.operation === 'Apply'),
    applied.metadata.managedFields,
  );
});

await check('KubernetesObjectApi knows any kind', async () => {
  const made = await objects.create(configMap('o', { a: '1' }));
  made.data.a = '2';
  await objects.replace(made);
  await objects.patch(
    { ...configMap('o'), data: { b: '3' } },
    undefined,
    undefined,
    undefined,
    undefined,
    k8s.PatchStrategy.MergePatch,
  );
  const read = await objects.read({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'o', namespace },
  });
  expect(read.data.a === '2' && read.data.b === '3', read.data);
  const list = await objects.list(
    'v1',
    'ConfigMap',
    namespace,
    undefined,
    undefined,
    undefined,
    undefined,
    'l=x',
  );
  expect(list.items.length >= 2, list.items.length);
  await objects.delete(read);
  await refused(404, objects.read(read));
});

await check('an informer sees objects come, change and go, and starts again after an error', async () => {
  const seen = [];
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const informer = k8s.makeInformer(
    config,
    path,
    () => core.listNamespacedConfigMap({ namespace, labelSelector: 'l=x' }),
    'l=x',
  );
  for (const verb of ['add', 'update', 'delete'])
    informer.on(verb, (object) => seen.push(`${verb} ${object.metadata.name}`));
  informer.on('error', () => informer.start());
  await informer.start();
  await core.createNamespacedConfigMap({ namespace, body: configMap('i') });
  await until(5, async () => expect(seen.includes('add i'), seen));
  await core.patchNamespacedConfigMap(
    { name: 'i', namespace, body: { data: { k: 'v' } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
  );
  await until(5, async () => expect(seen.includes('update i'), seen));
  await core.deleteNamespacedConfigMap({ name: 'i', namespace });
  await until(5, async () => expect(seen.includes('delete i'), seen));
  await informer.stop();
});

await check('a watch with bookmarks, ended by its timeout', async () => {
  const types = new Set();
  await new Promise((resolve, reject) => {
    new k8s.Watch(config)
      .watch(
        `/api/v1/namespaces/${namespace}/configmaps`,
        {
          allowWatchBookmarks: true,
          sendInitialEvents: true,
          resourceVersionMatch: 'NotOlderThan',
          timeoutSeconds: 2,
        },
        (type) => types.add(type),
        (error) =>
          error && error.name !== 'AbortError' && !/premature/i.test(String(error))
            ? reject(error)
            : resolve(),
      )
      .catch(reject);
  });
  expect(types.has('ADDED') && types.has('BOOKMARK'), [...types]);
});

await check('a deployment becomes ready, scaled through its subresource', async () => {
  const labels = { app: 'd' };
  await apps.createNamespacedDeployment({
    namespace,
    body: {
      metadata: { name: 'd' },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'nginx' }] } },
      },
    },
  });
  await apps.patchNamespacedDeploymentScale(
    { name: 'd', namespace, body: { spec: { replicas: 2 } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
  );
  await until(20, async () => {
    const { status } = await apps.readNamespacedDeploymentStatus({ name: 'd', namespace });
    expect(status.readyReplicas === 2, status);
  });
});

await check('pages with limit and continue', async () => {
  for (let number = 0; number < 5; number++)
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: `s${number}` } } });
  const names = [];
  let token;
  do {
    const page = await core.listNamespacedSecret({ namespace, limit: 2, _continue: token });
    names.push(...page.items.map((item) => item.metadata.name));
    token = page.metadata._continue;
  } while (token);
  expect(names.join() === 's0,s1,s2,s3,s4', names);
});

await check('custom resources, discovery and version', async () => {
  const group = `${namespace}.example.com`;
  const extensions = config.makeApiClient(k8s.ApiextensionsV1Api);
  const name = `carts.${group}`;
  await extensions.createCustomResourceDefinition({
    body: {
      metadata: { name },
      spec: {
        group,
        scope: 'Namespaced',
        names: { kind: 'Cart', listKind: 'CartList', plural: 'carts', singular: 'cart' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: { type: 'object', x_kubernetes_preserve_unknown_fields: true },
            },
          },
        ],
      },
    },
  });
  try {
    const custom = config.makeApiClient(k8s.CustomObjectsApi);
    const where = { group, version: 'v1', namespace, plural: 'carts' };
    const body = { apiVersion: `${group}/v1`, kind: 'Cart', metadata: { name: 'c' }, wheels: 4 };
    await until(10, () => custom.createNamespacedCustomObject({ ...where, body }));
    const list = await custom.listNamespacedCustomObject(where);
    expect(list.items.length === 1 && list.items[0].wheels === 4, list);
  } finally {
    await extensions.deleteCustomResourceDefinition({ name });
  }
  const groups = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
  expect(
    groups.groups.some((each) => each.name === 'apps'),
    groups,
  );
  const version = await config.makeApiClient(k8s.VersionApi).getCode();
  expect(version.minor === '36', version);
});

await core.deleteNamespace({ name: namespace });
process.exit(failed ? 1 : 0);
