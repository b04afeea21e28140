import { readFileSync } from 'node:fs';
import path from 'node:path';
import { errorMessage } from '@pilothouse/base';
import { parse } from 'yaml';
import { KubeconfigError } from './errors.ts';

/** How to reach a cluster and as whom. PEM texts, not paths. */
export interface ClusterAccess {
  readonly server: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  readonly insecureSkipTlsVerify?: boolean;
  readonly serverName?: string;
}

interface NamedEntry {
  name: string;
  cluster?: Record<string, unknown>;
  user?: Record<string, unknown>;
  context?: Record<string, unknown>;
}

/** The part of an access that is no secret, to tell which one is in force. */
export function publicPart(access: ClusterAccess): string {
  return `${access.ca ?? ''}${access.cert ?? ''}`;
}

/** Reads a kubeconfig file and resolves its current (or the given) context. Relative file names count from the file's folder. */
export function loadKubeconfig(file: string, contextName?: string): ClusterAccess {
  return resolve(file, contextName, () => undefined);
}

/** `onFile` hears of each file that was read besides. */
function resolve(
  file: string,
  contextName: string | undefined,
  onFile: (name: string) => void,
): ClusterAccess {
  let document: Record<string, unknown>;
  try {
    document = parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw new KubeconfigError(`Cannot read kubeconfig "${file}": ${errorMessage(error)}`);
  }
  const find = (list: unknown, name: unknown, what: string): NamedEntry => {
    const entry = Array.isArray(list) ? (list as NamedEntry[]).find((each) => each.name === name) : undefined;
    if (!entry) throw new KubeconfigError(`Kubeconfig "${file}" has no ${what} "${String(name)}"`);
    return entry;
  };
  const wanted = contextName ?? document['current-context'];
  const context = find(document['contexts'], wanted, 'context').context ?? {};
  const cluster = find(document['clusters'], context['cluster'], 'cluster').cluster ?? {};
  const user = find(document['users'], context['user'], 'user').user ?? {};
  const read = (name: string): string => {
    const resolved = path.resolve(path.dirname(file), name);
    onFile(resolved);
    return readFileSync(resolved, 'utf8');
  };
  const pem = (holder: Record<string, unknown>, key: string): string | undefined => {
    const inline = holder[`${key}-data`];
    if (typeof inline === 'string') return Buffer.from(inline, 'base64').toString('utf8');
    const name = holder[key];
    return typeof name === 'string' ? read(name) : undefined;
  };
  const tokenFile = user['tokenFile'];
  const token =
    typeof user['token'] === 'string'
      ? user['token']
      : typeof tokenFile === 'string'
        ? read(tokenFile).trim()
        : undefined;
  const ca = pem(cluster, 'certificate-authority');
  const cert = pem(user, 'client-certificate');
  const key = pem(user, 'client-key');
  const serverName = cluster['tls-server-name'];
  return {
    server: String(cluster['server']),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { token }),
    ...(cluster['insecure-skip-tls-verify'] === true ? { insecureSkipTlsVerify: true } : {}),
    ...(typeof serverName === 'string' ? { serverName } : {}),
  };
}

/** The kubeconfig and the files that its current (or the given) context names: what to follow for renewed credentials. */
export function kubeconfigFiles(file: string, contextName?: string): string[] {
  const files = [file];
  resolve(file, contextName, (name) => files.push(name));
  return files;
}

/** What looks after files; on Node the FileWatcher of packages/host. */
export interface FileFollower {
  follow(group: { readonly what: string; readonly files: readonly string[]; apply(): string }): unknown;
}

/** Calls `use` now and whenever the kubeconfig, or a file that it names, has other credentials or authorities. */
export function followKubeconfig(
  follower: FileFollower,
  file: string,
  use: (access: ClusterAccess) => void,
): void {
  follower.follow({
    what: 'kubeconfig',
    files: kubeconfigFiles(file),
    apply() {
      const renewed = loadKubeconfig(file);
      use(renewed);
      return publicPart(renewed);
    },
  });
}
