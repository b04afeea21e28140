import { readFileSync } from 'node:fs';
import os from 'node:os';
import { errorMessage } from '@pilothouse/base';
import {
  createHttp2Transport,
  followKubeconfig,
  loadKubeconfig,
  measuredTransport,
  openDelegatedAccess,
} from '@pilothouse/client';
import type { FlagSpecs, FlagValue } from '@pilothouse/host';
import {
  clientMetrics,
  createLogger,
  delegatedAccessFlags,
  delegatedAccessSettings,
  FileWatcher,
  FlagError,
  leaderElectionFlags,
  leaderElectionSettings,
  Metrics,
  nodeClock,
  nodeRandom,
  parseFlags,
  registerProcessMetrics,
  selfSignedServing,
  tlsPolicyFlags,
  tlsPolicyFrom,
} from '@pilothouse/host';
import type { SchedulerConfiguration } from './config/scheduler-configuration.ts';
import { parseSchedulerConfiguration } from './config/scheduler-configuration.ts';
import { startScheduler } from './scheduler.ts';

const ignored = (type: FlagSpecs[string]['type']): FlagSpecs[string] => ({
  type,
  help: 'Known upstream',
  ignored: true,
});

const specs: FlagSpecs = {
  kubeconfig: { type: 'string', default: '', help: 'How to reach the API' },
  master: { type: 'string', default: '', help: 'Address of the API, instead of the one in the kubeconfig' },
  'bind-address': { type: 'string', default: '0.0.0.0', help: 'Address of the health and metrics server' },
  'secure-port': { type: 'integer', default: 10259, help: 'Port of the health and metrics server; 0: none' },
  'tls-cert-file': { type: 'string', default: '', help: 'Certificate of the health and metrics server' },
  'tls-private-key-file': { type: 'string', default: '', help: 'Its key' },
  ...tlsPolicyFlags,
  ...delegatedAccessFlags,
  ...leaderElectionFlags('kube-scheduler'),
  'pod-max-in-unschedulable-pods-duration': {
    type: 'duration',
    default: '5m',
    help: 'A pod that fits nowhere is tried again after so long at the latest',
  },
  v: { type: 'integer', default: 0, help: 'Log verbosity; 4 and more shows debug lines' },
  config: {
    type: 'string',
    default: '',
    help: 'File with a KubeSchedulerConfiguration (v1): profiles, plugins and their arguments, backoffs; flags given win over it',
  },
  'write-config-to': ignored('string'),
  'cert-dir': ignored('string'),
  'authentication-tolerate-lookup-failure': ignored('boolean'),
  'requestheader-client-ca-file': ignored('string'),
  'requestheader-allowed-names': ignored('strings'),
  'requestheader-extra-headers-prefix': ignored('strings'),
  'requestheader-group-headers': ignored('strings'),
  'requestheader-uid-headers': ignored('strings'),
  'requestheader-username-headers': ignored('strings'),
  'contention-profiling': ignored('boolean'),
  profiling: ignored('boolean'),
  'kube-api-burst': ignored('integer'),
  'kube-api-qps': ignored('float'),
  'kube-api-content-type': ignored('string'),
  'disable-http2-serving': ignored('boolean'),
  'http2-max-streams-per-connection': ignored('integer'),
  'permit-address-sharing': ignored('boolean'),
  'permit-port-sharing': ignored('boolean'),
  'tls-sni-cert-key': ignored('string'),
  'feature-gates': ignored('string'),
  'emulated-version': ignored('strings'),
  'logging-format': { type: 'string', default: 'json', help: 'json', ignored: true },
};

/** `pilothouse scheduler`: runs until SIGTERM or SIGINT. */
export async function runScheduler(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const { values: flags, given, warnings } = parseFlags(specs, argv);
  const config = readConfiguration(flags['config'] as string);
  const values = { ...flags, ...fromConfiguration(config, given) };
  const text = (name: string): string => values[name] as string;
  const number = (name: string): number => values[name] as number;
  if (text('kubeconfig') === '')
    throw new FlagError('Cannot start the scheduler without --kubeconfig: want a file');
  const policy = tlsPolicyFrom(text('tls-min-version'), values['tls-cipher-suites'] as string[]);
  const election = leaderElectionSettings(values, environment, nodeRandom);
  const logger = createLogger({ component: 'scheduler', level: number('v') >= 4 ? 'debug' : 'info' });
  for (const warning of warnings) logger.warn(warning);
  const access = loadKubeconfig(text('kubeconfig'));
  const serving =
    text('tls-cert-file') === '' || text('tls-private-key-file') === ''
      ? await selfSignedServing('kube-scheduler', nodeClock)
      : { certFile: text('tls-cert-file'), keyFile: text('tls-private-key-file') };
  const targetOf = (given: typeof access): typeof access =>
    text('master') === '' ? given : { ...given, server: text('master') };
  const target = targetOf(access);
  const metrics = new Metrics();
  registerProcessMetrics(metrics, 'kube-scheduler');
  const watcher = new FileWatcher({ clock: nodeClock, logger });
  watcher.register(metrics);
  const connections = createHttp2Transport(target, nodeClock);
  followKubeconfig(watcher, text('kubeconfig'), (renewed) => connections.use(targetOf(renewed)));
  const transport = measuredTransport(connections, {
    server: target.server,
    clock: nodeClock,
    observer: clientMetrics(metrics),
  });
  const settings = delegatedAccessSettings(values);
  const delegated =
    settings && openDelegatedAccess(settings, { clock: nodeClock, userAgent: 'kube-scheduler (access)' });
  const scheduler = await startScheduler({
    transport,
    metrics,
    clock: nodeClock,
    random: nodeRandom,
    logger,
    host: os.hostname(),
    ...(election === undefined ? {} : { leaderElection: election }),
    ...(config === undefined ? {} : { profiles: config.profiles }),
    queue: { ...config?.queue, unschedulableMaxMs: number('pod-max-in-unschedulable-pods-duration') },
    ...(number('secure-port') === 0
      ? {}
      : {
          server: {
            address: text('bind-address'),
            port: number('secure-port'),
            watcher,
            policy,
            ...(delegated === undefined ? {} : { access: delegated.access }),
            ...serving,
          },
        }),
  });
  logger.info('Scheduler started', { port: scheduler.port });
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  watcher.close();
  await scheduler.close();
  delegated?.close();
  transport.close();
}

function readConfiguration(file: string): SchedulerConfiguration | undefined {
  if (file === '') return undefined;
  try {
    return parseSchedulerConfiguration(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new FlagError(`Cannot use --config ${file}: ${errorMessage(error)}`);
  }
}

/** What the file says of things that flags say, too; flags that were given win. */
function fromConfiguration(
  config: SchedulerConfiguration | undefined,
  given: ReadonlySet<string>,
): Record<string, FlagValue> {
  if (config === undefined) return {};
  const { leaderElection } = config;
  const said: Record<string, FlagValue> = {
    kubeconfig: config.kubeconfig === '' ? undefined : config.kubeconfig,
    'leader-elect': leaderElection.leaderElect,
    'leader-elect-lease-duration': leaderElection.leaseDurationMs,
    'leader-elect-renew-deadline': leaderElection.renewDeadlineMs,
    'leader-elect-retry-period': leaderElection.retryPeriodMs,
    'leader-elect-resource-lock': leaderElection.resourceLock,
    'leader-elect-resource-name': leaderElection.resourceName,
    'leader-elect-resource-namespace': leaderElection.resourceNamespace,
  };
  return Object.fromEntries(
    Object.entries(said).filter(([name, value]) => value !== undefined && !given.has(name)),
  );
}
