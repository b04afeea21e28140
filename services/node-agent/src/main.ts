import os from 'node:os';
import { createHttp2Transport, followKubeconfig, loadKubeconfig } from '@pilothouse/client';
import type { FlagSpecs } from '@pilothouse/host';
import {
  createLogger,
  FileWatcher,
  FlagError,
  nodeClock,
  nodeRandom,
  parseFlags,
  tlsPolicyFlags,
  tlsPolicyFrom,
} from '@pilothouse/host';
import { startNodeAgent } from './agent.ts';

const specs: FlagSpecs = {
  kubeconfig: { type: 'string', default: '', help: 'How to reach the API' },
  'hostname-override': { type: 'string', default: '', help: 'Name of the node (default: the host name)' },
  address: { type: 'string', default: '0.0.0.0', help: 'Address to serve on' },
  port: { type: 'integer', default: 10250, help: 'Port to serve on' },
  'container-runtime': {
    type: 'string',
    default: 'simulated',
    help: 'simulated: pods live on paper only; process: containers are processes of this host, not confined in any way',
  },
  'node-ip': { type: 'string', default: '', help: 'Address that API servers reach this node by' },
  'pod-network': {
    type: 'string',
    default: '',
    help: 'First three numbers of pod addresses; for processes a part of the loopback network, e.g. 127.99.0',
  },
  'images-dir': {
    type: 'string',
    default: '',
    help: 'Where images are directories; without one every image stands for the host itself',
  },
  'node-index': { type: 'integer', default: 0, help: 'Number of a simulated node; gives its addresses' },
  'node-labels': { type: 'map', default: '', help: 'Labels to register with, key=value,…' },
  'simulated-capacity': {
    type: 'map',
    default: '',
    help: 'Resources of a simulated node, e.g. cpu=8,memory=32Gi',
  },
  'root-dir': { type: 'string', default: '', help: 'Directory for state, volumes and logs of pods' },
  'client-ca-file': { type: 'string', default: '', help: 'CA of the clients of the node server' },
  'tls-cert-file': { type: 'string', default: '', help: 'Serving certificate' },
  'tls-private-key-file': { type: 'string', default: '', help: 'Key of the serving certificate' },
  ...tlsPolicyFlags,
  v: { type: 'integer', default: 0, help: 'Log verbosity; 4 and more shows debug lines' },
};

/** Variables of the agent that containers get too. */
const inherited = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'USER', 'SHELL'];

/** `pilothouse node-agent`: runs until SIGTERM, which leaves processes of pods running, or SIGINT, which ends them. */
export async function runNodeAgent(argv: readonly string[]): Promise<void> {
  const { values } = parseFlags(specs, argv);
  const runtime = values['container-runtime'];
  if (runtime !== 'simulated' && runtime !== 'process')
    throw new FlagError(`Container runtime "${String(runtime)}" is not available: want simulated or process`);
  const text = (name: string): string => values[name] as string;
  const logger = createLogger({
    component: 'node-agent',
    level: (values['v'] as number) >= 4 ? 'debug' : 'info',
  });
  const file = (name: string, key: string): Record<string, string> =>
    text(name) === '' ? {} : { [key]: text(name) };
  const given = (name: string, key: string): Record<string, string> =>
    text(name) === '' ? {} : { [key]: text(name) };
  if (runtime === 'process' && text('root-dir') === '')
    throw new FlagError('Container runtime "process" keeps state of pods: set --root-dir');
  if (runtime === 'process' && !/^127\.\d{1,3}\.\d{1,3}$/.test(text('pod-network')))
    throw new FlagError(
      `Invalid value "${text('pod-network')}" of --pod-network: want three numbers of the loopback network, e.g. 127.99.0`,
    );
  const access = loadKubeconfig(text('kubeconfig'));
  const server = new URL(access.server);
  const watcher = new FileWatcher({ clock: nodeClock, logger });
  const transport = createHttp2Transport(access, nodeClock);
  followKubeconfig(watcher, text('kubeconfig'), (renewed) => transport.use(renewed));
  const agent = await startNodeAgent({
    transport,
    clock: nodeClock,
    random: nodeRandom,
    logger,
    settings: {
      name: text('hostname-override') || os.hostname().toLowerCase(),
      index: values['node-index'] as number,
      port: values['port'] as number,
      capacity: {
        cpu: runtime === 'process' ? String(os.cpus().length) : '8',
        memory: runtime === 'process' ? `${Math.floor(os.totalmem() / 1024)}Ki` : '32Gi',
        'ephemeral-storage': '100Gi',
        pods: '110',
        'hugepages-2Mi': '0',
        ...(values['simulated-capacity'] as Record<string, string>),
      },
      labels: values['node-labels'] as Record<string, string>,
      runtime,
      ...given('node-ip', 'address'),
      ...given('pod-network', 'podNetwork'),
    },
    ...(runtime === 'simulated'
      ? {}
      : {
          process: {
            rootDirectory: text('root-dir'),
            environment: Object.fromEntries(
              inherited.flatMap((name) =>
                process.env[name] === undefined ? [] : [[name, process.env[name]]],
              ),
            ) as Record<string, string>,
            api: {
              host: server.hostname,
              port: Number(server.port || (server.protocol === 'https:' ? 443 : 80)),
            },
            ...given('images-dir', 'imagesDirectory'),
          },
        }),
    server: {
      address: text('address'),
      watcher,
      policy: tlsPolicyFrom(text('tls-min-version'), values['tls-cipher-suites'] as string[]),
      ...file('tls-cert-file', 'certFile'),
      ...file('tls-private-key-file', 'keyFile'),
      ...file('client-ca-file', 'clientCaFile'),
    },
  });
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  watcher.close();
  await agent.close(signal === 'SIGINT');
}
