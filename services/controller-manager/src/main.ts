import {
  createHttp2Transport,
  followKubeconfig,
  loadKubeconfig,
  measuredTransport,
  openDelegatedAccess,
} from '@pilothouse/client';
import type { FlagSpecs } from '@pilothouse/host';
import {
  createLogger,
  delegatedAccessFlags,
  delegatedAccessSettings,
  FileWatcher,
  FlagError,
  leaderElectionFlags,
  leaderElectionSettings,
  nodeClock,
  nodeRandom,
  parseFlags,
  selfSignedServing,
  startComponentServer,
  tlsPolicyFlags,
  tlsPolicyFrom,
} from '@pilothouse/host';
import { controllers } from './controllers.ts';
import type { ControllerDescriptor } from './context.ts';
import { gateIsOn, gatesWithoutEffect } from './feature-gates.ts';
import { ignoredFlags } from './ignored-flags.ts';
import { anonymous, followSigningFiles, signerFlags } from './signing-files.ts';
import type { ControllerManager } from './manager.ts';
import { startControllerManager } from './manager.ts';
import { ManagerMetrics } from './manager-metrics.ts';

const specs: FlagSpecs = {
  ...ignoredFlags,
  kubeconfig: { type: 'string', default: '', help: 'How to reach the API' },
  controllers: {
    type: 'strings',
    default: ['*'],
    help: 'Controllers to run: * for all, name to add, -name to leave out',
  },
  'bind-address': { type: 'string', default: '0.0.0.0', help: 'Address of the health and metrics server' },
  'secure-port': { type: 'integer', default: 10257, help: 'Port of the health and metrics server; 0: none' },
  'tls-cert-file': { type: 'string', default: '', help: 'Certificate of the health and metrics server' },
  'tls-private-key-file': { type: 'string', default: '', help: 'Its key' },
  ...tlsPolicyFlags,
  ...delegatedAccessFlags,
  ...leaderElectionFlags('kube-controller-manager'),
  'use-service-account-credentials': {
    type: 'boolean',
    default: false,
    help: 'Each controller acts as its own service account',
  },
  'root-ca-file': { type: 'string', default: '', help: 'CA that goes into kube-root-ca.crt' },
  'cluster-signing-cert-file': { type: 'string', default: '', help: 'CA that signs certificate requests' },
  'cluster-signing-duration': {
    type: 'duration',
    default: '8760h',
    help: 'How long signed certificates live at most',
  },
  'cluster-signing-key-file': { type: 'string', default: '', help: 'Its key' },
  ...Object.fromEntries(
    Object.entries(signerFlags).flatMap(([name, signer]): [string, FlagSpecs[string]][] => [
      [
        `cluster-signing-${name}-cert-file`,
        { type: 'string', default: '', help: `CA of signer ${signer} alone` },
      ],
      [`cluster-signing-${name}-key-file`, { type: 'string', default: '', help: 'Its key' }],
    ]),
  ),
  'service-account-private-key-file': { type: 'string', default: '', help: 'Key for token secrets' },
  'horizontal-pod-autoscaler-sync-period': {
    type: 'duration',
    default: '15s',
    help: 'How often replica counts are computed',
  },
  'legacy-service-account-token-clean-up-period': {
    type: 'duration',
    default: '8760h0m0s',
    help: 'Time without use after which generated token secrets become invalid, and then go',
  },
  'node-monitor-grace-period': {
    type: 'duration',
    default: '50s',
    help: 'Silence after which a node is not ready',
  },
  'node-monitor-period': { type: 'duration', default: '5s', help: 'How often nodes are looked at' },
  'terminated-pod-gc-threshold': { type: 'integer', default: 12500, help: 'Finished pods kept' },
  'resource-quota-sync-period': {
    type: 'duration',
    default: '5m',
    help: 'How often quotas are counted anew',
  },
  'allocate-node-cidrs': { type: 'boolean', default: false, help: 'Give each node a pod network' },
  'local-volume-root': {
    type: 'string',
    default: '/var/lib/pilothouse/volumes',
    help: 'Directory of every node for the volumes of local-volume-provisioner-controller',
  },
  'node-cidr-mask-size': { type: 'integer', default: 24, help: 'Size of a node network (IPv4)' },
  'cluster-cidr': { type: 'string', default: '', help: 'Network that node networks are cut from' },
  'service-cluster-ip-range': { type: 'string', default: '', help: 'Network of services', ignored: true },
  'kube-api-qps': { type: 'float', default: 20, help: 'Client rate', ignored: true },
  'kube-api-burst': { type: 'integer', default: 30, help: 'Client burst', ignored: true },
  'requestheader-client-ca-file': { type: 'string', default: '', help: 'CA of front proxies', ignored: true },
  'cluster-name': { type: 'string', default: 'kubernetes', help: 'Name of the cluster', ignored: true },
  'feature-gates': { type: 'map', help: 'Features to turn on or off; those of single controllers count' },
  profiling: { type: 'boolean', default: true, help: 'Profiling endpoints', ignored: true },
  v: { type: 'integer', default: 0, help: 'Log verbosity; 4 and more shows debug lines' },
};

function selectControllers(
  wanted: readonly string[],
  gates: Readonly<Record<string, string>>,
): ControllerDescriptor[] {
  for (const each of wanted) {
    const name = each.replace(/^-/, '');
    if (name !== '*' && !controllers.some((controller) => controller.name === name))
      throw new FlagError(`Unknown controller "${name}" in --controllers`);
  }
  return controllers.filter(
    ({ name, offByDefault, gate }) =>
      (gate === undefined || gateIsOn(gate, gates)) &&
      !wanted.includes(`-${name}`) &&
      (wanted.includes(name) || (wanted.includes('*') && offByDefault !== true)),
  );
}

/** `pilothouse controller-manager`: runs until SIGTERM or SIGINT. */
export async function runControllerManager(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const { values, warnings } = parseFlags(specs, argv);
  const text = (name: string): string => values[name] as string;
  const number = (name: string): number => values[name] as number;
  const logger = createLogger({
    component: 'controller-manager',
    level: number('v') >= 4 ? 'debug' : 'info',
  });
  for (const warning of warnings) logger.warn(warning);
  const gates = (values['feature-gates'] ?? {}) as Record<string, string>;
  for (const gate of gatesWithoutEffect(gates, controllers))
    logger.warn('Feature gate has no effect on controllers', { gate });
  const policy = tlsPolicyFrom(text('tls-min-version'), values['tls-cipher-suites'] as string[]);
  const election = leaderElectionSettings(values, environment, nodeRandom);
  const access = loadKubeconfig(text('kubeconfig'));
  const watcher = new FileWatcher({ clock: nodeClock, logger });
  const credentials = followSigningFiles(watcher, text);
  let manager: ControllerManager | undefined;
  const metrics = new ManagerMetrics(nodeClock, {
    lease: text('leader-elect-resource-name'),
    isLeader: () => manager?.isLeader ?? false,
    running: () => manager?.running ?? [],
  });
  const measured = { server: access.server, clock: nodeClock, observer: metrics.requests };
  metrics.follow(watcher);
  const withCredentials = createHttp2Transport(access, nodeClock);
  const withoutCredentials = createHttp2Transport(anonymous(access), nodeClock);
  followKubeconfig(watcher, text('kubeconfig'), (renewed) => {
    withCredentials.use(renewed);
    withoutCredentials.use(anonymous(renewed));
  });
  manager = startControllerManager({
    transport: measuredTransport(withCredentials, measured),
    ...(values['use-service-account-credentials'] === true
      ? { anonymousTransport: measuredTransport(withoutCredentials, measured) }
      : {}),
    observe: metrics.observe,
    clock: nodeClock,
    random: nodeRandom,
    logger,
    controllers: selectControllers(values['controllers'] as string[], gates),
    settings: Object.assign(credentials, {
      hpaSyncPeriodMs: number('horizontal-pod-autoscaler-sync-period'),
      nodeMonitorGracePeriodMs: number('node-monitor-grace-period'),
      nodeMonitorPeriodMs: number('node-monitor-period'),
      terminatedPodGcThreshold: number('terminated-pod-gc-threshold'),
      resourceQuotaSyncPeriodMs: number('resource-quota-sync-period'),
      signingDurationMs: number('cluster-signing-duration'),
      nodeCidrMaskSize: number('node-cidr-mask-size'),
      allocateNodeCidrs: values['allocate-node-cidrs'] === true,
      clusterCidr: text('cluster-cidr'),
      localVolumeRoot: text('local-volume-root'),
      legacyTokenCleanUpMs: number('legacy-service-account-token-clean-up-period'),
    }),
    ...(election === undefined ? {} : { leaderElection: election }),
  });
  const settings = delegatedAccessSettings(values);
  const delegated =
    settings &&
    openDelegatedAccess(settings, { clock: nodeClock, userAgent: 'kube-controller-manager (access)' });
  const server =
    number('secure-port') === 0
      ? undefined
      : await startComponentServer({
          address: text('bind-address'),
          port: number('secure-port'),
          ...(text('tls-cert-file') === '' || text('tls-private-key-file') === ''
            ? await selfSignedServing('kube-controller-manager', nodeClock)
            : { certFile: text('tls-cert-file'), keyFile: text('tls-private-key-file') }),
          watcher,
          policy,
          ...(delegated === undefined ? {} : { access: delegated.access }),
          metrics: () => metrics.text(),
        });
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  watcher.close();
  await manager.close();
  await server?.close();
  delegated?.close();
}
