import { errorMessage } from '@pilothouse/base';
import { decodeYaml } from '@pilothouse/serializer';
import type { UserInfo } from '../authentication/interface.ts';
import type { RequestInfo } from '../request/request-info.ts';

export const auditLevels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type AuditLevel = (typeof auditLevels)[number];
export const auditStages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type AuditStage = (typeof auditStages)[number];

/** What is written of one request. */
export interface AuditDecision {
  readonly level: AuditLevel;
  readonly omitStages: ReadonlySet<AuditStage>;
  readonly omitManagedFields: boolean;
}

/** A policy that cannot be used; the message names all that is wrong. */
export class AuditPolicyError extends Error {
  override readonly name = 'AuditPolicyError';
}

interface GroupResources {
  readonly group: string;
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
}

interface Rule {
  readonly users: ReadonlySet<string>;
  readonly userGroups: ReadonlySet<string>;
  readonly verbs: ReadonlySet<string>;
  readonly namespaces: ReadonlySet<string>;
  readonly resources: readonly GroupResources[];
  readonly nonResourceUrls: readonly string[];
  readonly decision: AuditDecision;
}

type Json = Readonly<Record<string, unknown>>;

/** An audit.k8s.io/v1 Policy: the first rule that fits decides, without one nothing is written. */
export class AuditPolicy {
  readonly #rules: readonly Rule[];
  readonly #otherwise: AuditDecision;

  private constructor(rules: readonly Rule[], otherwise: AuditDecision) {
    this.#rules = rules;
    this.#otherwise = otherwise;
  }

  /** Everything at one level: what a server without a policy file does. */
  static always(level: AuditLevel, omitStages: readonly AuditStage[] = []): AuditPolicy {
    return new AuditPolicy([], { level, omitStages: new Set(omitStages), omitManagedFields: false });
  }

  /** Reads the file's text. Throws {@link AuditPolicyError}. */
  static parse(text: string): AuditPolicy {
    let root: unknown;
    try {
      root = decodeYaml(text).value;
    } catch (error) {
      throw new AuditPolicyError(`Cannot read the audit policy: ${errorMessage(error)}`);
    }
    if (!isObject(root) || root['kind'] !== 'Policy' || root['apiVersion'] !== 'audit.k8s.io/v1') {
      throw new AuditPolicyError('Invalid audit policy: want kind Policy of audit.k8s.io/v1');
    }
    const problems: string[] = [];
    onlyFields(
      root,
      '',
      ['apiVersion', 'kind', 'metadata', 'rules', 'omitStages', 'omitManagedFields'],
      problems,
    );
    const omitStages = stagesOf(root['omitStages'], 'omitStages', problems);
    const omitManagedFields = root['omitManagedFields'] === true;
    const items = Array.isArray(root['rules']) ? (root['rules'] as unknown[]) : [];
    if (items.length === 0) problems.push('rules: Required value: a policy without rules writes nothing');
    const rules = items.map((item, index) =>
      ruleOf(isObject(item) ? item : {}, `rules[${index}]`, { omitStages, omitManagedFields }, problems),
    );
    if (problems.length > 0) throw new AuditPolicyError(`Invalid audit policy: ${problems.join('; ')}`);
    return new AuditPolicy(rules, { level: 'None', omitStages: new Set(omitStages), omitManagedFields });
  }

  /** `user` is who was authenticated, before any impersonation. */
  decide(info: RequestInfo, user: UserInfo): AuditDecision {
    for (const rule of this.#rules) if (ruleFits(rule, info, user)) return rule.decision;
    return this.#otherwise;
  }
}

function ruleFits(rule: Rule, info: RequestInfo, user: UserInfo): boolean {
  if (rule.users.size > 0 && !rule.users.has(user.name)) return false;
  if (rule.userGroups.size > 0 && !user.groups.some((group) => rule.userGroups.has(group))) return false;
  if (rule.verbs.size > 0 && !rule.verbs.has(info.verb)) return false;
  if (rule.namespaces.size > 0 || rule.resources.length > 0) {
    if (!info.isResourceRequest) return false;
    if (rule.namespaces.size > 0 && !rule.namespaces.has(info.namespace)) return false;
    return rule.resources.length === 0 || rule.resources.some((each) => resourceFits(each, info));
  }
  if (rule.nonResourceUrls.length > 0) {
    if (info.isResourceRequest) return false;
    return rule.nonResourceUrls.some(
      (url) =>
        url === '*' || url === info.path || (url.endsWith('*') && info.path.startsWith(url.slice(0, -1))),
    );
  }
  return true;
}

function resourceFits({ group, resources, resourceNames }: GroupResources, info: RequestInfo): boolean {
  if (group !== '*' && group !== info.apiGroup) return false;
  if (resources.length === 0) return true;
  if (resourceNames.length > 0 && !resourceNames.includes(info.name)) return false;
  const { resource, subresource } = info;
  const combined = subresource === '' ? resource : `${resource}/${subresource}`;
  return resources.some(
    (each) =>
      each === '*' ||
      each === combined ||
      (subresource !== '' && each === `*/${subresource}`) ||
      each === `${resource}/*`,
  );
}

function ruleOf(
  rule: Json,
  path: string,
  defaults: { omitStages: readonly AuditStage[]; omitManagedFields: boolean },
  problems: string[],
): Rule {
  const fields = [
    'level',
    'users',
    'userGroups',
    'verbs',
    'resources',
    'namespaces',
    'nonResourceURLs',
    'omitStages',
    'omitManagedFields',
  ];
  onlyFields(rule, path, fields, problems);
  const level = rule['level'] as AuditLevel | undefined;
  if (level === undefined) problems.push(`${path}.level: Required value`);
  else if (!auditLevels.includes(level)) {
    problems.push(
      `${path}.level: Unsupported value: "${String(level)}": supported values: ${auditLevels.map((each) => `"${each}"`).join(', ')}`,
    );
  }
  const nonResourceUrls = texts(rule['nonResourceURLs']);
  for (const [index, url] of nonResourceUrls.entries()) {
    const at = `${path}.nonResourceURLs[${index}]: Invalid value: "${url}"`;
    if (url === '*') continue;
    if (!url.startsWith('/')) problems.push(`${at}: non-resource URL rules must begin with a '/' character`);
    if (url.slice(0, -1).includes('*')) {
      problems.push(`${at}: non-resource URL wildcards '*' must be the final character of the rule`);
    }
  }
  const resources = (Array.isArray(rule['resources']) ? (rule['resources'] as unknown[]) : []).map(
    (item, index) => groupResourcesOf(isObject(item) ? item : {}, `${path}.resources[${index}]`, problems),
  );
  const namespaces = texts(rule['namespaces']);
  if (nonResourceUrls.length > 0 && (resources.length > 0 || namespaces.length > 0)) {
    problems.push(
      `${path}.nonResourceURLs: Invalid value: rules cannot apply to both regular resources and non-resource URLs`,
    );
  }
  const omitted = rule['omitManagedFields'];
  return {
    users: new Set(texts(rule['users'])),
    userGroups: new Set(texts(rule['userGroups'])),
    verbs: new Set(texts(rule['verbs'])),
    namespaces: new Set(namespaces),
    resources,
    nonResourceUrls,
    decision: {
      level: level ?? 'None',
      omitStages: new Set([
        ...defaults.omitStages,
        ...stagesOf(rule['omitStages'], `${path}.omitStages`, problems),
      ]),
      omitManagedFields: typeof omitted === 'boolean' ? omitted : defaults.omitManagedFields,
    },
  };
}

function groupResourcesOf(value: Json, path: string, problems: string[]): GroupResources {
  onlyFields(value, path, ['group', 'resources', 'resourceNames'], problems);
  const group = typeof value['group'] === 'string' ? value['group'] : '';
  const resources = texts(value['resources']);
  const resourceNames = texts(value['resourceNames']);
  if (group !== '' && group !== '*' && !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(group)) {
    problems.push(`${path}.group: Invalid value: "${group}": want a group's name without its version`);
  }
  if (resourceNames.length > 0 && resources.length === 0) {
    problems.push(`${path}.resourceNames: Invalid value: using resourceNames requires at least one resource`);
  }
  return { group, resources, resourceNames };
}

function stagesOf(value: unknown, path: string, problems: string[]): AuditStage[] {
  const stages = texts(value);
  for (const [index, stage] of stages.entries()) {
    if (!(auditStages as readonly string[]).includes(stage)) {
      problems.push(
        `${path}[${index}]: Invalid value: "${stage}": allowed stages are ${auditStages.join(',')}`,
      );
    }
  }
  return stages as AuditStage[];
}

function onlyFields(value: Json, path: string, known: readonly string[], problems: string[]): void {
  for (const field of Object.keys(value)) {
    if (!known.includes(field)) problems.push(`unknown field "${path === '' ? field : `${path}.${field}`}"`);
  }
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? (value as unknown[]).map(String) : [];
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
