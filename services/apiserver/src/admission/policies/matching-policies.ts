import type { GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';
import type { ObjectAccess } from '../../security/object-access.ts';
import type { AdmissionAttributes } from '../interface.ts';
import { findNamespace } from '../plugins/namespace-lifecycle.ts';
import { isEmpty, namespaceMatches, objectMatches, ruleMatches } from '../webhooks/matching.ts';
import type { BoundPolicy, MatchResources } from './policy.ts';
import { boundPolicies } from './policy.ts';

export interface MatchingPolicies {
  readonly pairs: readonly BoundPolicy[];
  /** Of the request; undefined for cluster-scoped ones and namespaces themselves. */
  readonly namespace: KubeObject | undefined;
}

/** The policies and bindings that take in a request; undefined: none does. */
export async function matchingPolicies(
  objects: ObjectAccess,
  policies: GroupVersionResource,
  bindings: GroupVersionResource,
  attributes: AdmissionAttributes,
): Promise<MatchingPolicies | undefined> {
  const boundBy = objects.cached(bindings).list();
  if (boundBy.length === 0) return undefined;
  const candidates = boundPolicies(objects.cached(policies).list(), boundBy).filter(
    ({ policy, binding }) =>
      rulesMatch(policy.matchConstraints, attributes, true) &&
      rulesMatch(binding.matchResources, attributes, false),
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

function rulesMatch(
  match: MatchResources | undefined,
  attributes: AdmissionAttributes,
  required: boolean,
): boolean {
  const matchPolicy = match?.matchPolicy ?? 'Equivalent';
  const covers = (rules: MatchResources['resourceRules']): boolean =>
    (rules ?? []).some(
      (rule) =>
        ruleMatches(rule, attributes, matchPolicy) &&
        ((rule.resourceNames ?? []).length === 0 || rule.resourceNames?.includes(attributes.name) === true),
    );
  if (covers(match?.excludeResourceRules)) return false;
  // A binding without rules takes what the policy takes.
  if ((match?.resourceRules ?? []).length === 0) return !required;
  return covers(match?.resourceRules);
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
