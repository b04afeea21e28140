import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { PkiEntry } from '@pilothouse/host';
import { expectResult, run, type Checks } from '../checks.ts';
import { startPlane } from '../plane.ts';
import {
  apiServerFlags,
  pkiOf,
  startLogged,
  writeKubeconfig,
  type LoggedProgram,
} from '../stock/api-server.ts';
import { hasStockServer, peer } from '../stock/programs.ts';
import { prepareTools } from '../tools.ts';
import { tour } from '../tour/tour.ts';
import { Cluster, findEtcd, type EtcdPrograms } from './cluster.ts';

/** Both ways of using one half of Pilothouse without the other. */
export async function swaps(checks: Checks, port: number, only: string | undefined): Promise<void> {
  const programs = await findEtcd();
  if (only === undefined || only === 'etcd') await ourApiserverOnEtcd(checks, programs, port);
  if (only === undefined || only === 'stock') await stockPlaneOnOurStore(checks, programs, port + 200);
}

async function keysUnder(programs: EtcdPrograms, endpoints: string, prefix: string): Promise<number> {
  const args = ['--endpoints', endpoints, 'get', prefix, '--prefix', '--count-only', '-w', 'fields'];
  const answer = await run(programs.etcdctl, args);
  return Number(/"Count" : (\d+)/.exec(answer.stdout)?.[1] ?? -1);
}

/** Our whole plane, its state in three members of a real etcd: the tour of the README must pass. */
async function ourApiserverOnEtcd(checks: Checks, programs: EtcdPrograms, port: number): Promise<void> {
  const tools = await prepareTools();
  const cluster = await new Cluster({ side: 'etcd', programs, port: port + 100, size: 3 }).start();
  try {
    const plane = await startPlane({
      port,
      args: ['--etcd-servers', cluster.endpoints, '--schedulers', '1', '--controller-managers', '1'],
    });
    try {
      await tour(checks, tools, plane.kubeconfig);
      await checks.check('the objects are in the real etcd', async () => {
        const count = await keysUnder(programs, cluster.endpoints, '/registry/');
        if (count < 100) throw new Error(`Only ${count} keys`);
      });
    } finally {
      await plane.stop();
    }
  } finally {
    await cluster.stop();
  }
}

interface StockPlane {
  readonly directory: string;
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

/** kube-apiserver, kube-controller-manager and kube-scheduler v1.36.3 on our three members: a Deployment is rolled out and scaled. */
async function stockPlaneOnOurStore(checks: Checks, programs: EtcdPrograms, port: number): Promise<void> {
  if (!hasStockServer('stock plane')) return;
  const cluster = await new Cluster({ side: 'pilothouse', programs, port, size: 3 }).start();
  let plane: StockPlane | undefined;
  try {
    plane = await startStockPlane(cluster, port + 20);
    const { kubeconfig } = plane;
    const kubectl = async (args: string, input?: string): Promise<string> => {
      const result = await run(peer('kubectl'), ['--kubeconfig', kubeconfig, ...args.split(' ')], {
        ...(input === undefined ? {} : { input }),
      });
      expectResult(`kubectl ${args}`, result, {});
      return result.stdout;
    };
    const checked = (name: string, seconds: number, body: () => Promise<void>): Promise<boolean> =>
      checks.check(`stock plane on our store: ${name}`, body, seconds * 1000);
    const wants = (text: string, pattern: RegExp): void => {
      if (!pattern.test(text)) throw new Error(`no match for ${pattern}\n${text}`);
    };
    await checked('kube-apiserver is ready', 90, async () =>
      wants(await kubectl('get --raw /readyz'), /^ok/),
    );
    await checked('a node is registered', 20, async () => {
      await kubectl('apply -f -', JSON.stringify(fakeNode));
      await kubectl(
        'patch node fake --subresource=status --type=merge -p ' + JSON.stringify({ status: fakeNode.status }),
      );
    });
    await checked('the taint of a new node is taken away', 20, async () => {
      // The admission puts it there; the controller that would remove it wants a kubelet.
      await kubectl('patch node fake --type=merge -p {"spec":{"taints":null}}');
    });
    await checked('a Deployment is created', 30, async () => {
      await kubectl('create deployment web --image=nginx --replicas=3');
    });
    const pods = async (count: number): Promise<void> => {
      const lines = (
        await kubectl('get pods -l app=web -o jsonpath={range.items[*]}{.spec.nodeName},{end}')
      ).split(',');
      const bound = lines.filter((node) => node === 'fake').length;
      if (bound !== count) throw new Error(`${bound} pods on the node, wanted ${count}`);
    };
    await checked('stock controllers and scheduler place its three pods', 60, () => pods(3));
    await checked('it is scaled to seven', 60, async () => {
      await kubectl('scale deployment web --replicas=7');
      await pods(7);
    });
    await checked('a watch sees a change', 30, async () => {
      const watch = run(
        peer('kubectl'),
        ['--kubeconfig', kubeconfig, 'get', 'configmaps', '-w', '-o', 'name'],
        { timeoutMs: 6000 },
      );
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const name = `seen-${Date.now()}`;
      await kubectl(`create configmap ${name} --from-literal=a=b`);
      wants((await watch).stdout, new RegExp(`configmap/${name}`));
    });
    await checked('paged and counted lists', 20, async () => {
      wants(await kubectl('get --raw /api/v1/pods?limit=2'), /"remainingItemCount":\d+/);
    });
    const leader = await run(programs.etcdctl, ['--endpoints', cluster.endpoints, 'endpoint', 'status']);
    const index = leader.stdout.split('\n').findIndex((line) => /, true, false,/.test(line));
    await cluster.members[index]?.stop('SIGKILL');
    await checked('it goes on when the leader of the store is killed', 30, async () => {
      await kubectl('scale deployment web --replicas=4');
      const text = await kubectl('get deployment web -o jsonpath={.status.replicas}');
      wants(text, /^4$/);
    });
    await checked('the objects are in our store', 5, async () => {
      const count = await keysUnder(programs, cluster.endpoints, '/registry/');
      if (count < 100) throw new Error(`Only ${count} keys`);
    });
  } finally {
    await plane?.stop();
    await cluster.stop();
  }
}

/** As a kubelet would register itself, with room for the pods. */
const fakeNode = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'fake', labels: { 'kubernetes.io/hostname': 'fake' } },
  status: {
    capacity: { cpu: '8', memory: '16Gi', pods: '110' },
    allocatable: { cpu: '8', memory: '16Gi', pods: '110' },
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'simulated',
        lastHeartbeatTime: '2030-01-01T00:00:00Z',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ],
  },
};

async function startStockPlane(cluster: Cluster, port: number): Promise<StockPlane> {
  const directory = path.join(cluster.directory, 'stock');
  mkdirSync(directory, { recursive: true });
  const pki = await pkiOf(directory);
  const kubeconfigFor = (name: string, entry: PkiEntry): string =>
    writeKubeconfig(directory, name, `https://127.0.0.1:${port}`, pki, entry);
  const start = (name: string, args: readonly string[]): LoggedProgram =>
    startLogged(directory, name, peer(name), args);
  const programs = [
    start('kube-apiserver', apiServerFlags(pki, { port, etcd: cluster.endpoints })),
    start('kube-controller-manager', [
      `--kubeconfig=${kubeconfigFor('controller-manager', pki.controllerManager)}`,
      `--secure-port=${port + 1}`,
      '--bind-address=127.0.0.1',
      '--use-service-account-credentials',
      `--root-ca-file=${pki.ca.certFile}`,
      `--service-account-private-key-file=${pki.serviceAccount.privateFile}`,
      '--leader-elect=true',
      // The node has no kubelet that renews it.
      '--controllers=*,-node-lifecycle-controller',
    ]),
    start('kube-scheduler', [
      `--kubeconfig=${kubeconfigFor('scheduler', pki.scheduler)}`,
      `--secure-port=${port + 2}`,
      '--bind-address=127.0.0.1',
      '--leader-elect=true',
    ]),
  ];
  return {
    directory,
    kubeconfig: kubeconfigFor('admin', pki.admin),
    async stop() {
      await Promise.all(programs.map((program) => program.stop()));
      if (process.env['KEEP'] === undefined) rmSync(directory, { recursive: true, force: true });
      else process.stdout.write(`Logs in ${directory}\n${programs[0]?.log().slice(-500) ?? ''}\n`);
    },
  };
}
