import type { KubeObject } from '@pilothouse/apimachinery';
import type { QuotaRequest } from './evaluate.ts';
import type { ScopeRequirement } from './scopes.ts';
import { requirementMatches, scopesMatch, scopesOf } from './scopes.ts';

/** A resource that nobody may take from without a quota that covers it. */
export interface LimitedResource {
  readonly apiGroup: string;
  readonly resource: string;
  /** Parts of names of quota resources. */
  readonly matchContains: readonly string[];
  readonly matchScopes: readonly ScopeRequirement[];
}

/** What a write takes though no quota of its namespace speaks of it. Undefined: nothing. */
export function uncoveredUse(
  limited: readonly LimitedResource[],
  quotas: readonly KubeObject[],
  { resource, object, delta }: QuotaRequest,
): { readonly kind: 'resources' | 'scopes'; readonly reason: string } | undefined {
  if (limited.length === 0) return undefined;
  const covered = new Set<string>();
  const scopes = new Set<string>();
  for (const quota of quotas) {
    for (const scope of scopesOf(quota)) {
      if (requirementMatches(scope, resource.resource, object)) scopes.add(scope.scopeName);
    }
    if (!scopesMatch(quota, resource.resource, object)) continue;
    for (const name of Object.keys((quota['status']?.hard ?? {}) as object)) covered.add(name);
  }
  const ofResource = limited.filter(
    (each) => each.apiGroup === resource.group && each.resource === resource.resource,
  );
  const missing = [...delta.keys()].filter(
    (name) =>
      !covered.has(name) &&
      ofResource.some(({ matchContains }) => matchContains.some((part) => name.includes(part))),
  );
  if (missing.length > 0)
    return { kind: 'resources', reason: `insufficient quota to consume: ${missing.sort().join(',')}` };
  const uncovered = limited
    .flatMap(({ matchScopes }) => matchScopes)
    .filter((scope) => requirementMatches(scope, resource.resource, object) && !scopes.has(scope.scopeName));
  if (uncovered.length === 0) return undefined;
  const shown = uncovered.map(
    ({ scopeName, operator, values }) => `{${scopeName} ${operator} [${(values ?? []).join(' ')}]}`,
  );
  return { kind: 'scopes', reason: `insufficient quota to match these scopes: [${shown.join(' ')}]` };
}
