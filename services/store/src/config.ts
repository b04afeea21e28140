import type { DiscoveryOptions } from './io/discovery.ts';
import type { LogRotation } from './io/rotating-file.ts';
import type { SrvDiscovery } from './io/srv-discovery.ts';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import { errorMessage } from '@pilothouse/base';
import {
  FlagError,
  otlpEndpoint,
  parseFlags,
  type FlagValue,
  type OtlpTracerOptions,
} from '@pilothouse/host';
import { parseAuthToken, type JwtOptions } from './io/rpc/auth-tokens.ts';
import type { ListenUrl } from './io/rpc/listener.ts';
import { storeFlags } from './store-flags.ts';
import {
  checkUnsupported,
  cipherList,
  currentName,
  logRotation,
  parseFeatures,
  replaceOldNames,
  srvDiscovery,
  tlsVersion,
} from './flag-values.ts';

/** One group of TLS flags, for clients or for peers; an empty text where a file is not given. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly trustedCaFile: string;
  readonly clientCertAuth: boolean;
  /** What this member shows when it is the client; both or none. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly crlFile: string;
  /** Common names, or else host names, of which a client's certificate must have one; empty: all. */
  readonly allowedCns: readonly string[];
  readonly allowedHostnames: readonly string[];
  /** Make a certificate when none is given. */
  readonly auto: boolean;
  /** The certificate was made here, so that others cannot check it. */
  readonly isSelfSigned: boolean;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** In OpenSSL's words; empty: the defaults. */
  readonly ciphers: string;
}

/** A member's configuration, checked. */
export interface StoreConfig {
  readonly name: string;
  readonly dataDir: string;
  readonly walDir: string | undefined;
  readonly listenClientUrls: readonly ListenUrl[];
  readonly listenClientHttpUrls: readonly ListenUrl[];
  readonly listenPeerUrls: readonly ListenUrl[];
  readonly listenMetricsUrls: readonly ListenUrl[];
  readonly advertiseClientUrls: readonly string[];
  readonly initialAdvertisePeerUrls: readonly string[];
  /** Peer URLs by member name. */
  readonly initialCluster: ReadonlyMap<string, readonly string[]>;
  readonly initialClusterToken: string;
  /** Set: the first members are not listed, but find each other. */
  readonly discovery: DiscoveryOptions | undefined;
  readonly srv: SrvDiscovery | undefined;
  readonly initialClusterState: 'new' | 'existing';
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly snapshotCount: number;
  readonly snapshotCatchUpEntries: number;
  /** 0: no quota. */
  readonly quotaBytes: number;
  readonly maxTxnOps: number;
  readonly maxRequestBytes: number;
  readonly maxConcurrentStreams: number;
  readonly maxLearners: number;
  readonly strictReconfigCheck: boolean;
  readonly backendBatchIntervalMs: number;
  readonly backendBatchLimit: number;
  readonly watchProgressNotifyIntervalMs: number;
  readonly warningUnaryRequestMs: number;
  readonly compactionBatchLimit: number;
  readonly compactionSleepMs: number;
  readonly autoCompactionMode: 'periodic' | 'revision';
  /** Milliseconds (periodic) or revisions; 0 turns it off. */
  readonly autoCompactionRetention: number;
  readonly keepAliveIntervalMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly clientTls: TlsFiles;
  readonly peerTls: TlsFiles;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'panic' | 'fatal';
  readonly enableGrpcGateway: boolean;
  readonly cors: readonly string[];
  readonly forceNewCluster: boolean;
  readonly bcryptCost: number;
  readonly authTokenTtlSeconds: number;
  /** Signed tokens; undefined: simple ones. */
  readonly jwt: JwtOptions | undefined;
  /** Absent: nothing is traced. */
  readonly tracing?: TracingConfig;
  readonly selfSignedCertValidityYears: number;
  /** Host names under which plain HTTP requests may come; `*` for all. */
  readonly hostWhitelist: readonly string[];
  /** 0: never. */
  readonly corruptCheckMs: number;
  readonly compactHashCheckMs: number;
  /** With the gate LeaseCheckpoint: how often the rest of a long lease is written down. */
  readonly leaseCheckpointMs: number;
  readonly features: Readonly<Record<StoreFeature, boolean>>;
  readonly logOutputs: readonly string[];
  readonly logRotation: LogRotation | undefined;
}

/** Where spans go, see {@link OtlpTracerOptions}. */
export type TracingConfig = OtlpTracerOptions;

/** What `--feature-gates` can turn on here. */
export type StoreFeature =
  'InitialCorruptCheck' | 'CompactHashCheck' | 'LearnerAutoPromotion' | 'LeaseCheckpoint';

export interface ParsedConfig {
  readonly kind: 'config';
  readonly config: StoreConfig;
  readonly warnings: readonly string[];
  /** The flags that were given, for the log. */
  readonly given: Readonly<Record<string, FlagValue>>;
}

/** Reads flags, `ETCD_*` variables or the configuration file. Throws FlagError with a sentence that names the flag. */
export function parseConfig(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedConfig | { kind: 'version' } | { kind: 'help' } {
  const [command = ''] = argv;
  if (command === 'grpc-proxy')
    throw new FlagError(
      '"grpc-proxy" is not part of this program: give clients the addresses of all members, or put "etcd gateway start" in front of them',
    );
  const environment: Record<string, string> = {};
  const warnings: string[] = [];
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('ETCD_') || value === undefined) continue;
    const flag = currentName(variable.slice(5).toLowerCase().replaceAll('_', '-'));
    if (Object.hasOwn(storeFlags, flag)) environment[flag] = value;
    else if (!['ETCD_UNSUPPORTED_ARCH', 'ETCD_VERIFY', 'ETCD_CONFIG_FILE'].includes(variable))
      warnings.push(`unrecognized environment variable ${variable}`);
  }
  const [current, renamed] = replaceOldNames(argv);
  warnings.push(...renamed);
  let parsed = parseFlags(storeFlags, current, environment);
  if (parsed.values['version'] === true) return { kind: 'version' };
  if (parsed.values['help'] === true || parsed.values['h'] === true) return { kind: 'help' };
  const file = text(parsed.values['config-file']);
  if (file !== '') parsed = parseFlags(storeFlags, fileArguments(file, warnings));
  else if (parsed.positional.length > 0)
    throw new FlagError(`Unexpected argument "${parsed.positional[0] as string}"`);
  const v2 = text(parsed.values['v2-deprecation']);
  if (parsed.given.has('v2-deprecation')) {
    if (!['write-only', 'write-only-drop-data', 'gone', 'not-yet'].includes(v2) || v2 === 'not-yet') {
      throw new FlagError(`invalid value "${v2}" for flag -v2-deprecation: invalid value "${v2}"`);
    }
    warnings.push(
      '--v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user input',
    );
  }
  if (parsed.given.has('max-snapshots'))
    warnings.push('--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8');
  for (const name of parsed.given) {
    // Values that ask for what happens anyway need no warning.
    const spec = storeFlags[name];
    if (spec?.ignored && String(parsed.values[name]) !== String(spec.default) && !quiet.has(name)) {
      warnings.push(`flag --${name} is known but has no effect`);
    }
  }
  checkUnsupported(parsed.values, parsed.given);
  const features = parseFeatures(text(parsed.values['feature-gates']), parsed.values);
  const given: Record<string, FlagValue> = {};
  for (const name of parsed.given) given[name] = parsed.values[name];
  return { kind: 'config', config: toConfig(parsed.values, parsed.given, features), warnings, given };
}

const quiet = new Set([
  'logger',
  'log-outputs',
  'log-format',
  'max-snapshots',
  'max-wals',
  'feature-gates',
  'pre-vote',
  'metrics',
]);

const text = (value: FlagValue): string => (typeof value === 'string' ? value : '');
const list = (value: FlagValue): string[] =>
  text(value)
    .split(',')
    .filter((part) => part !== '');

/** A configuration file as command-line arguments; durations in it are whole nanoseconds. */
function fileArguments(file: string, warnings: string[]): string[] {
  let content: unknown;
  try {
    content = parseYaml(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    throw new FlagError(`Cannot read --config-file "${file}": ${(error as Error).message}`);
  }
  if (typeof content !== 'object' || content === null)
    throw new FlagError(`Cannot read --config-file "${file}": want a map of flag names`);
  const result: string[] = [];
  const add = (key: string, value: unknown): void => {
    if (value === null || value === undefined) return;
    const spec = storeFlags[key];
    if (spec === undefined) {
      warnings.push(`unrecognized key "${key}" in --config-file`);
      return;
    }
    const rendered =
      spec.type === 'duration' && typeof value === 'number'
        ? `${value}ns`
        : Array.isArray(value)
          ? value.join(',')
          : String(value as string | number | boolean);
    result.push(`--${key}=${rendered}`);
  };
  for (const [key, value] of Object.entries(content)) {
    if (key === 'client-transport-security' || key === 'peer-transport-security') {
      const prefix = key.startsWith('peer') ? 'peer-' : '';
      for (const [inner, setting] of Object.entries((value ?? {}) as Record<string, unknown>))
        add(securityKey(prefix, inner), setting);
    } else add(currentName(key), value);
  }
  return result;
}

/** The flag of a key in one of the file's transport-security sections. */
function securityKey(prefix: string, key: string): string {
  if (key === 'allowed-cn' || key === 'allowed-hostname') return `${prefix || 'client-'}cert-${key}`;
  return key === 'crl-file' ? `${prefix || 'client-'}crl-file` : prefix + key;
}

function parseUrl(flag: string, value: string, allowUnix = true): ListenUrl {
  const unix = /^(unixs?):\/\/(.+)$/.exec(value);
  if (unix && allowUnix) {
    return { text: value, secure: unix[1] === 'unixs', host: '', port: 0, socketPath: unix[2] as string };
  }
  const match = /^(https?):\/\/(\[[^\]]+\]|[^:/]*):(\d+)\/?$/.exec(value);
  if (!match)
    throw new FlagError(`Invalid URL "${value}" for --${flag}: want http://host:port or https://host:port`);
  const host = (match[2] as string).replace(/^\[|\]$/g, '');
  if (flag.startsWith('listen') && host !== '' && host !== 'localhost' && net.isIP(host) === 0) {
    throw new FlagError(`Invalid URL "${value}" for --${flag}: expected IP in URL for binding (${value})`);
  }
  return { text: value, secure: match[1] === 'https', host, port: Number(match[3]), socketPath: undefined };
}

function toConfig(
  values: Readonly<Record<string, FlagValue>>,
  given: ReadonlySet<string>,
  features: Readonly<Record<StoreFeature, boolean>>,
): StoreConfig {
  const name = text(values['name']);
  const urls = (flag: string): ListenUrl[] => list(values[flag]).map((value) => parseUrl(flag, value));
  const integer = (flag: string): number => values[flag] as number;
  const heartbeatMs = integer('heartbeat-interval');
  const electionMs = integer('election-timeout');
  if (heartbeatMs <= 0)
    throw new FlagError(
      `Invalid value "${heartbeatMs}" for --heartbeat-interval: must be >0 (set to ${heartbeatMs}ms)`,
    );
  if (electionMs <= 0)
    throw new FlagError(
      `Invalid value "${electionMs}" for --election-timeout: must be >0 (set to ${electionMs}ms)`,
    );
  if (5 * heartbeatMs > electionMs) {
    throw new FlagError(
      `--election-timeout[${electionMs}ms] should be at least as 5 times as --heartbeat-interval[${heartbeatMs}ms]`,
    );
  }
  if (electionMs > 50_000)
    throw new FlagError(
      `--election-timeout[${electionMs}ms] is too long, and should be set less than 50000ms`,
    );
  const state = text(values['initial-cluster-state']);
  if (state !== 'new' && state !== 'existing')
    throw new FlagError(`Invalid value "${state}" for --initial-cluster-state: want new or existing`);
  const mode = text(values['auto-compaction-mode']);
  if (mode !== 'periodic' && mode !== 'revision')
    throw new FlagError(`Invalid value "${mode}" for --auto-compaction-mode: want periodic or revision`);
  const level = text(values['log-level']);
  if (!['debug', 'info', 'warn', 'error', 'panic', 'fatal'].includes(level)) {
    throw new FlagError(
      `Invalid value "${level}" for --log-level: want debug, info, warn, error, panic or fatal`,
    );
  }
  if (given.has('listen-client-urls') && !given.has('advertise-client-urls')) {
    throw new FlagError('--advertise-client-urls is required when --listen-client-urls is set explicitly');
  }
  const advertisePeer = list(values['initial-advertise-peer-urls']);
  const initialCluster = new Map<string, string[]>();
  const clusterText =
    text(values['initial-cluster']) || advertisePeer.map((url) => `${name}=${url}`).join(',');
  for (const pair of clusterText.split(',').filter((part) => part !== '')) {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw new FlagError(`Invalid value "${pair}" for --initial-cluster: want name=url`);
    const member = pair.slice(0, equals).trim();
    const url = pair.slice(equals + 1).trim();
    parseUrl('initial-cluster', url);
    initialCluster.set(member, [...(initialCluster.get(member) ?? []), url]);
  }
  const discovery = discoveryOptions(values);
  if (discovery !== undefined && given.has('initial-cluster') && text(values['initial-cluster']) !== '')
    throw new FlagError(
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster" or "discovery-token"',
    );
  const quota = integer('quota-backend-bytes');
  const tlsFiles = (prefix: string): TlsFiles => ({
    certFile: text(values[`${prefix}cert-file`]),
    keyFile: text(values[`${prefix}key-file`]),
    trustedCaFile: text(values[`${prefix}trusted-ca-file`]),
    clientCertAuth: values[`${prefix}client-cert-auth`] === true,
    clientCertFile: text(values[`${prefix}client-cert-file`]),
    clientKeyFile: text(values[`${prefix}client-key-file`]),
    crlFile: text(values[prefix === '' ? 'client-crl-file' : 'peer-crl-file']),
    allowedCns: list(values[prefix === '' ? 'client-cert-allowed-cn' : 'peer-cert-allowed-cn']),
    allowedHostnames: list(
      values[prefix === '' ? 'client-cert-allowed-hostname' : 'peer-cert-allowed-hostname'],
    ),
    auto: values[`${prefix}auto-tls`] === true,
    isSelfSigned: false,
    minVersion: tlsVersion('tls-min-version', text(values['tls-min-version'])) ?? 'TLSv1.2',
    maxVersion: tlsVersion('tls-max-version', text(values['tls-max-version'])),
    ciphers: cipherList(list(values['cipher-suites'])),
  });
  const config: StoreConfig = {
    name,
    dataDir: path.resolve(text(values['data-dir']) || `${name}.etcd`),
    walDir: text(values['wal-dir']) === '' ? undefined : path.resolve(text(values['wal-dir'])),
    listenClientUrls: urls('listen-client-urls'),
    listenClientHttpUrls: urls('listen-client-http-urls'),
    listenPeerUrls: list(values['listen-peer-urls']).map((value) => parseUrl('listen-peer-urls', value)),
    listenMetricsUrls: urls('listen-metrics-urls'),
    advertiseClientUrls: list(values['advertise-client-urls']),
    initialAdvertisePeerUrls: advertisePeer,
    initialCluster,
    initialClusterToken: discovery?.token ?? text(values['initial-cluster-token']),
    discovery,
    srv: srvDiscovery(values, given.has('initial-cluster') && text(values['initial-cluster']) !== ''),
    initialClusterState: state,
    heartbeatMs,
    electionMs,
    snapshotCount: integer('snapshot-count'),
    snapshotCatchUpEntries: integer('snapshot-catchup-entries'),
    quotaBytes: quota === 0 ? 2 * 1024 ** 3 : Math.max(0, quota),
    maxTxnOps: integer('max-txn-ops'),
    maxRequestBytes: integer('max-request-bytes'),
    maxConcurrentStreams: integer('max-concurrent-streams'),
    maxLearners: integer('max-learners'),
    strictReconfigCheck: values['strict-reconfig-check'] === true,
    backendBatchIntervalMs: integer('backend-batch-interval') || 100,
    backendBatchLimit: integer('backend-batch-limit') || 10_000,
    watchProgressNotifyIntervalMs: Math.max(100, integer('watch-progress-notify-interval')),
    warningUnaryRequestMs: integer('warning-unary-request-duration'),
    compactionBatchLimit: Math.max(1, integer('compaction-batch-limit')),
    compactionSleepMs: integer('compaction-sleep-interval'),
    autoCompactionMode: mode,
    autoCompactionRetention: retention(mode, text(values['auto-compaction-retention'])),
    keepAliveIntervalMs: integer('grpc-keepalive-interval'),
    keepAliveTimeoutMs: integer('grpc-keepalive-timeout'),
    clientTls: tlsFiles(''),
    peerTls: tlsFiles('peer-'),
    logLevel: level as StoreConfig['logLevel'],
    enableGrpcGateway: values['enable-grpc-gateway'] === true,
    cors: list(values['cors']),
    forceNewCluster: values['force-new-cluster'] === true,
    bcryptCost: integer('bcrypt-cost'),
    authTokenTtlSeconds: integer('auth-token-ttl'),
    jwt: parseAuthToken(text(values['auth-token'])),
    selfSignedCertValidityYears: Math.max(1, integer('self-signed-cert-validity')),
    hostWhitelist: list(values['host-whitelist']),
    corruptCheckMs: integer('corrupt-check-time'),
    compactHashCheckMs: integer('compact-hash-check-time'),
    leaseCheckpointMs: 300_000,
    ...(values['enable-distributed-tracing'] === true ? { tracing: tracingOf(values) } : {}),
    features,
    logOutputs: list(values['log-outputs']),
    logRotation: logRotation(values, list(values['log-outputs'])),
  };
  const secureListeners = [...config.listenClientUrls, ...config.listenClientHttpUrls].some(
    ({ secure }) => secure,
  );
  const lacks = ({ auto, certFile, keyFile }: TlsFiles): boolean =>
    certFile === '' || keyFile === '' ? !(auto && certFile === '' && keyFile === '') : false;
  if (secureListeners && lacks(config.clientTls)) {
    throw new FlagError(
      'TLS key/cert (--cert-file, --key-file) must be provided for client url with HTTPS scheme',
    );
  }
  if (config.listenMetricsUrls.some(({ secure }) => secure) && lacks(config.clientTls)) {
    throw new FlagError(
      'client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url',
    );
  }
  if (config.listenPeerUrls.some(({ secure }) => secure) && lacks(config.peerTls)) {
    throw new FlagError(
      'TLS key/cert (--peer-cert-file, --peer-key-file) must be provided for peer url with HTTPS scheme',
    );
  }
  return config;
}

function discoveryOptions(values: Readonly<Record<string, FlagValue>>): DiscoveryOptions | undefined {
  const token = text(values['discovery-token']);
  const endpoints = list(values['discovery-endpoints']);
  if (token === '' && endpoints.length === 0) return undefined;
  if (token === '' || endpoints.length === 0)
    throw new FlagError('--discovery-endpoints and --discovery-token must be set together');
  if (token.includes('/'))
    throw new FlagError(`Invalid value "${token}" for --discovery-token: want no slash`);
  const [user = '', password] = text(values['discovery-user']).split(/:(.*)/s);
  const isSecure = text(values['discovery-cert']) !== '' || text(values['discovery-cacert']) !== '';
  return {
    token,
    endpoints: endpoints.map((each) =>
      (/^https?:/.test(each) ? each : `${isSecure ? 'https' : 'http'}://${each}`).replace(/\/+$/, ''),
    ),
    requestTimeoutMs: values['discovery-request-timeout'] as number,
    caFile: text(values['discovery-cacert']),
    certFile: text(values['discovery-cert']),
    keyFile: text(values['discovery-key']),
    insecureSkipVerify: values['discovery-insecure-skip-tls-verify'] === true,
    user,
    password: password ?? text(values['discovery-password']),
  };
}

function tracingOf(values: Readonly<Record<string, FlagValue>>): TracingConfig {
  const rate = values['distributed-tracing-sampling-rate'] as number;
  if (rate < 0 || rate > 1_000_000)
    throw new FlagError(
      `Invalid value ${rate} for --distributed-tracing-sampling-rate: want 0 to 1000000, of a million requests`,
    );
  try {
    return {
      endpoint: otlpEndpoint(text(values['distributed-tracing-address'])),
      samplingRatePerMillion: rate,
      serviceName: text(values['distributed-tracing-service-name']),
      instanceId: text(values['distributed-tracing-instance-id']) || text(values['name']),
    };
  } catch (error) {
    throw new FlagError(`Invalid value for --distributed-tracing-address: ${errorMessage(error)}`);
  }
}

function retention(mode: string, value: string): number {
  if (value === '' || value === '0') return 0;
  if (/^\d+$/.test(value)) return Number(value) * (mode === 'periodic' ? 3_600_000 : 1);
  if (mode === 'revision')
    throw new FlagError(
      `Invalid value "${value}" for --auto-compaction-retention: want a number of revisions`,
    );
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  let total = 0;
  for (const [, amount, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(amount) * (units[unit as string] as number);
  if (total === 0)
    throw new FlagError(
      `Invalid value "${value}" for --auto-compaction-retention: want a duration such as 30m`,
    );
  return total;
}
