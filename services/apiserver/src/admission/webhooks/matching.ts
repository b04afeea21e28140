import { labelSelectorOf } from '@pilothouse/apimachinery';
import type { LabelSelectorObject, LabelSelector } from '@pilothouse/apimachinery';
import type { VersionedResource } from '../../registry/rest/served-versions.ts';
import type { AdmissionAttributes } from '../interface.ts';
import type { Webhook, WebhookRule } from './webhook.ts';

/** What of a webhook or a policy selects objects. */
type Selectors = Pick<Webhook, 'namespaceSelector' | 'objectSelector'>;

/** Configurations of admission itself are never sent to webhooks, so that a broken one can be repaired. */
const exempt = new Set([
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
]);

export function isExempt({ resource }: AdmissionAttributes): boolean {
  return resource.group === 'admissionregistration.k8s.io' && exempt.has(resource.resource);
}

/**
 * In which version rules cover the request; undefined: in none. With matchPolicy Equivalent the first rule for one of the other versions
 * of the resource counts, when none is for the version of the request.
 */
export function matchedVersion<Rule extends WebhookRule>(
  rules: readonly Rule[] | undefined,
  attributes: AdmissionAttributes,
  matchPolicy: 'Exact' | 'Equivalent',
  others: readonly VersionedResource[],
  alsoMatches: (rule: Rule) => boolean = () => true,
): VersionedResource | undefined {
  const { kind, resource } = attributes;
  const covers = (rule: Rule, of: VersionedResource['resource']): boolean =>
    ruleMatches(rule, attributes, of) && alsoMatches(rule);
  if ((rules ?? []).some((rule) => covers(rule, resource))) return { kind, resource };
  if (matchPolicy === 'Exact') return undefined;
  for (const rule of rules ?? []) {
    const found = others.find((other) => covers(rule, other.resource));
    if (found !== undefined) return found;
  }
  return undefined;
}

function ruleMatches(
  rule: WebhookRule,
  { resource: requested, subresource, operation, namespace }: AdmissionAttributes,
  resource: VersionedResource['resource'],
): boolean {
  const isNamespace = requested.group === '' && requested.resource === 'namespaces';
  const isNamespaced = namespace !== '' && !isNamespace;
  if (rule.scope === 'Namespaced' && !isNamespaced) return false;
  if (rule.scope === 'Cluster' && isNamespaced) return false;
  return (
    includesOrAll(rule.operations, operation) &&
    includesOrAll(rule.apiGroups, resource.group) &&
    includesOrAll(rule.apiVersions, resource.version) &&
    (rule.resources ?? []).some((each) => resourceMatches(each, resource.resource, subresource))
  );
}

// `pods`, `pods/log`, `*` (no subresources), `pods/*` (pods and all below), and `*` with one subresource.
function resourceMatches(pattern: string, resource: string, subresource: string): boolean {
  const [wanted, wantedSub] = pattern.split('/') as [string, string?];
  if (wanted !== '*' && wanted !== resource) return false;
  return wantedSub === undefined ? subresource === '' : wantedSub === '*' || wantedSub === subresource;
}

function includesOrAll(values: readonly string[] | undefined, wanted: string): boolean {
  return values !== undefined && (values.includes('*') || values.includes(wanted));
}

/** Whether namespaceSelector takes in the labels of the request's namespace; cluster-scoped requests always match. */
export function namespaceMatches(
  webhook: Selectors,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  if (labels === undefined || isEmpty(webhook.namespaceSelector)) return true;
  return selectorOf(webhook.namespaceSelector).matches(labels);
}

/** Whether objectSelector takes in the new or the old object. */
export function objectMatches(webhook: Selectors, attributes: AdmissionAttributes): boolean {
  if (isEmpty(webhook.objectSelector)) return true;
  const selector = selectorOf(webhook.objectSelector);
  return [attributes.object, attributes.oldObject].some(
    (object) => object !== undefined && selector.matches(object.metadata?.labels ?? {}),
  );
}

export function isEmpty(selector: LabelSelectorObject | undefined): boolean {
  return (
    selector === undefined ||
    (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions?.length ?? 0) === 0)
  );
}

function selectorOf(selector: LabelSelectorObject | undefined): LabelSelector {
  return labelSelectorOf(selector);
}
