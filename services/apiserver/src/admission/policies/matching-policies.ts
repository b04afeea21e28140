import type { GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';
import type { ObjectAccess } from '../../security/object-access.ts';
import type { AdmissionAttributes } from '../interface.ts';
import { findNamespace } from '../plugins/namespace-lifecycle.ts';
import type { VersionedResource } from '../../registry/rest/served-versions.ts';
import { isEmpty, matchedVersion, namespaceMatches, objectMatches } from '../webhooks/matching.ts';
import type { VersionedViews } from '../versioned-attributes.ts';
import type { BoundPolicy, MatchResources } from './policy.ts';
import { boundPolicies } from './policy.ts';

/** A bound policy, and the version in which it wants to see the request. */
export interface MatchingPolicy extends BoundPolicy {
  readonly target: VersionedResource;
}

export interface MatchingPolicies {
  readonly pairs: readonly MatchingPolicy[];
  /** Of the request; undefined for cluster-scoped ones and namespaces themselves. */
  readonly namespace: KubeObject | undefined;
}

/** The policies and bindings that take in a request; undefined: none does. */
export async function matchingPolicies(
  objects: ObjectAccess,
  policies: GroupVersionResource,
  bindings: GroupVersionResource,
  attributes: AdmissionAttributes,
  views: VersionedViews,
): Promise<MatchingPolicies | undefined> {
  const boundBy = objects.cached(bindings).list();
  if (boundBy.length === 0) return undefined;
  const { others } = views;
  const candidates = boundPolicies(objects.cached(policies).list(), boundBy).flatMap(
    (pair): MatchingPolicy[] => {
      const target = matched(pair.policy.matchConstraints, attributes, others, true);
      if (target === undefined) return [];
      return matched(pair.binding.matchResources, attributes, others, false) === undefined
        ? []
        : [{ ...pair, target }];
    },
  );
  if (candidates.length === 0) return undefined;
  const isOfNamespace = isNamespace(attributes);
  const namespace =
    attributes.namespace === '' || isOfNamespace
      ? undefined
      : await findNamespace(objects, attributes.namespace);
  const labels = isOfNamespace
    ? ((attributes.object ?? attributes.oldObject)?.metadata.labels ?? {})
    : namespace && (namespace.metadata.labels ?? {});
  const pairs = candidates.filter(({ policy, binding }) =>
    [policy.matchConstraints, binding.matchResources].every((match) =>
      selectorsMatch(match, attributes, labels),
    ),
  );
  return pairs.length === 0 ? undefined : { pairs, namespace };
}

const isNamespace = ({ resource }: AdmissionAttributes): boolean =>
  resource.group === '' && resource.resource === 'namespaces';

function matched(
  match: MatchResources | undefined,
  attributes: AdmissionAttributes,
  others: readonly VersionedResource[],
  required: boolean,
): VersionedResource | undefined {
  const matchPolicy = match?.matchPolicy ?? 'Equivalent';
  const covered = (rules: MatchResources['resourceRules']): VersionedResource | undefined =>
    matchedVersion(
      rules,
      attributes,
      matchPolicy,
      others,
      ({ resourceNames }) =>
        (resourceNames ?? []).length === 0 || resourceNames?.includes(attributes.name) === true,
    );
  if (covered(match?.excludeResourceRules) !== undefined) return undefined;
  // A binding without rules takes what the policy takes.
  if ((match?.resourceRules ?? []).length === 0)
    return required ? undefined : { kind: attributes.kind, resource: attributes.resource };
  return covered(match?.resourceRules);
}

function selectorsMatch(
  match: MatchResources | undefined,
  attributes: AdmissionAttributes,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  if (match === undefined) return true;
  return (
    objectMatches(match, attributes) && (isEmpty(match.namespaceSelector) || namespaceMatches(match, labels))
  );
}
