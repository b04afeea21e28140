import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createEtcdClient } from '@pilothouse/etcd-client';
import type { FlagSpecs } from '@pilothouse/host';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';
import { pkiDirectory } from '../plane/layout.ts';
import { probe } from '../plane/readiness.ts';
import type { PlaneState, ProcessRecord } from '../plane/state-file.ts';
import { skewProblems } from '../plane/version-skew.ts';
import { openPlane, planeFlags } from './shared.ts';

const specs: FlagSpecs = { ...planeFlags, output: { type: 'string', default: '', help: 'json, or a table' } };

export interface ProcessStatus extends ProcessRecord {
  /** leader or follower; absent where there is no such thing. */
  readonly role?: 'leader' | 'follower';
  readonly ready: boolean;
  /** As it tells: of Kubernetes, for the store of etcd; absent where it does not. */
  readonly version?: string;
}

export interface PlaneStatus {
  readonly processes: readonly ProcessStatus[];
  /** What upstream's version skew policy does not support, a sentence each. */
  readonly skew: readonly string[];
  readonly store: {
    readonly leader: string;
    readonly term: number;
    readonly revision: number;
    readonly members: readonly {
      name: string;
      id: string;
      isLearner: boolean;
      clientURLs: readonly string[];
      raftIndex?: number;
      dbSize?: number;
    }[];
  };
}

/**
 * Asks every process of a plane how it is; their versions only `withVersions`, which costs one more answer of each.
 * Never throws for a process that does not answer: it is shown as not ready.
 */
export async function planeStatus(
  dataDir: string,
  state: PlaneState,
  options: { readonly withVersions?: boolean } = {},
): Promise<PlaneStatus> {
  const withVersions = options.withVersions === true;
  const pem = (file: string): string => readFileSync(path.join(pkiDirectory(dataDir), file), 'utf8');
  const timeoutMs = limits.probeTimeoutMs;
  const adminTls = { ca: pem('ca.crt'), cert: pem('admin.crt'), key: pem('admin.key'), timeoutMs };

  const stores = state.processes.filter((each) => each.component === 'store');
  const tls = { ca: pem('etcd/ca.crt'), cert: pem('etcd/client.crt'), key: pem('etcd/client.key') };
  const endpoints = stores.map((each) => `https://${each.address}`);
  const client =
    endpoints.length === 0
      ? undefined
      : createEtcdClient({ endpoints, tls, clock: nodeClock, random: nodeRandom });
  const unless = <T>(work: Promise<T> | undefined): Promise<T | undefined> =>
    work?.catch(() => undefined) ?? Promise.resolve(undefined);
  const storeAnswers = await Promise.all(
    endpoints.map((endpoint) => unless(client?.status(endpoint, { timeoutMs }))),
  );
  const members = (await unless(client?.memberList({ timeoutMs })))?.members;
  client?.close();
  const alive = storeAnswers.filter((each) => each !== undefined);
  const term = Math.max(0, ...alive.map((each) => Number(each.raftTerm ?? 0)));
  const leaderId = String(
    alive.find((each) => Number(each.raftTerm ?? 0) === term && String(each.leader) !== '0')?.leader ?? '',
  );
  const idOf = (answer: (typeof storeAnswers)[number]): string => String(answer?.header?.memberId ?? '');

  const holder = async (name: string): Promise<string> => {
    const answer = await probe({
      ...adminTls,
      url: `${state.server}/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${name}`,
    });
    if (answer?.status !== 200) return '';
    return (JSON.parse(answer.body) as { spec?: { holderIdentity?: string } }).spec?.holderIdentity ?? '';
  };
  const holders: Partial<Record<ProcessRecord['component'], string>> = {
    scheduler: await holder('kube-scheduler'),
    'controller-manager': await holder('kube-controller-manager'),
  };

  const processes = await Promise.all(
    state.processes.map(async (each): Promise<ProcessStatus> => {
      if (each.component === 'store') {
        const answer = storeAnswers[stores.indexOf(each)];
        return {
          ...each,
          ready: answer !== undefined,
          role: answer !== undefined && idOf(answer) === leaderId ? 'leader' : 'follower',
          ...(answer?.version === undefined ? {} : { version: answer.version }),
        };
      }
      // The supervisor starts it again when it ends; API servers do without it until then.
      if (each.component === 'redis') return { ...each, ready: true };
      if (each.component === 'console')
        return {
          ...each,
          ready: (await probe({ url: `http://${each.address}/readyz`, timeoutMs }))?.status === 200,
        };
      const endpoint =
        each.component === 'apiserver' || each.component === 'load-balancer' ? '/readyz' : '/healthz';
      const ready = (await probe({ ...adminTls, url: `https://${each.address}${endpoint}` }))?.status === 200;
      const found = ready && withVersions ? await versionOf(each, adminTls) : undefined;
      const version = found === undefined ? {} : { version: found };
      const held = holders[each.component];
      if (held === undefined) return { ...each, ready, ...version };
      return { ...each, ready, role: held.startsWith(`${each.name}_`) ? 'leader' : 'follower', ...version };
    }),
  );
  const versionsOf = (...components: ProcessRecord['component'][]): Map<string, string> =>
    new Map(
      processes
        .filter((each) => each.version !== undefined && components.includes(each.component))
        .map((each) => [each.name, each.version as string]),
    );
  return {
    processes,
    skew: skewProblems({
      apiservers: versionsOf('apiserver'),
      clients: versionsOf('scheduler', 'controller-manager'),
      kubelets: withVersions ? await kubeletVersions(state.server, adminTls) : new Map(),
      stores: versionsOf('store'),
    }),
    store: {
      leader:
        stores.find((_, index) => leaderId !== '' && idOf(storeAnswers[index]) === leaderId)?.name ?? '',
      term,
      revision: Math.max(0, ...alive.map((each) => Number(each.header?.revision ?? 0))),
      members: (members ?? []).map((member) => {
        const answer = alive.find((each) => idOf(each) === String(member.ID));
        return {
          name: member.name ?? '',
          id: BigInt(member.ID ?? 0).toString(16),
          isLearner: member.isLearner ?? false,
          clientURLs: member.clientURLs ?? [],
          ...(answer === undefined
            ? {}
            : { raftIndex: Number(answer.raftIndex ?? 0), dbSize: Number(answer.dbSize ?? 0) }),
        };
      }),
    },
  };
}

type AdminTls = Omit<Parameters<typeof probe>[0], 'url'>;

/** Of an API server by /version, of others by their metrics; a node agent's is that of its node. */
async function versionOf({ component, address }: ProcessRecord, tls: AdminTls): Promise<string | undefined> {
  if (component === 'apiserver') {
    const answer = await probe({ ...tls, url: `https://${address}/version` });
    if (answer?.status !== 200) return undefined;
    return (JSON.parse(answer.body) as { gitVersion?: string }).gitVersion;
  }
  if (component !== 'scheduler' && component !== 'controller-manager') return undefined;
  const answer = await probe({ ...tls, url: `https://${address}/metrics` });
  return /^kubernetes_build_info\{.*git_version="([^"]+)"/m.exec(answer?.body ?? '')?.[1];
}

/** By node, of all nodes that the API knows; empty when it does not answer. */
async function kubeletVersions(server: string, tls: AdminTls): Promise<Map<string, string>> {
  const answer = await probe({ ...tls, url: `${server}/api/v1/nodes` });
  if (answer?.status !== 200) return new Map();
  const { items } = JSON.parse(answer.body) as {
    items: { metadata: { name: string }; status?: { nodeInfo?: { kubeletVersion?: string } } }[];
  };
  return new Map(
    items.map(({ metadata, status }) => [metadata.name, status?.nodeInfo?.kubeletVersion ?? '']),
  );
}

/** `pilothouse status [-o json]`. */
export async function status(argv: readonly string[]): Promise<void> {
  const { dataDir, state, values } = openPlane(
    specs,
    argv.map((each) => (each === '-o' ? '--output' : each.replace(/^-o=?(?=\w)/, '--output='))),
  );
  const result = await planeStatus(dataDir, state, { withVersions: true });
  const output = values['output'] as string;
  if (output === 'json') {
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  if (output !== '')
    throw new CommandError(`Unknown output format "${output}": want json, or nothing for a table`);
  const rows = [
    ['COMPONENT', 'NAME', 'PID', 'READY', 'ROLE', 'VERSION', 'ADDRESS'],
    ...result.processes.map((each) => [
      each.component,
      each.name,
      String(each.pid),
      String(each.ready),
      each.role ?? '',
      each.version ?? '',
      each.address,
    ]),
  ];
  const widths =
    rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length))) ?? [];
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd()}\n`,
    );
  const { store } = result;
  process.stdout.write(
    `\nStore: leader ${store.leader || '(none)'}, term ${store.term}, revision ${store.revision}, ${store.members.length} members\n`,
  );
  for (const problem of result.skew) process.stdout.write(`Version skew: ${problem}\n`);
}
