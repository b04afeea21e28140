import { FlagError, type FlagValue } from '@pilothouse/host';
import type { StoreFeature } from './config.ts';
import type { LogRotation } from './io/rotating-file.ts';
import type { SrvDiscovery } from './io/srv-discovery.ts';
import { storeFlags } from './store-flags.ts';

/** A flag by the name that it has now: etcd 3.5 called several of them experimental. */
export function currentName(flag: string): string {
  const current = flag.replace(/^experimental-/, '');
  const renamed = { 'enable-lease-checkpoint': 'lease-checkpoint' }[current] ?? current;
  return flag !== current && Object.hasOwn(storeFlags, renamed) ? renamed : flag;
}

/** The arguments with old names replaced, and a warning for each. */
export function replaceOldNames(argv: readonly string[]): [string[], string[]] {
  const warnings: string[] = [];
  const current = argv.map((argument) => {
    const match = /^(--?)(experimental-[a-z-]+)(.*)$/.exec(argument);
    if (match === null) return argument;
    const name = currentName(match[2] as string);
    if (name === match[2]) return argument;
    warnings.push(`--${match[2]} is deprecated; use --${name}`);
    return `${match[1]}${name}${match[3]}`;
  });
  return [current, warnings];
}

/** Flags that change what a member is; to ignore them would start something else than was asked for. */
const unsupported: Readonly<Record<string, string>> = {
  discovery:
    'use --discovery-token and --discovery-endpoints, --discovery-srv, or list all first members in --initial-cluster',
};

/** Throws FlagError for a flag that asks for what this server cannot do. */
export function checkUnsupported(
  values: Readonly<Record<string, FlagValue>>,
  given: ReadonlySet<string>,
): void {
  for (const [name, remedy] of Object.entries(unsupported)) {
    const value = values[name];
    if (given.has(name) && value !== '' && value !== false)
      throw new FlagError(`--${name} is not supported: ${remedy}`);
  }
}

/** What `--log-rotation-config-json` says, with `--enable-log-rotation`. Throws FlagError. */
export function logRotation(
  values: Readonly<Record<string, FlagValue>>,
  outputs: readonly string[],
): LogRotation | undefined {
  if (values['enable-log-rotation'] !== true) return undefined;
  if (outputs.length !== 1 || ['default', 'stderr', 'stdout'].includes(outputs[0] as string))
    throw new FlagError('--log-outputs requires a single file path when --enable-log-rotation is set');
  const flag = '--log-rotation-config-json';
  let given: Record<string, unknown>;
  try {
    given = JSON.parse(String(values['log-rotation-config-json'])) as Record<string, unknown>;
  } catch (error) {
    throw new FlagError(`improperly formatted log rotation config in ${flag}: ${(error as Error).message}`);
  }
  const number = (key: string, fallback: number): number => {
    const value = given[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
      throw new FlagError(`invalid log rotation config in ${flag}: ${key}: want a whole number, 0 or more`);
    return value;
  };
  const flagOf = (key: string): boolean => {
    const value = given[key] ?? false;
    if (typeof value !== 'boolean')
      throw new FlagError(`invalid log rotation config in ${flag}: ${key}: want true or false`);
    return value;
  };
  return {
    // 0 is the default there too.
    bytesMax: (number('maxsize', 100) || 100) * 1024 * 1024,
    ageMaxMs: number('maxage', 0) * 24 * 3_600_000,
    backupsMax: number('maxbackups', 0),
    isLocalTime: flagOf('localtime'),
    isCompressed: flagOf('compress'),
  };
}

/** Where DNS has the first members. Throws FlagError where the flags contradict each other. */
export function srvDiscovery(
  values: Readonly<Record<string, FlagValue>>,
  isListed: boolean,
): SrvDiscovery | undefined {
  const domain = String(values['discovery-srv']);
  if (domain === '') return undefined;
  if (isListed || values['discovery-token'] !== '')
    throw new FlagError(
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-token" or "discovery-srv"',
    );
  return { domain, suffix: String(values['discovery-srv-name']) };
}

const features: readonly StoreFeature[] = [
  'InitialCorruptCheck',
  'CompactHashCheck',
  'LearnerAutoPromotion',
  'LeaseCheckpoint',
];
/** Of etcd; what they ask for is always so here, or means nothing here. */
const settled = new Set([
  'AllAlpha',
  'AllBeta',
  'FastLeaseKeepAlive',
  'PriorityRequest',
  'SetMemberLocalAddr',
  'StopGRPCServiceOnDefrag',
  'TxnModeWriteWithSharedBuffer',
  'DistributedTracing',
]);

/** The gates. Throws FlagError. */
export function parseFeatures(
  text: string,
  values: Readonly<Record<string, FlagValue>>,
): Readonly<Record<StoreFeature, boolean>> {
  const on = {
    InitialCorruptCheck: values['initial-corrupt-check'] === true,
    CompactHashCheck: false,
    LearnerAutoPromotion: false,
    LeaseCheckpoint: values['lease-checkpoint'] === true,
  };
  // Checkpoints are always kept on the disk.
  let isPersistAsked = false;
  for (const pair of text.split(',').filter((part) => part !== '')) {
    const [name = '', value = ''] = pair.split('=').map((part) => part.trim());
    if (value !== 'true' && value !== 'false')
      throw new FlagError(`Invalid value "${pair}" for --feature-gates: want name=true or name=false`);
    if (features.includes(name as StoreFeature)) on[name as StoreFeature] = value === 'true';
    else if (name === 'LeaseCheckpointPersist') isPersistAsked = value === 'true';
    else if (!settled.has(name)) throw new FlagError(`unrecognized feature gate: ${name}`);
  }
  if (isPersistAsked && !on.LeaseCheckpoint) {
    throw new FlagError(
      'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint',
    );
  }
  return on;
}

/** Node's name of a TLS version; undefined for an empty text. Throws FlagError. */
export function tlsVersion(flag: string, text: string): 'TLSv1.2' | 'TLSv1.3' | undefined {
  if (text === '') return undefined;
  if (text === 'TLS1.2' || text === 'TLS1.3') return `TLSv${text.slice(3)}` as 'TLSv1.2' | 'TLSv1.3';
  throw new FlagError(`Invalid value "${text}" for --${flag}: unexpected TLS version, want TLS1.2 or TLS1.3`);
}

/** Go's names of cipher suites that OpenSSL has too. */
const suites: Readonly<Record<string, string>> = {
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_AES_128_CBC_SHA256: 'AES128-SHA256',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
};
const always = new Set(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']);

/** Go's cipher names as an OpenSSL list; those of TLS 1.3 are always on. Throws FlagError. */
export function cipherList(names: readonly string[]): string {
  const known: string[] = [];
  for (const name of names) {
    const suite = suites[name];
    if (suite !== undefined) known.push(suite);
    else if (!always.has(name)) throw new FlagError(`unexpected TLS cipher suite "${name}"`);
  }
  return known.length === 0 ? '' : [...always, ...known].join(':');
}
