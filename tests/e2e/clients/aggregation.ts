import { spawn } from 'node:child_process';
import { createWriteStream, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createAuthority, issueCertificate } from '@pilothouse/host';
import { expectResult } from '../checks.ts';
import type { ClientContext } from './suite.ts';
import { buildGo } from './suite.ts';

const name = 'v1alpha1.wardle.example.com';

/** Loopback addresses may not be endpoints. */
function ownAddress(): string {
  for (const addresses of Object.values(os.networkInterfaces())) {
    for (const each of addresses ?? []) if (!each.internal && each.family === 'IPv4') return each.address;
  }
  throw new Error('This machine has no address but the loopback one');
}

/** A stock extension API server that keeps its objects in our store, and asks us who calls and what they may do. */
export async function aggregation(context: ClientContext): Promise<void> {
  const { checks, kubectl, scratch, plane, kubeconfig } = context;
  if (plane === undefined)
    throw new Error('This suite needs a plane of its own: the extension server uses its store');
  const program = await buildGo('extension', '.', 'extension-apiserver');
  const life = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 86_400_000 };
  const authority = await createAuthority('wardle', life.notBefore, life.notAfter);
  const serving = await issueCertificate(authority, {
    commonName: 'api.wardle.svc',
    hosts: ['api.wardle.svc'],
    usage: 'server',
    ...life,
  });
  const file = (base: string, text: string): string => {
    const target = path.join(scratch, base);
    writeFileSync(target, text);
    return target;
  };
  const pki = (base: string): string => path.join(plane.dataDir, 'pki', base);
  const port = context.port + 80;
  const apply = (manifest: object): Promise<void> =>
    kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) }).then((result) =>
      expectResult('kubectl apply', result, {}),
    );
  const list = (...items: object[]): object => ({ apiVersion: 'v1', kind: 'List', items });
  const sees = (what: string, args: string[], wanted: Parameters<typeof expectResult>[2], within = 0) =>
    checks.check(what, async () => expectResult(args.join(' '), await kubectl(args), wanted), within);

  await checks.check('the objects around the server are applied', () =>
    apply(
      list(
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'wardle' } },
        {
          apiVersion: 'v1',
          kind: 'ServiceAccount',
          metadata: { name: 'api', namespace: 'wardle' },
        },
        binding('ClusterRoleBinding', 'wardle-delegator', undefined, 'ClusterRole', 'system:auth-delegator'),
        binding(
          'RoleBinding',
          'wardle-reader',
          'kube-system',
          'Role',
          'extension-apiserver-authentication-reader',
        ),
        {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'ClusterRole',
          metadata: { name: 'wardle-server' },
          rules: [
            { apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'watch', 'list'] },
            {
              apiGroups: ['admissionregistration.k8s.io'],
              resources: ['*'],
              verbs: ['get', 'watch', 'list'],
            },
            {
              apiGroups: ['flowcontrol.apiserver.k8s.io'],
              resources: ['*'],
              verbs: ['get', 'watch', 'list'],
            },
          ],
        },
        binding('ClusterRoleBinding', 'wardle-server', undefined, 'ClusterRole', 'wardle-server'),
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'api', namespace: 'wardle' },
          spec: { ports: [{ name: 'https', port: 443, targetPort: port }] },
        },
        {
          apiVersion: 'apiregistration.k8s.io/v1',
          kind: 'APIService',
          metadata: { name },
          spec: {
            group: 'wardle.example.com',
            version: 'v1alpha1',
            service: { namespace: 'wardle', name: 'api' },
            caBundle: Buffer.from(authority.certPem).toString('base64'),
            groupPriorityMinimum: 1000,
            versionPriority: 15,
          },
        },
      ),
    ),
  );
  const condition = [
    'get',
    'apiservice',
    name,
    '-o',
    'jsonpath={.status.conditions[0].reason}: {.status.conditions[0].message}',
  ];
  await sees(
    'without endpoints it is not available',
    condition,
    {
      matches: [/^EndpointsNotFound: cannot find endpointslices for service\/api in "wardle"$/],
    },
    10_000,
  );
  await sees('and answers 503', ['get', '--raw', '/apis/wardle.example.com/v1alpha1'], {
    code: 1,
    matches: [/ServiceUnavailable|service unavailable|currently unable to handle the request/],
  });
  await checks.check('endpoints written by hand become slices', () =>
    apply({
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: 'api', namespace: 'wardle' },
      subsets: [{ addresses: [{ ip: ownAddress() }], ports: [{ name: 'https', port }] }],
    }),
  );
  await sees(
    'nobody listens: the check says so',
    condition,
    {
      matches: [/^FailedDiscoveryCheck: failing or missing response from https:\/\/.*connection refused$/],
    },
    15_000,
  );

  const token = await kubectl(['create', 'token', 'api', '-n', 'wardle']);
  const account = await kubectl(['config', 'view', '--raw', '--minify', '-o', 'json']);
  const config = JSON.parse(account.stdout) as { users: { user: object }[] };
  for (const entry of config.users) entry.user = { token: token.stdout.trim() };
  const own = file('kubeconfig.json', JSON.stringify(config));
  const server = spawn(
    program,
    [
      `--etcd-servers=https://127.0.0.1:${context.port + 11}`,
      `--etcd-cafile=${pki('etcd/ca.crt')}`,
      `--etcd-certfile=${pki('etcd/client.crt')}`,
      `--etcd-keyfile=${pki('etcd/client.key')}`,
      `--secure-port=${port}`,
      `--tls-cert-file=${file('tls.crt', serving.certPem)}`,
      `--tls-private-key-file=${file('tls.key', serving.keyPem)}`,
      `--kubeconfig=${own}`,
      `--authentication-kubeconfig=${own}`,
      `--authorization-kubeconfig=${own}`,
      '--v=1',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const log = createWriteStream(path.join(os.tmpdir(), 'pilothouse-extension.log'));
  server.stdout.pipe(log);
  server.stderr.pipe(log);
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  try {
    await sees(
      'a server that answers becomes available',
      condition,
      { matches: [/^Passed: all checks passed$/] },
      45_000,
    );
    await sees('the table says True', ['get', 'apiservice', name], { matches: [/wardle\/api +True/] });
    await sees(
      'its resources are discovered',
      ['api-resources', '--api-group=wardle.example.com'],
      {
        matches: [/flunders +wardle\.example\.com\/v1alpha1 +true +Flunder/, /fischers/],
      },
      10_000,
    );
    await sees(
      'explain reads its OpenAPI',
      ['explain', 'flunders.spec'],
      { matches: [/referenceType/] },
      70_000,
    );
    await session(context);
    await sees('a stranger is refused by the other server itself', ['get', 'flunders', '-A', '--as=jane'], {
      code: 1,
      matches: [/User "jane" cannot list resource "flunders" in API group "wardle\.example\.com"/],
    });
  } finally {
    server.kill('SIGTERM');
    const late = setTimeout(() => server.kill('SIGKILL'), 10_000);
    await exited;
    clearTimeout(late);
    log.end();
  }
  await sees('after it ended it is unavailable', condition, { matches: [/^FailedDiscoveryCheck:/] }, 45_000);
  await sees('one server that is gone spoils no other command', ['get', 'namespaces'], {
    matches: [/wardle/],
  });
  await checks.check(
    'a namespace with a stale group waits, and goes when the APIService is gone',
    async () => {
      expectResult('create', await kubectl(['create', 'namespace', 'going']), {});
      expectResult('delete', await kubectl(['delete', 'namespace', 'going', '--wait=false']), {});
      expectResult('delete', await kubectl(['delete', 'apiservice', name]), {});
      expectResult('wait', await kubectl(['wait', '--for=delete', 'namespace/going', '--timeout=25s']), {});
    },
  );
  await sees(
    'nothing of the group is left',
    ['api-resources', '--api-group=wardle.example.com', '--no-headers'],
    {
      lacks: [/flunder/],
    },
    5000,
  );
  void kubeconfig;
}

function binding(
  kind: string,
  bindingName: string,
  namespace: string | undefined,
  roleKind: string,
  role: string,
): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: { name: bindingName, ...(namespace === undefined ? {} : { namespace }) },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: roleKind, name: role },
    subjects: [{ kind: 'ServiceAccount', name: 'api', namespace: 'wardle' }],
  };
}

/** What people do with objects of another server. */
async function session({ checks, kubectl }: ClientContext): Promise<void> {
  const flunder = {
    apiVersion: 'wardle.example.com/v1alpha1',
    kind: 'Flunder',
    metadata: { name: 'my-flunder', namespace: 'wardle', labels: { a: 'b' } },
    spec: { reference: 'x' },
  };
  const step = (
    what: string,
    args: string[],
    wanted: Parameters<typeof expectResult>[2],
    input?: object,
  ): Promise<boolean> =>
    checks.check(what, async () =>
      expectResult(
        args.join(' '),
        await kubectl(['-n', 'wardle', ...args], input === undefined ? {} : { input: JSON.stringify(input) }),
        wanted,
      ),
    );
  await step('create', ['create', '-f', '-', '--validate=false'], { matches: [/flunder.*created/] }, flunder);
  await step('get', ['get', 'flunders'], { matches: [/my-flunder/] });
  await step(
    'apply over it',
    ['apply', '-f', '-', '--validate=false'],
    { matches: [/configured|unchanged/] },
    flunder,
  );
  await step(
    'patch',
    ['patch', 'flunder', 'my-flunder', '--type=merge', '-p', '{"metadata":{"labels":{"a":"c"}}}'],
    {
      matches: [/patched/],
    },
  );
  await step('select', ['get', 'flunders', '-l', 'a=c', '-o', 'name'], { matches: [/my-flunder/] });
  await checks.check('watch through the proxy', async () => {
    const watching = kubectl(
      ['-n', 'wardle', 'get', 'flunders', '--watch-only', '--request-timeout=4s', '-o', 'name'],
      {
        timeoutMs: 8000,
      },
    );
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expectResult('label', await kubectl(['-n', 'wardle', 'label', 'flunder', 'my-flunder', 'x=y']), {});
    const result = await watching;
    if (!result.stdout.includes('my-flunder')) throw new Error(`${result.stdout}${result.stderr}`);
  });
  await step('delete all', ['delete', 'flunders', '--all'], { matches: [/deleted/] });
}
