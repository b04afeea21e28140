import { errorMessage } from '@pilothouse/base';
import { decodeYaml } from '@pilothouse/serializer';
import { EncryptionError } from './transformer.ts';

/** A key of an AES or secretbox provider, decoded. */
export interface NamedKey {
  readonly name: string;
  readonly key: Uint8Array;
}

export type ProviderConfig =
  | { readonly type: 'identity' }
  | { readonly type: 'aesgcm' | 'aescbc' | 'secretbox'; readonly keys: readonly NamedKey[] }
  | { readonly type: 'kms'; readonly name: string; readonly endpoint: string; readonly timeoutMs: number };

/** An EncryptionConfiguration (apiserver.config.k8s.io/v1), checked. */
export interface EncryptionConfig {
  readonly resources: readonly {
    /** `secrets`, `pandas.example.com`, `*.apps`, `*.`, `*.*`. */
    readonly resources: readonly string[];
    readonly providers: readonly ProviderConfig[];
  }[];
}

const keySizes: Readonly<Record<string, readonly number[]>> = {
  aesgcm: [16, 24, 32],
  aescbc: [16, 24, 32],
  secretbox: [32],
};
const providerTypes = ['kms', 'aesgcm', 'aescbc', 'secretbox', 'identity'] as const;

type Json = Readonly<Record<string, unknown>>;

/** Reads the file's text. Throws EncryptionError naming all that is wrong; secrets never appear in it. */
export function parseEncryptionConfig(text: string): EncryptionConfig {
  const problems: string[] = [];
  let root: unknown;
  try {
    root = decodeYaml(text).value;
  } catch (error) {
    throw new EncryptionError(`Cannot read the encryption configuration: ${errorMessage(error)}`);
  }
  if (!isObject(root) || root['kind'] !== 'EncryptionConfiguration') {
    throw new EncryptionError(
      'Invalid encryption configuration: want kind EncryptionConfiguration of apiserver.config.k8s.io/v1',
    );
  }
  if (root['apiVersion'] !== 'apiserver.config.k8s.io/v1') {
    throw new EncryptionError(
      `Invalid encryption configuration: no kind "EncryptionConfiguration" is registered for version "${String(root['apiVersion'])}"`,
    );
  }
  onlyFields(root, '', ['apiVersion', 'kind', 'resources'], problems);
  const kmsNames = new Set<string>();
  const resources = list(root['resources']).map((item, index) => {
    const path = `resources[${index}]`;
    const entry = isObject(item) ? item : {};
    onlyFields(entry, path, ['resources', 'providers'], problems);
    const names = list(entry['resources']).map(String);
    if (names.length === 0) {
      problems.push(`${path}.resources: Required value: at least one ${path}.resources is required`);
    }
    checkNames(names, `${path}.resources`, problems);
    const providers = list(entry['providers']);
    if (providers.length === 0) {
      problems.push(`${path}.providers: Required value: at least one ${path}.providers is required`);
    }
    return {
      resources: names,
      providers: providers.flatMap((provider, at) =>
        providerOf(provider, `${path}.providers[${at}]`, kmsNames, problems),
      ),
    };
  });
  if (resources.length === 0) {
    problems.push('resources: Required value: at least one resources is required');
  }
  checkMasked(resources, problems);
  if (problems.length > 0) {
    throw new EncryptionError(`Invalid encryption configuration: ${problems.join('; ')}`);
  }
  return { resources };
}

function providerOf(
  value: unknown,
  path: string,
  kmsNames: Set<string>,
  problems: string[],
): ProviderConfig[] {
  const provider = isObject(value) ? value : {};
  onlyFields(provider, path, providerTypes, problems);
  const given = providerTypes.filter((type) => provider[type] !== undefined && provider[type] !== null);
  const type = given[0];
  if (type === undefined) {
    problems.push(
      `${path}: Invalid value: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity`,
    );
    return [];
  }
  if (given.length > 1) {
    problems.push(
      `${path}: Invalid value: more than one provider specified in a single element, should split into different list elements`,
    );
  }
  const settings = isObject(provider[type]) ? provider[type] : {};
  if (type === 'identity') {
    onlyFields(settings, `${path}.identity`, [], problems);
    return [{ type }];
  }
  if (type === 'kms') return kmsOf(settings, `${path}.kms`, kmsNames, problems);
  onlyFields(settings, `${path}.${type}`, ['keys'], problems);
  return [{ type, keys: keysOf(settings, type, `${path}.${type}.keys`, problems) }];
}

function keysOf(settings: Json, type: string, path: string, problems: string[]): NamedKey[] {
  const keys = list(settings['keys']);
  if (keys.length === 0) problems.push(`${path}: Required value: at least one keys is required`);
  return keys.map((item, index) => {
    const entry = isObject(item) ? item : {};
    const at = `${path}[${index}]`;
    onlyFields(entry, at, ['name', 'secret'], problems);
    const name = text(entry['name']);
    const secret = text(entry['secret']);
    if (name === '') problems.push(`${at}.name: Required value: name is a mandatory field for a key`);
    if (secret === '') {
      problems.push(`${at}.secret: Required value: secret is a mandatory field for a key`);
      return { name, key: new Uint8Array(0) };
    }
    const compact = secret.replaceAll(/[\r\n]/g, '');
    const key = Buffer.from(compact, 'base64');
    const sizes = keySizes[type] ?? [];
    if (key.toString('base64') !== compact) {
      problems.push(`${at}.secret: Invalid value: "REDACTED": secrets must be base64 encoded`);
    } else if (!sizes.includes(key.length)) {
      problems.push(
        `${at}.secret: Invalid value: "REDACTED": secret is not of the expected length, got ${key.length}, expected one of [${sizes.join(' ')}]`,
      );
    }
    return { name, key: new Uint8Array(key) };
  });
}

function kmsOf(settings: Json, path: string, names: Set<string>, problems: string[]): ProviderConfig[] {
  onlyFields(settings, path, ['apiVersion', 'name', 'cachesize', 'endpoint', 'timeout'], problems);
  const name = text(settings['name']);
  const endpoint = text(settings['endpoint']);
  const version = text(settings['apiVersion']) || 'v1';
  if (version === 'v1') {
    problems.push(
      `${path}.apiVersion: Invalid value: "v1": KMS v1 is not supported: set apiVersion: v2 and use a plugin that speaks it`,
    );
  } else if (version !== 'v2') {
    problems.push(
      `${path}.apiVersion: Invalid value: "${version}": unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported`,
    );
  }
  if (name === '') problems.push(`${path}.name: Required value: name is a mandatory field for a provider`);
  if (name.includes(':')) {
    problems.push(
      `${path}.name: Invalid value: "${name}": invalid KMS provider name ${name}, must not contain ':'`,
    );
  }
  if (names.has(name)) {
    problems.push(
      `${path}.name: Invalid value: "${name}": duplicate KMS provider name ${name}, names must be unique`,
    );
  }
  names.add(name);
  if (settings['cachesize'] !== undefined) {
    problems.push(
      `${path}.cachesize: Invalid value: ${String(settings['cachesize'])}: cachesize is not supported in v2`,
    );
  }
  const timeoutMs = settings['timeout'] === undefined ? 3000 : durationMs(text(settings['timeout']));
  if (timeoutMs === undefined || timeoutMs <= 0) {
    problems.push(
      `${path}.timeout: Invalid value: "${text(settings['timeout'])}": timeout should be a positive value`,
    );
  }
  const scheme = /^([a-zA-Z][-+.a-zA-Z0-9]*):/.exec(endpoint)?.[1];
  if (endpoint === '') {
    problems.push(`${path}.endpoint: Invalid value: "": endpoint is a mandatory field for a kms`);
  } else if (scheme !== 'unix') {
    problems.push(
      `${path}.endpoint: Invalid value: "${endpoint}": unsupported scheme "${scheme ?? ''}" for KMS provider, only unix is supported`,
    );
  } else if (!/^unix:\/\/\/./.test(endpoint)) {
    problems.push(`${path}.endpoint: Invalid value: "${endpoint}": want unix:///path/of/the/plugin.sock`);
  }
  return [{ type: 'kms', name, endpoint, timeoutMs: timeoutMs ?? 0 }];
}

function checkNames(names: readonly string[], path: string, problems: string[]): void {
  for (const [index, name] of names.entries()) {
    const at = `${path}[${index}]: Invalid value: "${name}"`;
    const { group, resource } = parseGroupResource(name);
    if (name.toLowerCase() !== name) {
      problems.push(`${at}: resource name should not contain capital letters`);
    } else if (name === '*') {
      problems.push(
        `${at}: use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources`,
      );
    } else if (['apiserveripinfo', 'serviceipallocations', 'servicenodeportallocations'].includes(name)) {
      problems.push(`${at}: resources which do not have REST API/s cannot be encrypted`);
    } else if (group === 'events.k8s.io') {
      problems.push(
        `${at}: '*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file`,
      );
    } else if (group === 'extensions') {
      problems.push(`${at}: 'extensions' group has been removed and cannot be used for encryption`);
    } else if (group === '*' && resource !== '*') {
      problems.push(`${at}: encrypting the same resource across groups is not supported`);
    }
  }
  const parsed = names.map(parseGroupResource);
  const hasTwin = (a: number, of: (one: number, other: number) => boolean): boolean =>
    names.some((_, b) => a !== b && of(a, b));
  const same = (a: number, b: number): boolean => names[a] === names[b];
  const covers = (a: number, b: number): boolean =>
    !same(a, b) &&
    (names[a] === '*.*' || (parsed[a]?.group === parsed[b]?.group && parsed[a]?.resource === '*'));
  const list = `[${names.map((name) => `"${name}"`).join(',')}]`;
  if (names.some((_, a) => hasTwin(a, same))) {
    problems.push(`${path}: Invalid value: ${list}: the same resource cannot be specified multiple times`);
  }
  if (names.some((_, a) => hasTwin(a, covers))) {
    problems.push(
      `${path}: Invalid value: ${list}: using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked`,
    );
  }
}

/** A rule behind a wildcard that covers it would never be used. */
function checkMasked(rules: EncryptionConfig['resources'], problems: string[]): void {
  const seen = new Set<string>();
  for (const rule of rules) {
    for (const name of rule.resources) {
      for (const wide of [`*.${parseGroupResource(name).group}`, '*.*']) {
        if (seen.has(wide)) problems.push(`resource "${name}" is masked by earlier rule "${wide}"`);
      }
    }
    for (const name of rule.resources) seen.add(name);
  }
}

/** `pods` is of the core group, `pandas.bears.example` of `bears.example`. */
export function parseGroupResource(name: string): { readonly group: string; readonly resource: string } {
  const dot = name.indexOf('.');
  return dot < 0
    ? { group: '', resource: name }
    : { group: name.slice(dot + 1), resource: name.slice(0, dot) };
}

function onlyFields(value: Json, path: string, known: readonly string[], problems: string[]): void {
  for (const field of Object.keys(value)) {
    if (!known.includes(field)) {
      problems.push(`unknown field "${path === '' ? field : `${path}.${field}`}"`);
    }
  }
}

function durationMs(value: string): number | undefined {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(value)) return undefined;
  let total = 0;
  for (const match of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(match[1]) * (units[match[2] as string] as number);
  }
  return total;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
