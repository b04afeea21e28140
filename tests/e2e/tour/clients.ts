import path from 'node:path';
import { CoreV1Api, KubeConfig, Watch } from '@kubernetes/client-node';
import { expectResult, run } from '../checks.ts';
import type { Checks } from '../checks.ts';
import type { Plane } from '../plane.ts';
import { repository } from '../tools.ts';
import type { Tools } from '../tools.ts';
import { Kubectl } from './kubectl.ts';

/** Clients in other languages: they list and watch. */
export async function clients(checks: Checks, tools: Tools, kubeconfig: string): Promise<void> {
  const programs: [name: string, program: string | undefined, args: string[]][] = [
    ['Python client', tools.python, [path.join(repository, 'tests', 'e2e', 'clients', 'python', 'tour.py')]],
    ['Go client-go', tools.goTour, []],
  ];
  for (const [name, program, args] of programs) {
    if (program === undefined) {
      process.stdout.write(`SKIP  ${name}: its language is not installed here\n`);
      continue;
    }
    await checks.check(`${name}: list, watch, informer`, async () => {
      expectResult(name, await run(program, args, { env: { KUBECONFIG: kubeconfig }, timeoutMs: 120_000 }), {
        lacks: [/^FAIL/m],
      });
    });
  }
  await checks.check('Node client: list and watch', () => nodeClient(kubeconfig));
}

/** The store behind the plane, with the client of a real etcd; and the kubectl that was on the machine before. */
export async function store(checks: Checks, tools: Tools, plane: Plane | undefined): Promise<void> {
  if (tools.foundKubectl !== undefined && plane) {
    const found = new Kubectl(tools.foundKubectl, plane.kubeconfig);
    await found.steps(checks, [
      { args: 'get nodes', name: "get nodes (the machine's own kubectl)", matches: [/node-0\s+Ready/] },
      {
        args: 'get pods -A',
        name: "get pods -A (the machine's own kubectl)",
        matches: [/NAMESPACE\s+NAME|No resources found/],
      },
    ]);
  }
  if (tools.etcdctl === undefined || !plane) {
    process.stdout.write('SKIP  etcdctl: not installed here, or not our own plane\n');
    return;
  }
  const { etcdctl } = tools;
  const { processes } = await plane.status();
  const endpoints = processes
    .filter((each) => each.component === 'store')
    .map((each) => `https://${each.address}`);
  const pki = (file: string): string => path.join(plane.dataDir, 'pki', 'etcd', file);
  const flags = [
    '--endpoints',
    endpoints.join(','),
    '--cacert',
    pki('ca.crt'),
    '--cert',
    pki('client.crt'),
    '--key',
    pki('client.key'),
  ];
  const steps: [args: string[], pattern: RegExp][] = [
    [['endpoint', 'health'], /is healthy/],
    [['endpoint', 'status', '--write-out=table'], /true/],
    [['member', 'list'], /store-0.*\n.*store-|started/],
    [['get', '/registry/namespaces/', '--prefix', '--keys-only'], /\/registry\/namespaces\/default/],
    [['put', '/tour/key', 'value'], /^OK/],
    [['get', '/tour/key'], /value/],
    [['del', '/tour/key'], /^1/],
  ];
  for (const [args, pattern] of steps) {
    await checks.check(`etcdctl ${args.join(' ')}`, async () => {
      expectResult(
        `etcdctl ${args.join(' ')}`,
        await run(etcdctl, [...flags, ...args], { env: { ETCDCTL_API: '3' } }),
        { matches: [pattern] },
      );
    });
  }
}

async function nodeClient(kubeconfig: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const nodes = await core.listNode();
  if (nodes.items.length === 0) throw new Error('The Node client lists no nodes');
  const seen: string[] = [];
  let finished: (() => void) | undefined;
  const done = new Promise<void>((resolve) => (finished = resolve));
  const request = await new Watch(config).watch(
    '/api/v1/namespaces/default/configmaps',
    { allowWatchBookmarks: true },
    (type: string, object: { metadata?: { name?: string } }) => {
      if (object.metadata?.name !== 'node-client') return;
      seen.push(type);
      if (type === 'DELETED') finished?.();
    },
    () => finished?.(),
  );
  await core.createNamespacedConfigMap({
    namespace: 'default',
    body: { metadata: { name: 'node-client' }, data: { k: '1' } },
  });
  await core.deleteNamespacedConfigMap({ namespace: 'default', name: 'node-client' });
  await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 15_000))]);
  request.abort();
  if (seen.join() !== 'ADDED,DELETED')
    throw new Error(`The Node client's watch saw ${seen.join() || 'nothing'}`);
}
