import type { KubeObject } from '@pilothouse/apimachinery';
import { parseQuantity } from '@pilothouse/apimachinery';
import { podSpec } from './pod-shape.ts';

/** A scope of a quota, as `scopeSelector` states it. */
export interface ScopeRequirement {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** Whether a quota's scopes take in an object. Quotas with scopes of pods say nothing about other kinds. */
export function scopesMatch(quota: KubeObject, resource: string, object: KubeObject): boolean {
  return scopesOf(quota).every((requirement) => requirementMatches(requirement, resource, object));
}

export function scopesOf(quota: KubeObject): ScopeRequirement[] {
  const spec = (quota['spec'] ?? {}) as {
    scopes?: string[];
    scopeSelector?: { matchExpressions?: ScopeRequirement[] };
  };
  return [
    ...(spec.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists' })),
    ...(spec.scopeSelector?.matchExpressions ?? []),
  ];
}

export function requirementMatches(
  requirement: ScopeRequirement,
  resource: string,
  object: KubeObject,
): boolean {
  if (resource === 'persistentvolumeclaims' && requirement.scopeName === 'VolumeAttributesClass') {
    return valueMatches(requirement, (object['spec']?.volumeAttributesClassName as string | undefined) ?? '');
  }
  if (resource !== 'pods') return false;
  const spec = podSpec(object);
  switch (requirement.scopeName) {
    case 'Terminating':
      return (spec.activeDeadlineSeconds ?? -1) >= 0;
    case 'NotTerminating':
      return (spec.activeDeadlineSeconds ?? -1) < 0;
    case 'BestEffort':
      return isBestEffort(object);
    case 'NotBestEffort':
      return !isBestEffort(object);
    case 'CrossNamespacePodAffinity':
      return usesCrossNamespaceAffinity(object);
    case 'PriorityClass':
      return valueMatches(requirement, spec.priorityClassName ?? '');
    default:
      return false;
  }
}

function valueMatches(requirement: ScopeRequirement, value: string): boolean {
  const values = requirement.values ?? [];
  switch (requirement.operator) {
    case 'Exists':
      return value !== '';
    case 'DoesNotExist':
      return value === '';
    case 'In':
      return values.includes(value);
    case 'NotIn':
      return !values.includes(value);
    default:
      return false;
  }
}

/** Quality of service class BestEffort: no container asks for or limits CPU or memory. */
export function isBestEffort(pod: KubeObject): boolean {
  const spec = podSpec(pod);
  const holders = [...spec.containers, ...(spec.initContainers ?? []), { resources: spec.resources }];
  return holders.every((holder) =>
    [holder.resources?.requests, holder.resources?.limits].every((list) =>
      ['cpu', 'memory'].every((name) => list?.[name] === undefined || parseQuantity(list[name]).isZero),
    ),
  );
}

function usesCrossNamespaceAffinity(pod: KubeObject): boolean {
  interface Term {
    readonly namespaces?: readonly string[];
    readonly namespaceSelector?: unknown;
  }
  interface Affinity {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly Term[];
    readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly { readonly podAffinityTerm?: Term }[];
  }
  const affinity = podSpec(pod)['affinity'] as
    { podAffinity?: Affinity; podAntiAffinity?: Affinity } | undefined;
  const crosses = (term: Term | undefined): boolean =>
    (term?.namespaces?.length ?? 0) > 0 || term?.namespaceSelector !== undefined;
  return [affinity?.podAffinity, affinity?.podAntiAffinity].some(
    (each) =>
      (each?.requiredDuringSchedulingIgnoredDuringExecution ?? []).some(crosses) ||
      (each?.preferredDuringSchedulingIgnoredDuringExecution ?? []).some((term) =>
        crosses(term.podAffinityTerm),
      ),
  );
}
