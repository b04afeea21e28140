import { compilationMessage, evaluationMessage } from '@pilothouse/api/cel';
import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors, StatusError } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { findNamespace } from '../plugins/namespace-lifecycle.ts';
import { objectName } from '../refusal.ts';
import { isEmpty, isExempt, namespaceMatches, objectMatches, ruleMatches } from '../webhooks/matching.ts';
import { celValue, composedVariables, policyExpression, requestVariables } from './cel-variables.ts';
import { policyParams } from './policy-params.ts';
import type { BoundPolicy, MatchResources, Validation } from './policy.ts';
import { boundPolicies } from './policy.ts';

const group = 'admissionregistration.k8s.io';
const policies = { group, version: 'v1', resource: 'validatingadmissionpolicies' } as const;
const bindings = { group, version: 'v1', resource: 'validatingadmissionpolicybindings' } as const;

/** The code of each reason that a validation may give. */
const codes: Readonly<Record<string, number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  Invalid: 422,
  RequestEntityTooLarge: 413,
};

interface Finding {
  readonly message: string;
  readonly reason: string;
}

/** ValidatingAdmissionPolicy: refuses, warns or notes where the CEL expressions of a bound policy do not hold. */
export function validatingPolicies({ objects }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionPolicy',
    handles: () => true,
    async validate(attributes) {
      if (isExempt(attributes)) return;
      const bound = boundPolicies(objects.cached(policies).list(), objects.cached(bindings).list());
      if (bound.length === 0) return;
      const candidates = bound.filter(
        ({ policy, binding }) =>
          rulesMatch(policy.matchConstraints, attributes, true) &&
          rulesMatch(binding.matchResources, attributes, false),
      );
      if (candidates.length === 0) return;
      const namespace =
        attributes.namespace === '' || isNamespace(attributes)
          ? undefined
          : await findNamespace(objects, attributes.namespace);
      const labels = isNamespace(attributes)
        ? ((attributes.object ?? attributes.oldObject)?.metadata.labels ?? {})
        : namespace && (namespace.metadata.labels ?? {});
      let context: Record<string, unknown> | undefined;
      for (const pair of candidates) {
        const selected = [pair.policy.matchConstraints, pair.binding.matchResources].every((match) =>
          selectorsMatch(match, attributes, labels),
        );
        if (!selected) continue;
        context ??= requestVariables(attributes, namespace);
        for (const finding of findings(pair, context, attributes, objects)) act(pair, finding, attributes);
      }
    },
  };
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

function findings(
  pair: BoundPolicy,
  context: Record<string, unknown>,
  attributes: AdmissionAttributes,
  objects: AdmissionDependencies['objects'],
): Finding[] {
  const ignores = pair.policy.failurePolicy === 'Ignore';
  const failed = (message: string): Finding[] => (ignores ? [] : [{ message, reason: 'Invalid' }]);
  let params: (KubeObject | undefined)[];
  try {
    params = policyParams(pair, attributes.namespace, objects);
  } catch (error) {
    return failed(`failed to configure binding: ${errorMessage(error)}`);
  }
  return params.flatMap((param): Finding[] => {
    const scope: Record<string, unknown> = { ...context, params: celValue(param ?? null) };
    scope['variables'] = composedVariables(pair.policy.variables ?? [], scope);
    for (const { expression } of pair.policy.matchConditions ?? []) {
      try {
        if (policyExpression(expression)(scope) !== true) return [];
      } catch (error) {
        return failed(evaluationFailure(expression, error));
      }
    }
    return (pair.policy.validations ?? []).flatMap((validation): Finding[] => {
      try {
        if (policyExpression(validation.expression)(scope) === true) return [];
      } catch (error) {
        return failed(evaluationFailure(validation.expression, error));
      }
      return [{ message: messageOf(validation, scope), reason: validation.reason ?? 'Invalid' }];
    });
  });
}

function evaluationFailure(expression: string, error: unknown): string {
  const { code } = error as { code?: string };
  const told =
    code === 'unexpected_token'
      ? `compilation error: compilation failed: ${compilationMessage(expression, error)}`
      : evaluationMessage(error);
  return `expression '${expression}' resulted in error: ${told}`;
}

function messageOf(validation: Validation, scope: Record<string, unknown>): string {
  const { messageExpression } = validation;
  if (messageExpression !== undefined && messageExpression !== '') {
    try {
      const text = policyExpression(messageExpression)(scope);
      if (typeof text === 'string' && text.trim() !== '' && !text.includes('\n')) return text.trim();
    } catch {
      // The plain message serves where the expression fails.
    }
  }
  const message = validation.message ?? '';
  return message === '' ? `failed expression: ${validation.expression.trim()}` : message.trim();
}

function act(
  { policyName, bindingName, binding }: BoundPolicy,
  finding: Finding,
  attributes: AdmissionAttributes,
): void {
  const actions = binding.validationActions ?? [];
  const where = `ValidatingAdmissionPolicy '${policyName}' with binding '${bindingName}'`;
  if (actions.includes('Warn')) attributes.addWarning(`Validation failed for ${where}: ${finding.message}`);
  if (actions.includes('Audit')) {
    attributes.addAuditAnnotation(
      'validation.policy.admission.k8s.io/validation_failure',
      JSON.stringify([
        { message: finding.message, policy: policyName, binding: bindingName, validationActions: actions },
      ]),
    );
  }
  if (!actions.includes('Deny')) return;
  const message = `${where} denied request: ${finding.message}`;
  const { status } = statusErrors.forbidden(attributes.resource, objectName(attributes), message);
  throw new StatusError(codes[finding.reason] ?? 422, finding.reason, status.message ?? message, {
    ...status.details,
    causes: [{ message }],
  });
}
