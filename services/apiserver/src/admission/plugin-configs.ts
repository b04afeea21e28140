import type { FieldError } from '@pilothouse/apimachinery';
import { fieldError, FieldPath, isDns1123Label, isDns1123Subdomain } from '@pilothouse/apimachinery';
import type { LimitedResource, Toleration } from '@pilothouse/api/quota';
import { errorMessage } from '@pilothouse/base';
import path from 'node:path';
import type { Shape } from '../security/config-document.ts';
import { joinedFindings, readConfigDocument } from '../security/config-document.ts';
import type { LevelVersion } from './pod-security/namespace-policy.ts';
import { joinFindings } from './refusal.ts';
import { isLevel, isLevelVersion, levelProblem, versionProblem } from './pod-security/namespace-policy.ts';
import type { PodSecurityLevel } from './pod-security/finding.ts';
import { decodeYaml } from '@pilothouse/serializer';

/** Defaults of namespaces without labels, and what is never looked at. */
export interface PodSecurityConfig {
  readonly defaults: Readonly<Record<'enforce' | 'audit' | 'warn', LevelVersion>>;
  readonly exemptions: Readonly<Record<'usernames' | 'namespaces' | 'runtimeClasses', readonly string[]>>;
}

export interface EventLimit {
  readonly type: 'Server' | 'Namespace' | 'User' | 'SourceAndObject';
  /** Events a second, once `burst` is used up. */
  readonly qps: number;
  readonly burst: number;
  /** Buckets that are kept; 0: 4096. */
  readonly cacheSize: number;
}

/** Times in milliseconds; 0: not kept. */
export interface ImagePolicyConfig {
  readonly kubeconfig: string;
  readonly allowTtlMs: number;
  readonly denyTtlMs: number;
  readonly retryBackoffMs: number;
  readonly defaultAllow: boolean;
}

/** What --admission-control-config-file says, plugin by plugin. */
export interface PluginConfigs {
  readonly podSecurity?: PodSecurityConfig;
  readonly limitedResources?: readonly LimitedResource[];
  readonly eventLimits?: readonly EventLimit[];
  readonly tolerations?: {
    readonly default?: readonly Toleration[];
    readonly whitelist?: readonly Toleration[];
  };
  /** Node selectors by namespace; `clusterDefaultNodeSelector` for those without one. */
  readonly nodeSelectors?: Readonly<Record<string, string>>;
  readonly imagePolicy?: ImagePolicyConfig;
  /** Kubeconfig files with credentials for webhooks. */
  readonly mutatingWebhookKubeconfig?: string;
  readonly validatingWebhookKubeconfig?: string;
  /** Of pods without their own, in seconds (--default-not-ready-toleration-seconds, --default-unreachable-…); default: 300. */
  readonly notReadySeconds?: number;
  readonly unreachableSeconds?: number;
}

/** Upstream finds it later than the rest. */
class ConfigurationError extends Error {}

type Document = Readonly<Record<string, unknown>>;
type Reader = (text: string) => Partial<PluginConfigs>;

const webhookShape = { kubeConfigFile: 'string', staticManifestsDir: 'string' } as const;
const webhookGroup = 'apiserver.config.k8s.io';
const tolerationsShape: Shape = {
  list: {
    fields: {
      key: 'string',
      operator: 'string',
      value: 'string',
      effect: 'string',
      tolerationSeconds: 'number',
    },
  },
};

const readers: Readonly<Record<string, Reader>> = {
  PodSecurity: (text) => ({ podSecurity: podSecurityOf(text) }),
  ResourceQuota: (text) => ({ limitedResources: limitedResourcesOf(text) }),
  EventRateLimit: (text) => ({ eventLimits: eventLimitsOf(text) }),
  PodTolerationRestriction: (text) => {
    const document = readConfigDocument(
      text,
      'Configuration',
      ['v1alpha1'],
      { default: tolerationsShape, whitelist: tolerationsShape },
      'podtolerationrestriction.admission.k8s.io',
    );
    return { tolerations: document as PluginConfigs['tolerations'] & object };
  },
  PodNodeSelector: (text) => {
    const given = plain(text)['podNodeSelectorPluginConfig'];
    return { nodeSelectors: (given ?? {}) as Readonly<Record<string, string>> };
  },
  ImagePolicyWebhook: (text) => ({ imagePolicy: imagePolicyOf(text) }),
  MutatingAdmissionWebhook: (text) => ({ mutatingWebhookKubeconfig: webhookKubeconfigOf(text) }),
  ValidatingAdmissionWebhook: (text) => ({ validatingWebhookKubeconfig: webhookKubeconfigOf(text) }),
  MutatingAdmissionPolicy: policyConfigOf,
  ValidatingAdmissionPolicy: policyConfigOf,
};

/** Plugins that cannot do without. */
const needed: Readonly<Record<string, string>> = {
  EventRateLimit: 'limits: Invalid value: null: must not be empty',
  ImagePolicyWebhook: 'no config specified',
};

/** Plugins whose configuration may stand in the file itself, without AdmissionConfiguration around it. */
const bare: Readonly<Record<string, string>> = {
  ImagePolicyWebhook: 'imagePolicy',
  PodNodeSelector: 'podNodeSelectorPluginConfig',
};

/**
 * Reads an AdmissionConfiguration for the plugins that are on. `read` gives the text of another file. Throws an Error in upstream's
 * frame: what is wrong with which plugin's part.
 */
export function readPluginConfigs(
  file: { readonly path: string; readonly text: string } | undefined,
  enabled: readonly string[],
  read: (path: string) => string,
): PluginConfigs {
  const parts = file === undefined ? new Map<string, string>() : partsOf(file, read);
  const configs: PluginConfigs = {};
  for (const name of enabled) {
    const text = parts.get(name);
    try {
      if (text === undefined && needed[name] !== undefined) throw new Error(needed[name]);
      if (text !== undefined) Object.assign(configs, readers[name]?.(text));
    } catch (error) {
      const frame =
        error instanceof ConfigurationError
          ? 'failed to initialize admission plugin'
          : "couldn't init admission plugin";
      throw new Error(`${frame} "${name}": ${errorMessage(error)}`, { cause: error });
    }
  }
  return configs;
}

/** The texts of the parts, by plugin. */
function partsOf(
  file: { readonly path: string; readonly text: string },
  read: (path: string) => string,
): Map<string, string> {
  const document = plain(file.text);
  const inFile = Object.entries(bare).filter(([, member]) => document[member] !== undefined);
  if (document['kind'] === undefined && document['apiVersion'] === undefined && inFile.length > 0)
    return new Map(inFile.map(([name]) => [name, file.text]));
  const shape = {
    plugins: { list: { fields: { name: 'string', path: 'string', configuration: 'any' } } },
  } as const;
  const group = String(document['apiVersion'] ?? '').startsWith('apiserver.k8s.io/')
    ? 'apiserver.k8s.io'
    : webhookGroup;
  const versions = group === webhookGroup ? ['v1', 'v1alpha1'] : ['v1alpha1'];
  let configuration: Document;
  try {
    configuration = readConfigDocument(file.text, 'AdmissionConfiguration', versions, shape, group);
  } catch (error) {
    throw new Error(`failed to read plugin config: ${errorMessage(error)}`, { cause: error });
  }
  const parts = new Map<string, string>();
  const given = (configuration['plugins'] ?? []) as {
    name?: string;
    path?: string;
    configuration?: unknown;
  }[];
  for (const { name = '', path: other = '', configuration: nested } of given) {
    if (parts.has(name)) continue;
    if (nested !== undefined && nested !== null) parts.set(name, JSON.stringify(nested));
    else if (other !== '') parts.set(name, read(path.resolve(path.dirname(file.path), other)));
  }
  return parts;
}

function plain(text: string): Document {
  const { value } = decodeYaml(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Document) : {};
}

const modes = ['enforce', 'audit', 'warn'] as const;

function podSecurityOf(text: string): PodSecurityConfig {
  const modeFields = Object.fromEntries(
    modes.flatMap((mode) => [
      [mode, 'string'],
      [`${mode}-version`, 'string'],
    ]),
  );
  const names = { list: 'string' } as const;
  const document = readConfigDocument(
    text,
    'PodSecurityConfiguration',
    ['v1', 'v1beta1', 'v1alpha1'],
    {
      defaults: { fields: modeFields as Record<string, 'string'> },
      exemptions: { fields: { usernames: names, namespaces: names, runtimeClasses: names } },
    },
    'pod-security.admission.config.k8s.io',
  );
  const defaults = (document['defaults'] ?? {}) as Record<string, string>;
  const exemptions = (document['exemptions'] ?? {}) as Record<string, string[] | undefined>;
  const wrong: string[] = [];
  for (const mode of modes) {
    if (!isLevel(defaults[mode] || 'privileged')) wrong.push(`${mode}: ${levelProblem}`);
    if (!isLevelVersion(defaults[`${mode}-version`] || 'latest'))
      wrong.push(`${mode}-version: ${versionProblem}`);
  }
  if (wrong.length > 0)
    throw new ConfigurationError(`PodSecurity configuration error: ${joinFindings(wrong)}`);
  const problems: FieldError[] = [];
  const check = (member: string, problemOf: (name: string) => string): readonly string[] => {
    const given = exemptions[member] ?? [];
    given.forEach((name, index) => {
      const nameAt = new FieldPath('exemptions').child(member).index(index);
      const problem = problemOf(name);
      if (problem !== '') problems.push(fieldError.invalid(nameAt, name, problem));
      else if (given.indexOf(name) < index) problems.push(fieldError.duplicate(nameAt, name));
    });
    return given;
  };
  const namespaces = check('namespaces', (name) => isDns1123Label(name).join(', '));
  const runtimeClasses = check('runtimeClasses', (name) => isDns1123Subdomain(name).join(', '));
  const usernames = check('usernames', (name) => (name === '' ? 'username must not be empty' : ''));
  if (problems.length > 0) throw new Error(joinedFindings(problems));
  const of = (mode: string): LevelVersion => ({
    level: (defaults[mode] || 'privileged') as PodSecurityLevel,
    version: defaults[`${mode}-version`] || 'latest',
  });
  return {
    defaults: { enforce: of('enforce'), audit: of('audit'), warn: of('warn') },
    exemptions: { usernames, namespaces, runtimeClasses },
  };
}

function limitedResourcesOf(text: string): readonly LimitedResource[] {
  const texts = { list: 'string' } as const;
  const shape = {
    limitedResources: {
      list: {
        fields: {
          apiGroup: 'string',
          resource: 'string',
          matchContains: texts,
          matchScopes: { list: { fields: { scopeName: 'string', operator: 'string', values: texts } } },
        },
      },
    },
  } as const;
  const isOld = String(plain(text)['apiVersion'] ?? '').startsWith('resourcequota.admission.k8s.io/');
  const document = isOld
    ? readConfigDocument(
        text,
        'Configuration',
        ['v1beta1', 'v1alpha1'],
        shape,
        'resourcequota.admission.k8s.io',
      )
    : readConfigDocument(text, 'ResourceQuotaConfiguration', ['v1'], shape);
  const given = (document['limitedResources'] ?? []) as Partial<LimitedResource>[];
  const problems = given.flatMap(({ resource = '' }, index) =>
    resource === ''
      ? [fieldError.required(new FieldPath('limitedResources').index(index).child('resource'))]
      : [],
  );
  if (problems.length > 0) throw new Error(joinedFindings(problems));
  return given.map((each) => ({
    apiGroup: each.apiGroup ?? '',
    resource: each.resource ?? '',
    matchContains: each.matchContains ?? [],
    matchScopes: each.matchScopes ?? [],
  }));
}

const limitTypes: readonly string[] = ['Server', 'Namespace', 'User', 'SourceAndObject'];

function eventLimitsOf(text: string): readonly EventLimit[] {
  const document = readConfigDocument(
    text,
    'Configuration',
    ['v1alpha1'],
    { limits: { list: { fields: { type: 'string', qps: 'number', burst: 'number', cacheSize: 'number' } } } },
    'eventratelimit.admission.k8s.io',
  );
  const given = (document['limits'] ?? []) as Partial<EventLimit>[];
  const root = new FieldPath('limits');
  const problems: FieldError[] = [];
  if (given.length === 0)
    problems.push(fieldError.invalid(root, document['limits'] ?? null, 'must not be empty'));
  given.forEach(({ type = '', burst = 0, qps = 0, cacheSize = 0 }, index) => {
    const at = root.index(index);
    if (!limitTypes.includes(type))
      problems.push(fieldError.notSupported(at.child('type'), type, limitTypes));
    if (burst <= 0) problems.push(fieldError.invalid(at.child('burst'), burst, 'must be positive'));
    if (qps <= 0) problems.push(fieldError.invalid(at.child('qps'), qps, 'must be positive'));
    if (type !== 'Server' && cacheSize < 0)
      problems.push(fieldError.invalid(at.child('cacheSize'), cacheSize, 'must not be negative'));
  });
  if (problems.length > 0) throw new Error(joinedFindings(problems));
  return given.map((each) => ({ cacheSize: 0, ...each }) as EventLimit);
}

const second = 1000;
const halfHourMs = 30 * 60 * second;

/** This one document has neither kind nor version. Numbers are seconds, the backoff milliseconds; -1 turns off, 0 is the default. */
function imagePolicyOf(text: string): ImagePolicyConfig {
  const given = (plain(text)['imagePolicy'] ?? {}) as Record<string, unknown>;
  const time = (
    member: string,
    scaleMs: number,
    fallbackMs: number,
    maxMs: number,
    range: string,
  ): number => {
    const value = Number(given[member] ?? 0);
    if (value === -1) return 0;
    if (value === 0) return fallbackMs;
    const ms = value * scaleMs;
    if (!(ms > 0) || ms > maxMs)
      throw new Error(`valid value is between ${range}, got ${value}${scaleMs === 1 ? 'ms' : 's'}`);
    return ms;
  };
  const retryBackoffMs = time('retryBackoff', 1, 500, 5 * 60 * second, '1ns and 5m0s');
  const allowTtlMs = time('allowTTL', second, 5 * 60 * second, halfHourMs, '1s and 30m0s');
  const denyTtlMs = time('denyTTL', second, 30 * second, halfHourMs, '1s and 30m0s');
  return {
    kubeconfig: String(given['kubeConfigFile'] ?? ''),
    allowTtlMs,
    denyTtlMs,
    retryBackoffMs,
    defaultAllow: given['defaultAllow'] === true,
  };
}

const staticManifests =
  'staticManifestsDir: Forbidden: staticManifestsDir requires the ManifestBasedAdmissionControlConfig feature gate to be enabled';

function webhookKubeconfigOf(text: string): string {
  const document = readConfigDocument(text, 'WebhookAdmissionConfiguration', ['v1'], webhookShape);
  const file = String(document['kubeConfigFile'] ?? '');
  if (file !== '' && !path.isAbsolute(file))
    throw new Error(`kubeConfigFile: Invalid value: ${JSON.stringify(file)}: must be an absolute file path`);
  if ((document['staticManifestsDir'] ?? '') !== '') throw new Error(staticManifests);
  return file;
}

/** All that could be configured is an alpha feature that this server does not have. */
function policyConfigOf(text: string): Partial<PluginConfigs> {
  if ((plain(text)['staticManifestsDir'] ?? '') !== '') throw new Error(staticManifests);
  return {};
}
