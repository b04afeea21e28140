/** What may import what among our own packages (docs/architecture.md). Anything that is not listed is forbidden. */
export const importTable: Readonly<Record<string, readonly string[]>> = {
  base: [],
  proto: [],
  http2: ['base'],
  raft: ['base'],
  apimachinery: ['base'],
  host: ['base'],
  streaming: ['base'],
  api: ['base', 'apimachinery'],
  'etcd-client': ['base', 'http2', 'proto'],
  testkit: ['base'],
  serializer: ['base', 'proto', 'apimachinery', 'api'],
  client: ['base', 'apimachinery', 'api', 'serializer'],
  store: ['base', 'host', 'http2', 'proto', 'raft'],
  apiserver: [
    'base',
    'host',
    'http2',
    'streaming',
    'proto',
    'apimachinery',
    'api',
    'serializer',
    'etcd-client',
  ],
  scheduler: ['base', 'host', 'apimachinery', 'api', 'serializer', 'client'],
  'controller-manager': ['base', 'host', 'apimachinery', 'api', 'serializer', 'client'],
  'node-agent': ['base', 'host', 'streaming', 'apimachinery', 'api', 'serializer', 'client'],
  console: ['base', 'host', 'api', 'serializer', 'client', 'etcd-client'],
  cli: ['base', 'host', 'apimachinery', 'api', 'serializer', 'client', 'etcd-client', 'local'],
  local: [
    'base',
    'host',
    'apimachinery',
    'api',
    'serializer',
    'client',
    'store',
    'apiserver',
    'scheduler',
    'controller-manager',
    'node-agent',
    'console',
  ],
};

/** Packages without I/O: no Node modules, no timers, no clock, no await. */
export const corePackages: readonly string[] = ['base', 'raft', 'apimachinery', 'api'];

/** Where a package lives. */
export function folderOf(name: string): string {
  if (name === 'local') return 'local';
  return ['store', 'apiserver', 'scheduler', 'controller-manager', 'node-agent', 'console', 'cli'].includes(
    name,
  )
    ? `services/${name}`
    : `packages/${name}`;
}
