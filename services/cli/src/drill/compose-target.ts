import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { sleep } from '@pilothouse/base';
import type { ClusterAccess } from '@pilothouse/client';
import { loadKubeconfig } from '@pilothouse/client';
import { nodeClock } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { probe } from '../plane/readiness.ts';
import { cannotCutContainers, cutContainer, descendants, runBeside } from './privileges.ts';
import { waitUntilContainersTook } from './compose-authorities.ts';
import { restoreContainers } from './compose-restore.ts';
import type { Cut, Target, TargetProcess, Undo } from './target.ts';

interface Container {
  readonly id: string;
  readonly service: string;
  readonly address: string;
  /** Of the container's init; 0 while it does not run. */
  readonly pid: number;
  readonly isHealthy: boolean;
  readonly isRunning: boolean;
}

interface Inspected {
  Id: string;
  State: { Pid: number; Running: boolean; Health?: { Status: string } };
  Config: { Labels: Record<string, string> };
  NetworkSettings: { Networks: Record<string, { IPAddress: string }> };
}

/** Beside the load, which must not stand still meanwhile. */
const docker = (...args: string[]): Promise<string> => runBeside(process.env['DOCKER'] ?? 'docker', args);

/** What compose takes for the project's name: the environment's, the one of .env beside the file, or the folder's. */
export function projectName(file: string, environment: NodeJS.ProcessEnv): string {
  const given = environment['COMPOSE_PROJECT_NAME'];
  if (given !== undefined && given !== '') return given;
  const settings = path.join(path.dirname(file), '.env');
  const line = existsSync(settings)
    ? /^COMPOSE_PROJECT_NAME=(.+)$/m.exec(readFileSync(settings, 'utf8'))
    : null;
  const text = line?.[1]?.trim() ?? path.basename(path.dirname(path.resolve(file)));
  return text.toLowerCase().replaceAll(/[^-_a-z0-9]/g, '');
}

const components: readonly [prefix: string, component: string][] = [
  ['store-', 'store'],
  ['apiserver-', 'apiserver'],
  ['scheduler-', 'scheduler'],
  ['controller-manager-', 'controller-manager'],
  ['node-', 'node-agent'],
  ['haproxy', 'load-balancer'],
];

/** The containers of a compose project, through the docker command; works for version 1 and 2 of compose. */
export async function composeTarget(file: string, next: string): Promise<Target> {
  const project = projectName(file, process.env);
  const containers = async (): Promise<Container[]> => {
    const listed = await docker('ps', '-aq', '--filter', `label=com.docker.compose.project=${project}`);
    const ids = listed.split('\n').filter((each) => each !== '');
    if (ids.length === 0)
      throw new CommandError(
        `No containers of the compose project "${project}" (${file}): start it with docker compose up -d`,
      );
    return (JSON.parse(await docker('inspect', ...ids)) as Inspected[]).map((each) => ({
      id: each.Id,
      service: each.Config.Labels['com.docker.compose.service'] ?? '',
      address: Object.values(each.NetworkSettings.Networks)[0]?.IPAddress ?? '',
      pid: each.State.Pid,
      isRunning: each.State.Running,
      isHealthy: each.State.Running && (each.State.Health?.Status ?? 'healthy') === 'healthy',
    }));
  };
  const find = async (name: string): Promise<Container> => {
    const found = (await containers()).find((each) => each.service === name);
    if (!found) throw new CommandError(`The compose project "${project}" has no service "${name}"`);
    return found;
  };
  const nodePid = (init: number): number => descendants(init)[0] ?? init;
  const readAccess = async (): Promise<ClusterAccess> => {
    const scratch = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-drill-'));
    try {
      const kubeconfig = path.join(scratch, 'admin.yaml');
      await docker('cp', `${(await find('store-0')).id}:/kubeconfig/admin.yaml`, kubeconfig);
      return loadKubeconfig(kubeconfig);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  };
  let access = await readAccess();
  const base = (): { ca: string; cert: string; key: string; timeoutMs: number } => ({
    ca: access.ca as string,
    cert: access.cert as string,
    key: access.key as string,
    timeoutMs: 5000,
  });
  const holder = async (lease: string): Promise<string> => {
    const answer = await probe({
      ...base(),
      url: `${access.server}/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${lease}`,
    });
    if (answer?.status !== 200) return '';
    return (JSON.parse(answer.body) as { spec?: { holderIdentity?: string } }).spec?.holderIdentity ?? '';
  };
  const runCerts = async (...args: string[]): Promise<string> => {
    const { id } = await find('certs');
    const image = (await docker('inspect', '--format', '{{.Config.Image}}', id)).trim();
    return docker(
      'run',
      '--rm',
      '--read-only',
      '--tmpfs',
      '/tmp',
      '--volumes-from',
      id,
      image,
      'certs',
      ...args,
    );
  };
  let hasNextCertificates = false;
  const stores = async (): Promise<Container[]> =>
    (await containers()).filter((each) => each.service.startsWith('store-'));

  const hasNodes = (await containers()).some((each) => each.service.startsWith('node-'));

  return {
    kind: 'compose',
    flag: `--compose ${file}${next === '' ? '' : ` --next ${next}`}`,
    get access() {
      return access;
    },
    hasNodes,
    async processes(): Promise<readonly TargetProcess[]> {
      const holders: Readonly<Record<string, string>> = {
        scheduler: await holder('kube-scheduler'),
        'controller-manager': await holder('kube-controller-manager'),
      };
      const found = await Promise.all(
        (await containers()).map(async (each): Promise<TargetProcess | undefined> => {
          const component = components.find(([prefix]) => each.service.startsWith(prefix))?.[1];
          if (component === undefined) return undefined;
          const plain = { component, name: each.service, pid: each.isRunning ? nodePid(each.pid) : 0 };
          if (component === 'store') {
            const url = `http://${each.address}:2381`;
            // A container that is being started has no address yet.
            const [metrics, ready] =
              each.isRunning && each.address !== ''
                ? await Promise.all([
                    probe({ url: `${url}/metrics`, timeoutMs: 5000 }),
                    probe({ url: `${url}/readyz`, timeoutMs: 5000 }),
                  ])
                : [];
            const isLeader = /^etcd_server_is_leader 1$/m.test(metrics?.body ?? '');
            return { ...plain, ready: ready?.status === 200, role: isLeader ? 'leader' : 'follower' };
          }
          const held = holders[component];
          const ready =
            component === 'apiserver'
              ? each.isRunning &&
                each.address !== '' &&
                (await probeReadiness(`https://${each.address}:6443/readyz`, access.ca as string))
              : each.isHealthy;
          return held === undefined
            ? { ...plain, ready }
            : { ...plain, ready, role: held.startsWith(each.id.slice(0, 12)) ? 'leader' : 'follower' };
        }),
      );
      return found.filter((each) => each !== undefined);
    },
    async kill(names) {
      const all = await containers();
      // Docker starts it again as it would after a crash, which it does not after `docker kill`.
      for (const { service, pid } of all)
        if (names.includes(service) && pid > 0) process.kill(pid, 'SIGKILL');
    },
    async freeze(names): Promise<Undo> {
      const ids = (await containers()).filter(({ service }) => names.includes(service)).map(({ id }) => id);
      await docker('pause', ...ids);
      return async () => void (await docker('unpause', ...ids));
    },
    restart: async (name) => void (await docker('restart', '--time', '75', (await find(name)).id)),
    cannotCut: () => Promise.resolve(cannotCutContainers()),
    async cut(name: string, how: Cut) {
      const all = await stores();
      return cutContainer({
        pid: all.find((each) => each.service === name)?.pid ?? 0,
        others: all.filter((each) => each.service !== name).map((each) => each.address),
        peerPort: 2380,
        how,
      });
    },
    cannotReplace: () =>
      process.getuid?.() === 0 ? undefined : 'the member’s volume can be emptied only as root',
    async replaceMember(name) {
      const { id } = await find(name);
      await docker('stop', '--time', '0', id);
      const mounts = JSON.parse(await docker('inspect', '--format', '{{json .Mounts}}', id)) as {
        Destination: string;
        Source: string;
      }[];
      const volume = mounts.find((each) => each.Destination === '/var/lib/pilothouse')?.Source;
      if (volume === undefined) throw new CommandError(`${name} has no volume at /var/lib/pilothouse`);
      rmSync(path.join(volume, 'store'), { recursive: true, force: true });
      await docker('start', id);
      for (let turn = 0; turn < 240; turn++) {
        const { address } = await find(name);
        const answer = await probe({ url: `http://${address}:2381/metrics`, timeoutMs: 5000 });
        if (
          /^etcd_server_is_learner 0$/m.test(answer?.body ?? '') &&
          /^etcd_server_has_leader 1$/m.test(answer?.body ?? '')
        )
          return;
        await sleep(nodeClock, 250);
      }
      throw new CommandError(`${name} did not become a voter within 60 s`);
    },
    cannotRotate: () => undefined,
    async replaceAuthorities(step) {
      for (const name of ['trust', 'sign', 'drop']) {
        step(name);
        await runCerts('rotate-ca', '--cert-dir=/pki', '--kubeconfig-dir=/kubeconfig', '--until', name);
        // It reads authorities when it is told to; its connections stay.
        await docker('kill', '--signal', 'USR2', (await find('haproxy')).id);
        access = await readAccess();
        await waitUntilContainersTook(
          containers,
          async (id, directory) => void (await docker('cp', `${id}:/pki`, directory)),
          {
            clock: nodeClock,
            access,
          },
        );
      }
    },
    async rotateCertificates() {
      // The init container makes what is missing; `renew` removes the leaves before.
      const command = JSON.parse(
        await docker('inspect', '--format', '{{json .Config.Cmd}}', (await find('certs')).id),
      ) as string[];
      await runCerts('renew', ...command.slice(2));
      return 'all leaf certificates';
    },
    cannotRestore: () =>
      process.getuid?.() === 0 ? undefined : 'the members’ volumes can be emptied only as root',
    restoreFromBackup: async (hooks) => restoreContainers(await stores(), docker, hooks),
    cannotMoveClock: () => Promise.resolve('containers share the host’s clock'),
    moveClock: () => Promise.reject(new CommandError('Not with compose')),
    cannotUpgrade: () => (next === '' ? '--next does not name the next version’s image' : undefined),
    async upgrade(name) {
      const env = { ...process.env, PILOTHOUSE_IMAGE: next };
      const up = async (...args: string[]): Promise<void> => {
        const all = ['-f', file, 'up', '--no-deps', ...args];
        try {
          await runBeside('docker', ['compose', ...all], env);
        } catch {
          await runBeside('docker-compose', all, env);
        }
      };
      if (!hasNextCertificates) {
        // The next version may want certificates that this one did not make.
        await up('--no-start', 'certs');
        await docker('start', '--attach', (await find('certs')).id);
        hasNextCertificates = true;
      }
      await up('-d', name);
    },
    async redis() {
      const all = await containers();
      const found = all.find((each) => each.service === 'redis' && each.isRunning);
      if (!found) return 'Redis does not run: docker compose --profile redis up -d';
      const command = await docker(
        'inspect',
        '--format',
        '{{json .Config.Cmd}}',
        (await find('apiserver-0')).id,
      );
      if (!/"--redis-url=redis/.test(command))
        return 'API servers do not use Redis: set REDIS_URL=redis://redis:6379/0 in .env';
      return {
        async stop() {
          await docker('kill', found.id);
          return async () => void (await docker('start', found.id));
        },
      };
    },
  };
}

/** /readyz of a replica by its address, which its certificate does not name. */
async function probeReadiness(url: string, ca: string): Promise<boolean> {
  return (await probe({ url, ca, timeoutMs: 5000, serverName: 'kubernetes' }))?.status === 200;
}
