import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { errorCode } from '@pilothouse/base';
import type { ClusterAccess } from '@pilothouse/client';
import { followKubeconfig, loadKubeconfig } from '@pilothouse/client';
import type { ComponentServer, FlagSpecs } from '@pilothouse/host';
import {
  createLogger,
  FileWatcher,
  FlagError,
  Metrics,
  nodeClock,
  nodeRandom,
  parseFlags,
  registerProcessMetrics,
  startComponentServer,
} from '@pilothouse/host';
import { isLoopback } from './core/request-gate.ts';
import { loadAssets } from './io/assets.ts';
import type { ConsoleServer } from './io/console-server.ts';
import { startConsole } from './io/console-server.ts';
import { StoreAccess } from './io/store-access.ts';

const specs: FlagSpecs = {
  kubeconfig: {
    type: 'string',
    default: '',
    help: 'The API server; on a loopback address also whom the one-time link logs in as',
  },
  context: { type: 'string', default: '', help: 'Context of the kubeconfig (default: its current one)' },
  server: { type: 'string', default: '', help: 'URL of the API server, instead of a kubeconfig' },
  'certificate-authority': { type: 'string', default: '', help: 'CA of the API server, with --server' },
  'bind-address': {
    type: 'string',
    default: '127.0.0.1',
    help: 'Address to serve on; others than loopback need TLS',
  },
  port: { type: 'integer', default: 8443, help: 'Port to serve on' },
  'metrics-port': {
    type: 'integer',
    default: 0,
    help: 'Port of /metrics and health checks, on --bind-address with the same certificate; 0: none',
  },
  'tls-cert-file': { type: 'string', default: '', help: 'Serving certificate' },
  'tls-private-key-file': { type: 'string', default: '', help: 'Key of the serving certificate' },
  'allowed-hosts': {
    type: 'strings',
    default: [],
    help: 'Names, with or without a port, that browsers call the console by; loopback names need not be given',
  },
  link: { type: 'boolean', default: true, help: 'Print a one-time link for the user of --kubeconfig' },
  'link-file': {
    type: 'string',
    default: '',
    help: 'Write the one-time link there (mode 0600) instead of printing it',
  },
  'etcd-servers': {
    type: 'strings',
    default: [],
    help: 'The store, for the Raft view and the history of objects',
  },
  'etcd-cafile': { type: 'string', default: '', help: 'CA of the store' },
  'etcd-certfile': { type: 'string', default: '', help: 'Client certificate for the store' },
  'etcd-keyfile': { type: 'string', default: '', help: 'Key of the client certificate for the store' },
  'etcd-prefix': { type: 'string', default: '/registry', help: 'Prefix of all keys in the store' },
  'drills-dir': { type: 'string', default: '', help: 'Where pilothouse drill leaves its reports' },
  v: { type: 'integer', default: 0, help: 'Log verbosity; 4 and more shows debug lines' },
};

/** `pilothouse console`: runs until SIGTERM or SIGINT. */
export async function runConsole(argv: readonly string[]): Promise<void> {
  const { values, positional } = parseFlags(specs, argv);
  const text = (name: string): string => values[name] as string;
  if (positional.length > 0) throw new FlagError(`Unexpected argument "${positional[0]}"`);
  const logger = createLogger({
    component: 'console',
    level: (values['v'] as number) >= 4 ? 'debug' : 'info',
  });
  const address = text('bind-address');
  const loopback = isLoopback(address);
  const tlsFiles = [text('tls-cert-file'), text('tls-private-key-file')].filter((each) => each !== '');
  const allowedHosts = values['allowed-hosts'] as string[];
  if (tlsFiles.length === 1)
    throw new FlagError('--tls-cert-file and --tls-private-key-file belong together');
  if (!loopback && tlsFiles.length === 0)
    throw new FlagError(
      `Credentials would cross the network in the clear: --bind-address ${address} needs --tls-cert-file and --tls-private-key-file`,
    );
  if (!loopback && allowedHosts.length === 0)
    throw new FlagError(
      `--bind-address ${address} needs --allowed-hosts: the names that browsers call the console by`,
    );
  const { cluster, user } = readCluster(text);
  const linkFile = text('link-file');
  const hasLink = loopback && values['link'] === true && user !== undefined;
  const showLink = (url: string): void => {
    if (linkFile === '') process.stdout.write(`One-time link: ${url}\n`);
    else writeFileSync(linkFile, `${url}\n`, { mode: 0o600 });
  };
  if (linkFile !== '') rmSync(linkFile, { force: true });
  const store =
    (values['etcd-servers'] as string[]).length === 0
      ? undefined
      : new StoreAccess({
          endpoints: values['etcd-servers'] as string[],
          ...storeTls(text),
          prefix: `/${text('etcd-prefix').replace(/^\/+|\/+$/g, '')}`,
          clock: nodeClock,
          random: nodeRandom,
          logger,
        });
  const metrics = new Metrics();
  registerProcessMetrics(metrics, 'pilothouse-console');
  const watcher = new FileWatcher({ clock: nodeClock, logger });
  watcher.register(metrics);
  const certificate =
    tlsFiles.length === 2 ? { certFile: tlsFiles[0] as string, keyFile: tlsFiles[1] as string } : {};
  const metricsPort = values['metrics-port'] as number;
  let port = values['port'] as number;
  let server: ConsoleServer;
  let told: ComponentServer | undefined;
  try {
    server = await startConsole({
      address,
      port,
      ...certificate,
      allowedHosts,
      cluster,
      ...(hasLink ? { linkCredentials: user, onLink: showLink } : {}),
      ...(store === undefined ? {} : { store }),
      ...(text('drills-dir') === '' ? {} : { drillsDirectory: text('drills-dir') }),
      assets: loadAssets(),
      clock: nodeClock,
      random: nodeRandom,
      logger,
      metrics,
      watcher,
    });
    if (metricsPort !== 0) {
      port = metricsPort;
      told = await startComponentServer({
        address,
        port,
        ...certificate,
        watcher,
        metrics: () => metrics.render(),
      });
    }
  } catch (error) {
    if (errorCode(error) === 'EADDRINUSE')
      throw new FlagError(`Port ${port} of ${address} is taken; see --port and --metrics-port`);
    throw error;
  }
  followCluster(watcher, text, server);
  logger.info('Console is served', { url: server.url, apiServer: cluster.server });
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  watcher.close();
  await told?.close();
  await server.close();
  store?.close();
  if (linkFile !== '') rmSync(linkFile, { force: true });
}

/** Where the API server is, and whose credentials the kubeconfig has. */
function readCluster(text: (name: string) => string): {
  cluster: ClusterAccess;
  user?: { token?: string; cert?: string; key?: string };
} {
  if (text('kubeconfig') !== '') {
    if (text('server') !== '') throw new FlagError('Want --kubeconfig or --server, not both');
    const { token, cert, key, ...cluster } = loadKubeconfig(
      text('kubeconfig'),
      text('context') === '' ? undefined : text('context'),
    );
    if (token !== undefined) return { cluster, user: { token } };
    return cert === undefined || key === undefined ? { cluster } : { cluster, user: { cert, key } };
  }
  if (text('server') === '') throw new FlagError('Want --kubeconfig FILE or --server URL');
  if (!/^https:\/\//.test(text('server')))
    throw new FlagError(`Invalid value "${text('server')}" for --server: want https://host:port`);
  const ca = text('certificate-authority');
  return { cluster: { server: text('server'), ...(ca === '' ? {} : { ca: readFileSync(ca, 'utf8') }) } };
}

/** What was read at the start is read again when it changes: a new authority, the administrator's renewed certificate. */
function followCluster(watcher: FileWatcher, text: (name: string) => string, server: ConsoleServer): void {
  const again = (): void => {
    const { cluster, user } = readCluster(text);
    server.follow(cluster, user);
  };
  if (text('kubeconfig') !== '') {
    followKubeconfig(watcher, text('kubeconfig'), again);
  } else if (text('certificate-authority') !== '')
    watcher.follow({
      what: 'certificate-authority',
      files: [text('certificate-authority')],
      apply([ca]) {
        again();
        return ca;
      },
    });
}

/** Read anew for each connection, so that renewed certificates are picked up. */
function storeTls(text: (name: string) => string): Pick<ConstructorParameters<typeof StoreAccess>[0], 'tls'> {
  const names = [
    ['ca', 'etcd-cafile'],
    ['cert', 'etcd-certfile'],
    ['key', 'etcd-keyfile'],
  ] as const;
  const given = names.filter(([, flag]) => text(flag) !== '');
  if (given.length === 0) return {};
  return { tls: () => Object.fromEntries(given.map(([key, flag]) => [key, readFileSync(text(flag))])) };
}
