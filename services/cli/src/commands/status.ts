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
import { openPlane, planeFlags } from './shared.ts';

const specs: FlagSpecs = { ...planeFlags, output: { type: 'string', default: '', help: 'json, or a table' } };

export interface ProcessStatus extends ProcessRecord {
  /** leader or follower; absent where there is no such thing. */
  readonly role?: 'leader' | 'follower';
  readonly ready: boolean;
}

export interface PlaneStatus {
  readonly processes: readonly ProcessStatus[];
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

/** Asks every process of a plane how it is. Never throws for a process that does not answer: it is shown as not ready. */
export async function planeStatus(dataDir: string, state: PlaneState): Promise<PlaneStatus> {
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
      const held = holders[each.component];
      if (held === undefined) return { ...each, ready };
      return { ...each, ready, role: held.startsWith(`${each.name}_`) ? 'leader' : 'follower' };
    }),
  );
  return {
    processes,
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

/** `pilothouse status [-o json]`. */
export async function status(argv: readonly string[]): Promise<void> {
  const { dataDir, state, values } = openPlane(
    specs,
    argv.map((each) => (each === '-o' ? '--output' : each.replace(/^-o=?(?=\w)/, '--output='))),
  );
  const result = await planeStatus(dataDir, state);
  const output = values['output'] as string;
  if (output === 'json') {
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  if (output !== '')
    throw new CommandError(`Unknown output format "${output}": want json, or nothing for a table`);
  const rows = [
    ['COMPONENT', 'NAME', 'PID', 'READY', 'ROLE', 'ADDRESS'],
    ...result.processes.map((each) => [
      each.component,
      each.name,
      String(each.pid),
      String(each.ready),
      each.role ?? '',
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
}
