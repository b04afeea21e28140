import { labelSelectorOf } from '@pilothouse/apimachinery';
import type { LabelSelectorObject, LabelSelector } from '@pilothouse/apimachinery';
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

/** Whether a rule covers the request. With matchPolicy Equivalent the version does not count. */
export function ruleMatches(
  rule: WebhookRule,
  attributes: AdmissionAttributes,
  matchPolicy: 'Exact' | 'Equivalent',
): boolean {
  const { resource, subresource, operation, namespace } = attributes;
  const isNamespace = resource.group === '' && resource.resource === 'namespaces';
  const isNamespaced = namespace !== '' && !isNamespace;
  if (rule.scope === 'Namespaced' && !isNamespaced) return false;
  if (rule.scope === 'Cluster' && isNamespaced) return false;
  return (
    includesOrAll(rule.operations, operation) &&
    includesOrAll(rule.apiGroups, resource.group) &&
    (matchPolicy === 'Equivalent' || includesOrAll(rule.apiVersions, resource.version)) &&
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
