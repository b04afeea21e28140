import type { KubeObject, LabelSelectorObject } from '@pilothouse/apimachinery';
import type { MatchCondition, WebhookRule } from '../webhooks/webhook.ts';

export interface PolicyRule extends WebhookRule {
  readonly resourceNames?: readonly string[];
}

export interface MatchResources {
  readonly namespaceSelector?: LabelSelectorObject;
  readonly objectSelector?: LabelSelectorObject;
  readonly resourceRules?: readonly PolicyRule[];
  readonly excludeResourceRules?: readonly PolicyRule[];
  readonly matchPolicy?: 'Exact' | 'Equivalent';
}

export interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
}

/** What validating and mutating policies of admissionregistration.k8s.io/v1 share. */
export interface PolicySpec {
  readonly failurePolicy?: 'Fail' | 'Ignore';
  readonly paramKind?: { readonly apiVersion: string; readonly kind: string };
  readonly matchConstraints?: MatchResources;
  readonly matchConditions?: readonly MatchCondition[];
  readonly variables?: readonly { readonly name: string; readonly expression: string }[];
}

export interface ValidatingPolicySpec extends PolicySpec {
  readonly validations?: readonly Validation[];
  readonly auditAnnotations?: readonly { readonly key: string; readonly valueExpression: string }[];
}

export interface Mutation {
  readonly patchType: 'JSONPatch' | 'ApplyConfiguration';
  readonly jsonPatch?: { readonly expression: string };
  readonly applyConfiguration?: { readonly expression: string };
}

export interface MutatingPolicySpec extends PolicySpec {
  readonly mutations?: readonly Mutation[];
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded';
}

export interface BindingSpec {
  readonly policyName: string;
  readonly paramRef?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly selector?: LabelSelectorObject;
    readonly parameterNotFoundAction?: 'Allow' | 'Deny';
  };
  readonly matchResources?: MatchResources;
  readonly validationActions?: readonly ('Deny' | 'Warn' | 'Audit')[];
}

/** A binding with the policy it binds. */
export interface BoundPolicy {
  readonly policyName: string;
  readonly bindingName: string;
  readonly policy: ValidatingPolicySpec & MutatingPolicySpec;
  readonly binding: BindingSpec;
}

/** Pairs in the order of policy names, then binding names. A binding of a policy that does not exist has no effect. */
export function boundPolicies(
  policies: readonly KubeObject[],
  bindings: readonly KubeObject[],
): BoundPolicy[] {
  const specs = new Map(
    policies.map((each) => [each.metadata.name ?? '', each['spec'] as BoundPolicy['policy']]),
  );
  return bindings
    .flatMap((each): BoundPolicy[] => {
      const binding = each['spec'] as BindingSpec;
      const policy = specs.get(binding.policyName);
      if (policy === undefined) return [];
      return [{ policyName: binding.policyName, bindingName: each.metadata.name ?? '', policy, binding }];
    })
    .sort((a, b) => order(a.policyName, b.policyName) || order(a.bindingName, b.bindingName));
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
