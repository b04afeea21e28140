import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import type { Clock, Logger, NameLookup } from '@pilothouse/base';
import { errorCode, errorMessage } from '@pilothouse/base';
import { nodeNameLookup } from '@pilothouse/host';
import type { MemberId, MemberInfo } from '../core/replication.ts';
import type { StoreConfig, TlsFiles } from '../config.ts';
import { isTooOldFor } from '../core/cluster-version.ts';
import { clusterIdOf, memberIdOf } from './rpc/cluster-service.ts';
import { versions } from './rpc/store-service.ts';
import { discover, type DiscoveryOptions } from './discovery.ts';
import { discoverBySrv, type SrvDiscovery } from './srv-discovery.ts';
import { StartupError } from './startup-error.ts';
import { TlsContext } from './tls-context.ts';

export { StartupError } from './startup-error.ts';

export interface Identity {
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly members: readonly MemberInfo[];
  /** Start a log with `members`; otherwise they are only where to look for the others. */
  readonly isNewCluster: boolean;
}

/** Of --initial-cluster-token. */
const defaultClusterToken = 'etcd-cluster';

interface IdentityFile {
  readonly memberId: string;
  readonly clusterId: string;
  readonly isNewCluster: boolean;
  /** Of the flags that the cluster was made with; absent where a member joined. */
  readonly clusterToken?: string;
  readonly members: readonly {
    id: string;
    name: string;
    peerUrls: string[];
    clientUrls: string[];
    isLearner: boolean;
  }[];
}

/** A disk that filled up later, as a text for people; other errors are given back. The log and the backend report it in their own words. */
export function diskProblem(config: StoreConfig, error: unknown): unknown {
  const isFull = errorCode(error) === 'ENOSPC' || /no space left on device/i.test(errorMessage(error));
  return isFull
    ? new StartupError(
        `Cannot write to the data directory "${config.dataDir}": no space left on the device. Free some space, or choose another directory with --data-dir`,
        { cause: error },
      )
    : error;
}

/** LMDB's errors of a commit carry the true one as a promise that is rejected; undefined for all others. */
export function commitErrorOf(error: unknown): Promise<unknown> | undefined {
  if (typeof error !== 'object' || error === null || !('commitError' in error)) return undefined;
  return Promise.resolve(error.commitError).then(
    () => error,
    (cause: unknown) => cause,
  );
}

/** Makes the data directory and proves that it can be written. */
export function prepareDataDirectory(config: StoreConfig): string {
  const member = path.join(config.dataDir, 'member');
  try {
    fs.mkdirSync(member, { recursive: true, mode: 0o700 });
    const probe = path.join(member, '.writable');
    const descriptor = fs.openSync(probe, 'w', 0o600);
    fs.writeSync(descriptor, Buffer.alloc(4096));
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
    fs.rmSync(probe);
    // Of a process that ended in the middle of a backup.
    for (const name of fs.readdirSync(member))
      if (/^backup-.*\.tmp$/.test(name)) fs.rmSync(path.join(member, name));
  } catch (error) {
    throw new StartupError(`Cannot write to the data directory "${config.dataDir}": ${explain(error)}`, {
      cause: error,
    });
  }
  return member;
}

function explain(error: unknown): string {
  switch (errorCode(error)) {
    case 'EACCES':
    case 'EPERM':
      return 'permission denied. Give this user write access, or choose another directory with --data-dir';
    case 'EROFS':
      return 'the file system is read-only. Mount it writable, or choose another directory with --data-dir';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'no space left on the device. Free some space, or choose another directory with --data-dir';
    case 'ENOTDIR':
    case 'EEXIST':
      return 'a part of the path is a file. Remove it, or choose another directory with --data-dir';
    default:
      return `${errorMessage(error)}. Choose a usable directory with --data-dir`;
  }
}

/** Who this member is: as recorded in the data directory, or worked out from the flags and recorded now. */
export async function establishIdentity(
  given: StoreConfig,
  memberDirectory: string,
  ports: { readonly clock: Clock; readonly logger: Logger; readonly lookup?: NameLookup },
): Promise<Identity> {
  let config = given;
  const file = path.join(memberDirectory, 'identity.json');
  if (fs.existsSync(file)) return readIdentity(file, config);
  const foreign = ['snap/db', 'wal/0.tmp']
    .map((name) => path.join(memberDirectory, name))
    .find((name) => fs.existsSync(name));
  if (foreign !== undefined) {
    throw new StartupError(
      `The data directory "${config.dataDir}" was written by another program (found "${foreign}"). Choose an empty directory with --data-dir`,
    );
  }
  if (config.srv !== undefined) config = await discoveredBySrv(config, config.srv, ports);
  if (config.discovery !== undefined && config.initialClusterState === 'new')
    config = await discovered(config, config.discovery, ports);
  const identity = config.initialClusterState === 'new' ? newCluster(config) : await joinCluster(config);
  if (identity.isNewCluster) await refuseLostMember(config, identity.memberId);
  writeIdentity(file, identity, config.initialClusterToken);
  return identity;
}

/** The flags with the first members that were found. */
async function discovered(
  config: StoreConfig,
  discovery: DiscoveryOptions,
  ports: { readonly clock: Clock; readonly logger: Logger },
): Promise<StoreConfig> {
  const { name, initialAdvertisePeerUrls: peerUrls } = config;
  const memberId = memberIdOf(peerUrls, config.initialClusterToken);
  const initialCluster = new Map<string, string[]>();
  for (const pair of (await discover(discovery, { memberId, name, peerUrls }, ports)).split(',')) {
    const equals = pair.indexOf('=');
    const member = pair.slice(0, equals);
    initialCluster.set(member, [...(initialCluster.get(member) ?? []), pair.slice(equals + 1)]);
  }
  return { ...config, initialCluster };
}

/** The flags with the first members that DNS names. */
async function discoveredBySrv(
  config: StoreConfig,
  srv: SrvDiscovery,
  ports: { readonly logger: Logger; readonly lookup?: NameLookup },
): Promise<StoreConfig> {
  const { name, initialAdvertisePeerUrls: peerUrls } = config;
  const { logger, lookup = nodeNameLookup() } = ports;
  const initialCluster = await discoverBySrv(srv, { name, peerUrls }, { lookup, logger });
  const own = initialCluster.get(name);
  // IDs come from the URLs as the records have them, so that all members agree; what this member advertises leads to the same place.
  const advertised = own?.length === peerUrls.length ? own : peerUrls;
  return { ...config, initialCluster, initialAdvertisePeerUrls: advertised };
}

function readIdentity(file: string, config: StoreConfig): Identity {
  let clusterToken: string | undefined;
  let identity: Identity;
  try {
    const stored = JSON.parse(fs.readFileSync(file, 'utf8')) as IdentityFile;
    clusterToken = stored.clusterToken;
    identity = {
      memberId: BigInt(`0x${stored.memberId}`) as MemberId,
      clusterId: BigInt(`0x${stored.clusterId}`),
      isNewCluster: stored.isNewCluster,
      members: stored.members.map((member) => ({ ...member, id: BigInt(`0x${member.id}`) as MemberId })),
    };
  } catch (error) {
    throw new StartupError(
      `Cannot read "${file}": ${errorMessage(error)}. Restore it, or empty the data directory and add the member again`,
    );
  }
  // A token that is not given does not count: the flags of a first start may be dropped later.
  const given = config.initialClusterToken;
  if (clusterToken !== undefined && given !== defaultClusterToken && given !== clusterToken) {
    throw new StartupError(
      `The data directory "${config.dataDir}" belongs to another cluster: it was made with --initial-cluster-token=${clusterToken}, now it is ${given}. Use that token, or choose another directory with --data-dir`,
    );
  }
  return identity;
}

/** Records who a member is, durably. */
export function writeIdentity(file: string, identity: Identity, clusterToken: string): void {
  const content: IdentityFile = {
    memberId: identity.memberId.toString(16),
    clusterId: identity.clusterId.toString(16),
    isNewCluster: identity.isNewCluster,
    ...(identity.isNewCluster ? { clusterToken } : {}),
    members: identity.members.map((member) => ({
      id: member.id.toString(16),
      name: member.name,
      peerUrls: [...member.peerUrls],
      clientUrls: [...member.clientUrls],
      isLearner: member.isLearner,
    })),
  };
  const temporary = `${file}.tmp`;
  const descriptor = fs.openSync(temporary, 'w', 0o600);
  fs.writeSync(descriptor, `${JSON.stringify(content, null, 2)}\n`);
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
  fs.renameSync(temporary, file);
}

/** The member's entry in `--initial-cluster`. */
function ownPeerUrls(config: StoreConfig): readonly string[] {
  const own = config.initialCluster.get(config.name);
  if (own === undefined) {
    throw new StartupError(
      `Couldn't find local name "${config.name}" in the initial cluster configuration. Add ${config.name}=<peer url> to --initial-cluster, or set --name`,
    );
  }
  return own;
}

function newCluster(config: StoreConfig): Identity {
  const own = ownPeerUrls(config);
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    [...a].sort().join() === [...b].sort().join();
  if (!same(own, config.initialAdvertisePeerUrls)) {
    throw new StartupError(
      `--initial-cluster has ${config.name}=${own.join(',')} but --initial-advertise-peer-urls is ${config.initialAdvertisePeerUrls.join(',')}. Make both equal`,
    );
  }
  const members = [...config.initialCluster].map(([, peerUrls]): MemberInfo => ({
    id: memberIdOf(peerUrls, config.initialClusterToken),
    name: '',
    peerUrls,
    clientUrls: [],
    isLearner: false,
  }));
  if (new Set(members.map(({ id }) => id)).size !== members.length) {
    throw new StartupError('Two members of --initial-cluster have the same peer URLs. Give each its own');
  }
  return {
    memberId: memberIdOf(own, config.initialClusterToken),
    clusterId: clusterIdOf(members.map(({ id }) => id)),
    members,
    isNewCluster: true,
  };
}

/**
 * A member that ran before and has lost its data must not come back as who it was: it may have promised votes and acknowledged
 * entries that it no longer knows. Whoever of the others runs already knows whether it ran; with none there, the cluster is new.
 */
async function refuseLostMember(config: StoreConfig, memberId: MemberId): Promise<void> {
  const others = [...config.initialCluster]
    .filter(([name]) => name !== config.name)
    .flatMap(([, urls]) => urls);
  const answers = await Promise.all(
    others.map((url) => peerGet(`${url}/members`, config.peerTls, 1000).catch(() => undefined)),
  );
  for (const answer of answers) {
    if (answer === undefined) continue;
    const { members } = JSON.parse(answer) as PeerMembers;
    const mine = [...config.initialAdvertisePeerUrls].sort().join();
    const own = members.find(
      ({ id, peerURLs }) => BigInt(`0x${id}`) === memberId || [...peerURLs].sort().join() === mine,
    );
    // It tells the others its client addresses once it has a leader. Under another ID it was added to a cluster that runs.
    if (own === undefined || (own.clientURLs.length === 0 && BigInt(`0x${own.id}`) === memberId)) continue;
    throw new StartupError(
      `member ${own.id} has already been bootstrapped: the others know "${config.name}", but the data directory "${config.dataDir}" is empty. Restore that directory; if it is lost, remove the member, add it again and start it with --initial-cluster-state=existing (pilothouse store --replace-lost-member=CLIENT-URL,… does it)`,
    );
  }
}

interface PeerMembers {
  readonly clusterId: string;
  readonly members: readonly {
    id: string;
    name: string;
    peerURLs: string[];
    clientURLs: string[];
    isLearner: boolean;
  }[];
}

/** Asks the running members who belongs to the cluster; the flags must agree with them. */
async function joinCluster(config: StoreConfig): Promise<Identity> {
  const wanted = [...ownPeerUrls(config)].sort().join();
  const others = [...config.initialCluster]
    .filter(([name]) => name !== config.name)
    .flatMap(([, urls]) => urls);
  const failures: string[] = [];
  for (const url of others) {
    let found: PeerMembers;
    try {
      found = JSON.parse(await peerGet(`${url}/members`, config.peerTls)) as PeerMembers;
    } catch (error) {
      failures.push(`${url}: ${errorMessage(error)}`);
      continue;
    }
    const members = found.members.map((member): MemberInfo => ({
      id: BigInt(`0x${member.id}`) as MemberId,
      name: member.name,
      peerUrls: member.peerURLs,
      clientUrls: member.clientURLs,
      isLearner: member.isLearner,
    }));
    if (members.length !== config.initialCluster.size) {
      throw new StartupError(
        `error validating peerURLs: member count is unequal: the cluster has ${members.length} members, --initial-cluster names ${config.initialCluster.size}. Add this member first, then list all members`,
      );
    }
    const own = members.find(({ peerUrls }) => [...peerUrls].sort().join() === wanted);
    if (own === undefined) {
      throw new StartupError(
        `error validating peerURLs: unmatched member while checking PeerURLs (${wanted}). Add the member with these peer URLs first`,
      );
    }
    await refuseForeignVersion(url, config);
    return { memberId: own.id, clusterId: BigInt(`0x${found.clusterId}`), members, isNewCluster: false };
  }
  throw new StartupError(
    `cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs (${failures.join('; ')}). Check --initial-cluster and that a member is running`,
  );
}

/** Throws StartupError when the data belong to a cluster whose version is newer than this program. */
export function refuseTooOld(clusterVersion: string | undefined): void {
  if (isTooOldFor(versions.server, clusterVersion))
    throw new StartupError(
      `invalid downgrade; server version is lower than determined cluster version (current-server-version ${versions.server}, determined-cluster-version ${clusterVersion}). Start the newer version again, or enable a downgrade with it first`,
    );
}

/** The same for a member that joins; a peer that does not tell is asked again by the leader later. */
async function refuseForeignVersion(url: string, config: StoreConfig): Promise<void> {
  const answer = await peerGet(`${url}/version`, config.peerTls).catch(() => '{}');
  const { etcdcluster } = JSON.parse(answer) as { etcdcluster?: string };
  if (isTooOldFor(versions.server, etcdcluster))
    throw new StartupError(
      `incompatible with current running cluster: it has version ${etcdcluster}, this program is ${versions.server}. Start a member of the cluster's version or newer`,
    );
}

/** One GET of a peer's HTTP side. */
export function peerGet(url: string, files: TlsFiles, timeoutMs = 3000): Promise<string> {
  return peerRequest(url, files, { method: 'GET', timeoutMs });
}

export function peerRequest(
  url: string,
  files: TlsFiles,
  options: {
    readonly method: string;
    readonly body?: string;
    readonly timeoutMs: number;
    readonly agent?: http.Agent;
  },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const secure = url.startsWith('https:');
    const request = (secure ? https : http).request(
      url,
      {
        method: options.method,
        timeout: options.timeoutMs,
        agent: options.agent ?? false,
        ...(secure ? clientTls(files) : {}),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(text.trim() || `HTTP status ${response.statusCode}`));
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer within ${options.timeoutMs} ms`)));
    request.on('error', reject);
    request.end(options.body);
  });
}

function clientTls(files: TlsFiles): https.RequestOptions {
  if (files.certFile !== '') return new TlsContext(files, 'peer-cert-file').clientOptions();
  return files.trustedCaFile === '' ? {} : { ca: fs.readFileSync(files.trustedCaFile) };
}
