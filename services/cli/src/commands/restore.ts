import { existsSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CodedError } from '@pilothouse/base';
import type { FlagSpecs } from '@pilothouse/host';
import { nodeClock, parseFlags } from '@pilothouse/host';
import { restoreStore } from '@pilothouse/local';
import { CommandError } from '../errors.ts';
import type { PlaneOptions } from '../plane/layout.ts';
import { planProcesses } from '../plane/layout.ts';
import { loadIdentity, prepareDirectories } from '../plane/prepare.ts';
import { isAlive, readState } from '../plane/state-file.ts';
import { defaultDataDirectory } from './shared.ts';

/** Far beyond what a cluster writes between a backup and its loss: at 1000 writes a second this is eleven days. */
const bumpDefault = 1_000_000_000;

export const restoreFlags: FlagSpecs = {
  'data-dir': {
    type: 'string',
    default: '',
    help: 'The directory of a stopped or new plane (default: data in the current directory)',
  },
  port: { type: 'integer', default: 6443, help: 'The port with which the plane will be started' },
  members: { type: 'integer', default: 3, help: 'Store members of the plane' },
  'member-dir': {
    type: 'string',
    default: '',
    help: 'Restore one member of a cluster without a plane into this data directory; needs --name and --initial-cluster',
  },
  name: { type: 'string', default: '', help: 'The member’s name, with --member-dir' },
  'initial-cluster': {
    type: 'string',
    default: '',
    help: 'NAME=PEER-URL,… of all members, with --member-dir',
  },
  'initial-cluster-token': {
    type: 'string',
    default: 'etcd-cluster',
    help: 'The cluster’s token, with --member-dir',
  },
  'bump-revision': {
    type: 'integer',
    default: bumpDefault,
    help: 'How far the revision moves beyond the backup’s; what is before counts as compacted',
  },
  'skip-hash-check': {
    type: 'boolean',
    default: false,
    help: 'Take a database file that carries no checksum',
  },
};

interface MemberPlan {
  readonly name: string;
  readonly dataDir: string;
  /** Where the member belongs in the end; undefined: where it is made. */
  readonly place: string | undefined;
  readonly initialCluster: string;
  readonly token: string;
}

/** `pilothouse restore FILE`: a new cluster from a backup, ours or etcd's. */
export async function restore(argv: readonly string[]): Promise<void> {
  const { values, positional } = parseFlags(restoreFlags, argv);
  const [source, ...rest] = positional;
  if (source === undefined || rest.length > 0)
    throw new CommandError(
      'Want one backup: pilothouse restore FILE [--data-dir DIR | --member-dir DIR --name NAME --initial-cluster NAME=URL,…]',
    );
  const text = (name: string): string => values[name] as string;
  const plans: readonly MemberPlan[] =
    text('member-dir') === ''
      ? planeMembers(path.resolve(text('data-dir') || defaultDataDirectory()), values)
      : [
          {
            name: text('name'),
            dataDir: path.resolve(text('member-dir')),
            place: undefined,
            initialCluster: text('initial-cluster'),
            token: text('initial-cluster-token'),
          },
        ];
  for (const plan of plans) {
    try {
      const restored = await restoreStore({
        source: path.resolve(source),
        dataDir: plan.dataDir,
        name: plan.name,
        initialCluster: parseCluster(plan.initialCluster),
        initialClusterToken: plan.token,
        bumpRevision: values['bump-revision'] as number,
        skipHashCheck: values['skip-hash-check'] === true,
        onProgress: progress(plan.name),
      });
      process.stdout.write(
        `${plan.name}: ${restored.keys} revisions up to ${restored.backupRevision}; the store goes on at revision ${restored.revision} as member ${restored.memberId} of cluster ${restored.clusterId}\n`,
      );
    } catch (error) {
      for (const { dataDir, place } of plans)
        if (place !== undefined) rmSync(dataDir, { recursive: true, force: true });
      throw error instanceof CodedError ? new CommandError(error.message) : error;
    }
  }
  takePlaces(plans);
}

/** The members of a plane that does not run. */
function planeMembers(dataDir: string, values: ReturnType<typeof parseFlags>['values']): MemberPlan[] {
  const state = readState(dataDir);
  if (state && (isAlive(state.supervisorPid) || state.processes.some(({ pid }) => isAlive(pid))))
    throw new CommandError(
      `A plane runs in "${dataDir}": stop it with: pilothouse down --data-dir ${dataDir}`,
    );
  prepareDirectories(dataDir);
  const none: readonly string[] = [];
  const options = {
    dataDir,
    port: values['port'] as number,
    members: values['members'] as number,
    replicas: 0,
    schedulers: 0,
    controllerManagers: 0,
    nodes: 0,
    apiserverArguments: none,
    storeArguments: none,
    etcdServers: none,
    localStorage: false,
  } as PlaneOptions;
  const { clusterToken } = loadIdentity(options);
  return planProcesses(options, clusterToken)
    .filter(({ component }) => component === 'store')
    .map(({ name, arguments: flags }) => {
      const value = (flag: string): string =>
        flags.find((each) => each.startsWith(`--${flag}=`))?.slice(flag.length + 3) ?? '';
      const place = value('data-dir');
      const temporary = `${place}.restoring`;
      rmSync(temporary, { recursive: true, force: true });
      return {
        name,
        dataDir: temporary,
        place,
        initialCluster: value('initial-cluster'),
        token: clusterToken,
      };
    });
}

/** Once all members are made: what the old ones hold is moved aside, not removed, and the new ones take their places. */
function takePlaces(plans: readonly MemberPlan[]): void {
  const suffix = new Date(nodeClock.now()).toISOString().replace(/[:.]/g, '-');
  for (const { name, dataDir, place } of plans) {
    if (place === undefined) continue;
    if (existsSync(place)) {
      const aside = `${place}.before-restore-${suffix}`;
      renameSync(place, aside);
      process.stdout.write(`${name}: what it held is now in ${aside}\n`);
    }
    renameSync(dataDir, place);
  }
}

function parseCluster(text: string): Map<string, string[]> {
  const cluster = new Map<string, string[]>();
  for (const part of text.split(',').filter((each) => each !== '')) {
    const at = part.indexOf('=');
    if (at <= 0) throw new CommandError(`Invalid --initial-cluster "${text}": want NAME=PEER-URL,…`);
    const name = part.slice(0, at);
    cluster.set(name, [...(cluster.get(name) ?? []), part.slice(at + 1)]);
  }
  return cluster;
}

function progress(name: string): (done: number, total: number) => void {
  let shown = 0;
  return (done, total) => {
    if (!process.stderr.isTTY) return;
    const now = nodeClock.monotonic();
    if (done < total && now - shown < 200) return;
    shown = now;
    process.stderr.write(
      `\r${name}: ${Math.floor((100 * done) / total)} %${done === total ? '\r\u001b[K' : ''}`,
    );
  };
}
