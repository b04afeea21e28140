import os from 'node:os';
import path from 'node:path';

export type Component =
  | 'store'
  | 'apiserver'
  | 'load-balancer'
  | 'scheduler'
  | 'controller-manager'
  | 'node-agent'
  | 'console'
  | 'redis';

/** How many of what, and where. */
export interface PlaneOptions {
  readonly dataDir: string;
  /** The balancer's port; all other ports follow from it. */
  readonly port: number;
  readonly members: number;
  readonly replicas: number;
  readonly schedulers: number;
  readonly controllerManagers: number;
  readonly nodes: number;
  readonly runtime: 'simulated' | 'process';
  /** Of the process runtime. */
  readonly imagesDirectory?: string;
  readonly apiserverArguments: readonly string[];
  readonly storeArguments: readonly string[];
  /** URLs of an etcd that is used instead of store members; empty: the plane has its own. */
  readonly etcdServers: readonly string[];
  /** A default storage class whose volumes are directories of the nodes. */
  readonly localStorage: boolean;
  readonly faketimeLibrary?: string;
  /** A redis-server that the API servers share. */
  readonly redisProgram?: string;
  /** How long leaf certificates live; they are renewed after two thirds of it. Default: a year. */
  readonly certificateLifetimeMs?: number;
  /** A console too. */
  readonly console?: boolean;
}

/** One child process: `pilothouse <component> <arguments>`, or another program. */
export interface ProcessSpec {
  /** Where it is not `pilothouse` itself. */
  readonly program?: string;
  readonly component: Component;
  readonly name: string;
  readonly arguments: readonly string[];
  /** host:port that `status` shows. */
  readonly address: string;
  /** Every port it listens on, to find a taken one before anything starts. */
  readonly ports: readonly number[];
}

const host = '127.0.0.1';

/** Ports as distances from the balancer's, so that planes with `--port` 100 apart never meet. Up to ten of each component. */
const offset = {
  apiserver: 1,
  storeClient: 11,
  storePeer: 21,
  storeMetrics: 31,
  scheduler: 41,
  controllerManager: 51,
  node: 61,
  console: 71,
  redis: 81,
} as const;

/** The address that Endpoints of the kubernetes service show: the API refuses loopback addresses there. */
function advertiseAddress(): string {
  for (const addresses of Object.values(os.networkInterfaces())) {
    for (const address of addresses ?? [])
      if (address.family === 'IPv4' && !address.internal) return address.address;
  }
  return '192.0.2.1'; // RFC 5737 documentation range: a host without a network still gets a well-formed object.
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

export const storeClientUrls = (options: PlaneOptions): string[] =>
  range(options.members).map((index) => `https://${host}:${options.port + offset.storeClient + index}`);

export const serverUrl = (options: PlaneOptions): string => `https://${host}:${options.port}`;

/** The web console's port on a plane of this port; its metrics are on the next one. */
export const consolePort = (port: number): number => port + offset.console;

/** Where a console started by `up` leaves its one-time link; a log is no place for it. */
export const consoleLinkPath = (dataDir: string): string => path.join(dataDir, 'run', 'console-link');

/** Flags of a console for a plane on this machine; `storeUrls` is empty where the store is not the plane's own. */
export function consoleArguments(dataDir: string, port: number, storeUrls: readonly string[]): string[] {
  const pki = (file: string): string => path.join(pkiDirectory(dataDir), file);
  return [
    `--kubeconfig=${kubeconfigPath(dataDir, 'admin')}`,
    `--bind-address=${host}`,
    `--port=${consolePort(port)}`,
    `--metrics-port=${consolePort(port) + 1}`,
    `--drills-dir=${path.join(dataDir, 'drills')}`,
    ...(storeUrls.length === 0
      ? []
      : [
          `--etcd-servers=${storeUrls.join(',')}`,
          `--etcd-cafile=${pki('etcd/ca.crt')}`,
          `--etcd-certfile=${pki('etcd/client.crt')}`,
          `--etcd-keyfile=${pki('etcd/client.key')}`,
        ]),
  ];
}

export const nodeName = (index: number): string => `node-${index}`;

/**
 * First three numbers of a node's part of the loopback network: all of 127/8 belongs to this host. The second comes from the port, so that
 * planes side by side do not share addresses, the third is the node's. The node has .1, its pods .2 to .254.
 */
export const nodeNetwork = (options: Pick<PlaneOptions, 'port'>, index: number): string =>
  `127.${64 + (Math.floor(options.port / 100) % 128)}.${index}`;

/** Other systems than Linux give a host nothing but 127.0.0.1; nodes then differ by their ports alone. */
export const nodeAddress = (options: Pick<PlaneOptions, 'port'>, index: number): string =>
  process.platform === 'linux' ? `${nodeNetwork(options, index)}.1` : host;

/** Where the plane's keys and certificates are (made by ensurePki). */
export const pkiDirectory = (dataDir: string): string => path.join(dataDir, 'pki');

export const kubeconfigPath = (dataDir: string, who: string): string =>
  path.join(dataDir, 'kubeconfig', `${who}.yaml`);

/** Flags of which every occurrence counts: what is given adds to the plane's own. */
const additive = new Set(['feature-gates', 'enable-admission-plugins', 'service-account-key-file']);

const flagName = (argument: string): string =>
  (/^--?([^=]+)/.exec(argument)?.[1] ?? argument).replaceAll('_', '-');

/**
 * The plane's own flags and those given to `up`. A given flag takes the place of the plane's own of that name, also where the server would take
 * both: of two issuers the first one signs.
 */
function withGiven(given: readonly string[], own: readonly string[]): string[] {
  const replaced = new Set(given.map(flagName).filter((name) => !additive.has(name)));
  return [...own.filter((argument) => !replaced.has(flagName(argument))), ...given];
}

/** All processes of the plane, in the order in which they start. */
export function planProcesses(options: PlaneOptions, clusterToken: string): ProcessSpec[] {
  const pki = (file: string): string => path.join(pkiDirectory(options.dataDir), file);
  const specs: ProcessSpec[] = [];
  const initialCluster = range(options.members)
    .map((index) => `store-${index}=https://${host}:${options.port + offset.storePeer + index}`)
    .join(',');
  const ownMembers = options.etcdServers.length === 0 ? options.members : 0;
  for (const index of range(ownMembers)) {
    const [client, peer, metrics] = [offset.storeClient, offset.storePeer, offset.storeMetrics].map(
      (each) => options.port + each + index,
    ) as [number, number, number];
    specs.push({
      component: 'store',
      name: `store-${index}`,
      address: `${host}:${client}`,
      ports: [client, peer, metrics],
      arguments: withGiven(options.storeArguments, [
        `--name=store-${index}`,
        `--data-dir=${path.join(options.dataDir, `store-${index}`)}`,
        `--listen-client-urls=https://${host}:${client}`,
        `--advertise-client-urls=https://${host}:${client}`,
        `--listen-peer-urls=https://${host}:${peer}`,
        `--initial-advertise-peer-urls=https://${host}:${peer}`,
        `--listen-metrics-urls=http://${host}:${metrics}`,
        `--initial-cluster=${initialCluster}`,
        `--initial-cluster-token=${clusterToken}`,
        '--initial-cluster-state=new',
        `--cert-file=${pki('etcd/server.crt')}`,
        `--key-file=${pki('etcd/server.key')}`,
        `--trusted-ca-file=${pki('etcd/ca.crt')}`,
        '--client-cert-auth',
        `--peer-cert-file=${pki('etcd/peer.crt')}`,
        `--peer-key-file=${pki('etcd/peer.key')}`,
        `--peer-trusted-ca-file=${pki('etcd/ca.crt')}`,
        '--peer-client-cert-auth',
      ]),
    });
  }
  const redisPort = options.port + offset.redis;
  if (options.redisProgram !== undefined)
    specs.push({
      component: 'redis',
      name: 'redis',
      program: options.redisProgram,
      address: `${host}:${redisPort}`,
      ports: [redisPort],
      // A cache: nothing of it is kept.
      arguments: ['--bind', host, '--port', String(redisPort), '--save', '', '--appendonly', 'no'],
    });
  const apiserverPorts = range(options.replicas).map((index) => options.port + offset.apiserver + index);
  for (const [index, port] of apiserverPorts.entries()) {
    specs.push({
      component: 'apiserver',
      name: `apiserver-${index}`,
      address: `${host}:${port}`,
      ports: [port],
      arguments: withGiven(options.apiserverArguments, [
        `--secure-port=${port}`,
        `--bind-address=${host}`,
        `--advertise-address=${advertiseAddress()}`,
        ...(options.redisProgram === undefined ? [] : [`--redis-url=redis://${host}:${redisPort}`]),
        ...(ownMembers === 0
          ? [`--etcd-servers=${options.etcdServers.join(',')}`]
          : [
              `--etcd-servers=${storeClientUrls(options).join(',')}`,
              `--etcd-cafile=${pki('etcd/ca.crt')}`,
              `--etcd-certfile=${pki('apiserver-etcd-client.crt')}`,
              `--etcd-keyfile=${pki('apiserver-etcd-client.key')}`,
            ]),
        `--client-ca-file=${pki('ca.crt')}`,
        // Another authority of clients has a list of its own.
        ...(options.apiserverArguments.some((argument) => flagName(argument) === 'client-ca-file')
          ? []
          : [`--client-crl-file=${pki('ca.crl')}`]),
        `--tls-cert-file=${pki('apiserver.crt')}`,
        `--tls-private-key-file=${pki('apiserver.key')}`,
        `--service-account-key-file=${pki('sa.pub')}`,
        `--service-account-signing-key-file=${pki('sa.key')}`,
        '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
        `--requestheader-client-ca-file=${pki('front-proxy-ca.crt')}`,
        '--requestheader-allowed-names=front-proxy-client',
        '--requestheader-username-headers=X-Remote-User',
        '--requestheader-group-headers=X-Remote-Group',
        '--requestheader-extra-headers-prefix=X-Remote-Extra-',
        `--proxy-client-cert-file=${pki('front-proxy-client.crt')}`,
        `--proxy-client-key-file=${pki('front-proxy-client.key')}`,
        `--kubelet-client-certificate=${pki('apiserver-kubelet-client.crt')}`,
        `--kubelet-client-key=${pki('apiserver-kubelet-client.key')}`,
        `--kubelet-certificate-authority=${pki('ca.crt')}`,
        '--authorization-mode=Node,RBAC',
        '--enable-admission-plugins=NodeRestriction',
        '--enable-bootstrap-token-auth',
        '--allow-privileged',
        '--service-cluster-ip-range=10.0.0.0/16',
        '--kubelet-preferred-address-types=InternalIP,Hostname',
        ...(options.runtime === 'process' ? ['--feature-gates=LoopbackPods=true'] : []),
      ]),
    });
  }
  specs.push({
    component: 'load-balancer',
    name: 'load-balancer',
    address: `${host}:${options.port}`,
    ports: [options.port],
    arguments: [
      `--listen=${host}:${options.port}`,
      `--backends=${apiserverPorts.map((port) => `${host}:${port}`).join(',')}`,
      `--ca-file=${pki('ca.crt')}`,
    ],
  });
  for (const index of range(options.schedulers)) {
    const port = options.port + offset.scheduler + index;
    specs.push({
      component: 'scheduler',
      name: `scheduler-${index}`,
      address: `${host}:${port}`,
      ports: [port],
      arguments: [
        `--kubeconfig=${kubeconfigPath(options.dataDir, 'scheduler')}`,
        `--secure-port=${port}`,
        `--bind-address=${host}`,
        '--leader-elect',
        `--tls-cert-file=${pki('apiserver.crt')}`,
        `--tls-private-key-file=${pki('apiserver.key')}`,
      ],
    });
  }
  for (const index of range(options.controllerManagers)) {
    const port = options.port + offset.controllerManager + index;
    specs.push({
      component: 'controller-manager',
      name: `controller-manager-${index}`,
      address: `${host}:${port}`,
      ports: [port],
      arguments: [
        `--kubeconfig=${kubeconfigPath(options.dataDir, 'controller-manager')}`,
        `--secure-port=${port}`,
        `--bind-address=${host}`,
        '--leader-elect',
        '--use-service-account-credentials',
        // As kubeadm: what TLS bootstrap of nodes lives by.
        `--controllers=${['*', 'bootstrap-signer-controller', 'token-cleaner-controller', ...(options.localStorage ? ['local-volume-provisioner-controller'] : [])].join()}`,
        ...(options.localStorage ? [`--local-volume-root=${path.join(options.dataDir, 'volumes')}`] : []),
        `--root-ca-file=${pki('ca.crt')}`,
        `--cluster-signing-cert-file=${pki('ca.crt')}`,
        `--cluster-signing-key-file=${pki('ca.key')}`,
        `--service-account-private-key-file=${pki('sa.key')}`,
        `--tls-cert-file=${pki('apiserver.crt')}`,
        `--tls-private-key-file=${pki('apiserver.key')}`,
      ],
    });
  }
  for (const index of range(options.nodes)) {
    const port = options.port + offset.node + index;
    specs.push({
      component: 'node-agent',
      name: nodeName(index),
      address: `${nodeAddress(options, index)}:${port}`,
      ports: [port],
      arguments: [
        `--kubeconfig=${kubeconfigPath(options.dataDir, nodeName(index))}`,
        `--hostname-override=${nodeName(index)}`,
        `--port=${port}`,
        `--address=${nodeAddress(options, index)}`,
        `--node-ip=${nodeAddress(options, index)}`,
        `--container-runtime=${options.runtime}`,
        `--node-index=${index}`,
        ...(options.runtime === 'process' ? [`--pod-network=${nodeNetwork(options, index)}`] : []),
        ...(options.imagesDirectory === undefined ? [] : [`--images-dir=${options.imagesDirectory}`]),
        `--root-dir=${path.join(options.dataDir, nodeName(index))}`,
        `--client-ca-file=${pki('ca.crt')}`,
        `--tls-cert-file=${pki(`nodes/${nodeName(index)}.crt`)}`,
        `--tls-private-key-file=${pki(`nodes/${nodeName(index)}.key`)}`,
      ],
    });
  }
  if (options.console === true)
    specs.push({
      component: 'console',
      name: 'console',
      address: `${host}:${consolePort(options.port)}`,
      ports: [consolePort(options.port), consolePort(options.port) + 1],
      arguments: [
        ...consoleArguments(options.dataDir, options.port, ownMembers === 0 ? [] : storeClientUrls(options)),
        `--link-file=${consoleLinkPath(options.dataDir)}`,
      ],
    });
  return specs;
}
