import type { Checks } from '../checks.ts';
import { comparable } from './comparable.ts';
import type { ApiServerProcess } from './servers.ts';

/** Releases around each change of a check. */
const releases = [0, 7, 8, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 99].map(
  (minor) => `v1.${minor}`,
);

const good = {
  securityContext: { runAsNonRoot: true, runAsUser: 1, seccompProfile: { type: 'RuntimeDefault' } },
};
const goodContainer = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

const within = (securityContext: object, more: object = {}): object => ({
  ...good,
  containers: [{ name: 'c', image: 'i', securityContext: { ...goodContainer, ...securityContext }, ...more }],
});
const outside = (securityContext: object, more: object = {}): object => ({
  ...within({}),
  ...more,
  securityContext: { ...good.securityContext, ...securityContext },
});
const sysctl = (name: string): object => outside({ sysctls: [{ name, value: '1' }] });
const volume = (source: object): object => ({ ...within({}), volumes: [{ name: 'v', ...source }] });

/** Pods, each of which some check of some release looks at. */
const pods: Readonly<Record<string, { spec: object; annotations?: Record<string, string> }>> = {
  good: { spec: within({}) },
  bare: { spec: { containers: [{ name: 'c', image: 'i' }] } },
  windows: { spec: { os: { name: 'windows' }, containers: [{ name: 'c', image: 'i' }] } },
  'host-process': {
    spec: {
      os: { name: 'windows' },
      hostNetwork: true,
      securityContext: { windowsOptions: { hostProcess: true } },
      containers: [{ name: 'c', image: 'i' }],
    },
  },
  'app-armor': { spec: outside({ appArmorProfile: { type: 'Unconfined' } }) },
  capability: { spec: within({ capabilities: { drop: ['ALL'], add: ['SYS_TIME', 'CHOWN'] } }) },
  'net-bind': { spec: within({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } }) },
  host: { spec: { ...within({}), hostNetwork: true, hostIPC: true } },
  'host-path': { spec: volume({ hostPath: { path: '/' } }) },
  nfs: { spec: volume({ nfs: { server: 's', path: '/' } }) },
  'host-port': { spec: within({}, { ports: [{ containerPort: 8, hostPort: 8 }] }) },
  probe: { spec: within({}, { readinessProbe: { httpGet: { port: 8, host: '169.254.169.254' } } }) },
  hook: { spec: within({}, { lifecycle: { postStart: { httpGet: { port: 8, host: 'h' } } } }) },
  privileged: { spec: within({ privileged: true, allowPrivilegeEscalation: true }) },
  'own-users': {
    spec: {
      ...within({ procMount: 'Unmasked', runAsUser: 0 }),
      securityContext: { runAsNonRoot: false, runAsUser: 0, seccompProfile: { type: 'RuntimeDefault' } },
      hostUsers: false,
    },
  },
  'se-linux': { spec: within({ seLinuxOptions: { type: 'spc_t', user: 'u', role: 'r' } }) },
  engine: { spec: outside({ seLinuxOptions: { type: 'container_engine_t' } }) },
  seccomp: { spec: within({ seccompProfile: { type: 'Unconfined' } }) },
  'no-seccomp': { spec: { ...within({}), securityContext: { runAsNonRoot: true } } },
  'old-seccomp': {
    spec: within({}),
    annotations: {
      'seccomp.security.alpha.kubernetes.io/pod': 'unconfined',
      'container.seccomp.security.alpha.kubernetes.io/c': 'localhost/x',
    },
  },
  msgmax: { spec: sysctl('kernel.msgmax') },
  ports: { spec: sysctl('net.ipv4.ip_local_reserved_ports') },
  keepalive: { spec: sysctl('net.ipv4.tcp_keepalive_time') },
  rmem: { spec: sysctl('net.ipv4.tcp_rmem') },
  root: { spec: within({ runAsUser: 0 }) },
  'may-be-root': { spec: within({ runAsNonRoot: false }) },
};

/** Every pod in namespaces of every level as of every release: refused, warned about and counted as by a stock server. */
export async function podSecurityReleases(
  checks: Checks,
  servers: readonly ApiServerProcess[],
): Promise<void> {
  for (const level of ['baseline', 'restricted']) {
    await checks.check(
      `plugins: PodSecurity ${level}: ${Object.keys(pods).length} pods as of ${releases.length + 1} releases`,
      async () => {
        for (const version of [...releases, 'latest']) await compareRelease(servers, level, version);
      },
    );
  }
  await checks.check('plugins: PodSecurity counts the same', async () => {
    const [stock, ours] = await Promise.all(
      servers.map(async (server) =>
        (await server.ask('/metrics')).body
          .split('\n')
          .filter((line) => line.startsWith('pod_security_'))
          .map(sortedLabels)
          .sort()
          .join('\n'),
      ),
    );
    if (stock !== ours) throw new Error(`\nstock\n${stock}\nours\n${ours}`);
    if (!stock?.includes('policy_version="future"')) throw new Error(`too little was counted:\n${stock}`);
  });
}

async function compareRelease(
  servers: readonly ApiServerProcess[],
  level: string,
  version: string,
): Promise<void> {
  const space = `${level}-${version.replace('.', '-')}`;
  const prefix = 'pod-security.kubernetes.io/';
  const metadata = {
    name: space,
    labels: {
      [`${prefix}enforce`]: level,
      [`${prefix}enforce-version`]: version,
      [`${prefix}warn`]: 'restricted',
      [`${prefix}warn-version`]: 'v1.20',
    },
  };
  const differences: string[] = [];
  const ask = async (target: string, body: object): Promise<void> => {
    const [stock, ours] = await Promise.all(
      servers.map(async (server) => comparable(await server.ask(target, { body: JSON.stringify(body) }))),
    );
    if (stock !== ours)
      differences.push(`${JSON.stringify(body)} to ${target}\n  stock ${stock}\n  ours  ${ours}`);
  };
  await ask('/api/v1/namespaces', { metadata });
  for (const [name, { spec, annotations }] of Object.entries(pods))
    await ask(`/api/v1/namespaces/${space}/pods?dryRun=All`, { metadata: { name, annotations }, spec });
  if (differences.length > 0) throw new Error(differences.join('\n'));
}

/** Stock writes labels in the order of their names. */
function sortedLabels(line: string): string {
  const match = /^(\w+)\{(.*)\} (.*)$/.exec(line);
  if (match === null) return line;
  const labels = (match[2] as string).split(/,(?=\w+=")/).sort();
  return `${match[1]}{${labels.join(',')}} ${match[3]}`;
}
