import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors, StatusError } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin, AdmissionTimes } from '../interface.ts';
import { objectName } from '../refusal.ts';
import { noVersions, VersionedViews } from '../versioned-attributes.ts';
import { isExempt } from '../webhooks/matching.ts';
import { celAuthorize } from './cel-authorizer.ts';
import type { CompiledPolicy, Expression } from './compiled-policy.ts';
import { compiledPolicy } from './compiled-policy.ts';
import { matchingPolicies } from './matching-policies.ts';
import { conditionsHold, OutOfBudget, PolicyEvaluation } from './policy-evaluation.ts';
import { policyParams } from './policy-params.ts';
import type { BoundPolicy, Validation } from './policy.ts';
import { requestVariables } from './request-variables.ts';

const group = 'admissionregistration.k8s.io';
const policies = { group, version: 'v1', resource: 'validatingadmissionpolicies' } as const;
const bindings = { group, version: 'v1', resource: 'validatingadmissionpolicybindings' } as const;
const messageBytesMax = 5 * 1024;
const annotationBytesMax = 10 * 1024;

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
  /** For metrics: whether the validation did not hold, or could not be evaluated. */
  readonly errorType?: 'no_error' | 'invalid_error' | 'out_of_budget';
  readonly seconds?: number;
  /** Which validation of the policy. */
  readonly index: number;
  /** The policy could not be asked: refused whatever the binding's actions. */
  readonly isConfiguration?: boolean;
  /** It failed and its failurePolicy ignores that: told in metrics only. */
  readonly isIgnored?: boolean;
}

/** Values for the audit log by key; several parameters may give several. */
type Annotations = Map<string, Set<string>>;

/** ValidatingAdmissionPolicy: refuses, warns or notes where the CEL expressions of a bound policy do not hold. */
export function validatingPolicies({
  objects,
  authorizer,
  clock,
  findVersions = noVersions,
}: AdmissionDependencies): AdmissionPlugin {
  let series: AdmissionTimes['policyChecks'];
  const check = (pair: BoundPolicy, finding: Finding, action: string): void => {
    const labels = [pair.policyName, pair.bindingName, finding.errorType ?? 'no_error', action];
    series?.count.cell(...labels).inc();
    series?.seconds.series(...labels).observe(finding.seconds ?? 0);
  };
  return {
    name: 'ValidatingAdmissionPolicy',
    handles: () => true,
    async validate(attributes) {
      if (isExempt(attributes) || objects.cached(bindings).list().length === 0) return;
      const views = new VersionedViews(attributes, findVersions);
      const matching = await matchingPolicies(objects, policies, bindings, attributes, views);
      if (matching === undefined) return;
      const seen = new Map<AdmissionAttributes, Record<string, unknown>>();
      const authorize = celAuthorize(authorizer, attributes.user);
      const refusals: { readonly pair: BoundPolicy; readonly finding: Finding }[] = [];
      const notes = new Map<string, Annotations>();
      for (const pair of matching.pairs) {
        const annotations = notes.get(pair.policyName) ?? new Map<string, Set<string>>();
        notes.set(pair.policyName, annotations);
        const view = await views.in(pair.target);
        const request = seen.get(view) ?? requestVariables(view, matching.namespace);
        seen.set(view, request);
        const evaluationFor = (params: KubeObject | undefined) => {
          const policy = compiledPolicy(pair.policy);
          return (budget?: ConstructorParameters<typeof PolicyEvaluation>[5]) =>
            new PolicyEvaluation(policy, request, view, authorize, params, budget);
        };
        let params: readonly (KubeObject | undefined)[];
        try {
          params = await policyParams(pair, attributes.namespace, objects);
        } catch (error) {
          if (pair.policy.failurePolicy === 'Ignore') continue;
          const message = `failed to configure binding: ${errorMessage(error)}`;
          refusals.push({ pair, finding: { message, reason: 'Invalid', index: 0, isConfiguration: true } });
          continue;
        }
        for (const param of params) {
          const make = evaluationFor(param);
          for (const finding of await findings(pair, make, annotations, () => clock.monotonic())) {
            if (finding.isIgnored === true) {
              check(pair, finding, 'allow');
              continue;
            }
            for (const action of pair.binding.validationActions ?? [])
              check(pair, finding, action.toLowerCase());
            if (act(pair, finding, attributes)) refusals.push({ pair, finding });
          }
        }
      }
      for (const [policy, annotations] of notes) {
        for (const [key, values] of annotations)
          attributes.addAuditAnnotation(`${policy}/${key}`, [...values].join(', '));
      }
      const [first] = refusals;
      if (first !== undefined) throw refusal(first.pair, first.finding, attributes);
    },
    measure: ({ policyChecks }) => {
      series = policyChecks;
    },
  };
}

type MakeEvaluation = (budget?: ConstructorParameters<typeof PolicyEvaluation>[5]) => PolicyEvaluation;

async function findings(
  { policy }: BoundPolicy,
  make: MakeEvaluation,
  annotations: Annotations,
  now: () => number,
): Promise<Finding[]> {
  const ignores = policy.failurePolicy === 'Ignore';
  let startedMs = now();
  const seconds = (): number => (now() - startedMs) / 1000;
  const failed = (error: unknown, index = 0): Finding[] => [
    {
      message: errorMessage(error),
      reason: 'Invalid',
      index,
      errorType: errorTypeOf(error),
      seconds: seconds(),
      ...(ignores ? { isIgnored: true } : {}),
    },
  ];
  const compiled = compiledPolicy(policy);
  try {
    if (!(await conditionsHold(compiled.conditions, make))) return [];
  } catch (error) {
    return failed(error);
  }
  const evaluation = make();
  const found: Finding[] = [];
  for (const [index, { holds, message }] of compiled.validations.entries()) {
    const validation = (policy.validations ?? [])[index] as Validation;
    startedMs = now();
    try {
      if ((await evaluation.evaluate(holds)) === true) continue;
      const text = await messageOf(validation, message, evaluation);
      found.push({ message: text, reason: validation.reason ?? 'Invalid', index, seconds: seconds() });
    } catch (error) {
      if (error instanceof OutOfBudget) return failed(error, index);
      found.push(...failed(error, index));
    }
  }
  found.push(...(await annotate(compiled, make(), annotations, ignores)));
  return found;
}

function errorTypeOf(error: unknown): NonNullable<Finding['errorType']> {
  return error instanceof OutOfBudget ? 'out_of_budget' : 'invalid_error';
}

async function annotate(
  { annotations: wanted }: CompiledPolicy,
  evaluation: PolicyEvaluation,
  annotations: Annotations,
  ignores: boolean,
): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const { key, value: expression } of wanted) {
    try {
      const value = await evaluation.evaluate(expression);
      const text = typeof value === 'string' ? value.trim().slice(0, annotationBytesMax) : '';
      if (text !== '') annotations.set(key, (annotations.get(key) ?? new Set()).add(text));
    } catch (error) {
      if (!ignores)
        found.push({ message: errorMessage(error), reason: 'Invalid', index: 0, isConfiguration: true });
    }
  }
  return found;
}

async function messageOf(
  validation: Validation,
  expression: Expression | undefined,
  evaluation: PolicyEvaluation,
): Promise<string> {
  if (expression !== undefined) {
    try {
      const value = await evaluation.evaluate(expression);
      const text = typeof value === 'string' ? value.trim() : '';
      if (text !== '' && text.length <= messageBytesMax && !text.includes('\n')) return text;
    } catch (error) {
      if (error instanceof OutOfBudget) throw new OutOfBudget(`failed messageExpression: ${error.message}`);
      // The plain message serves where the expression fails.
    }
  }
  const message = validation.message ?? '';
  return message === '' ? `failed expression: ${validation.expression.trim()}` : message.trim();
}

const placeOf = ({ policyName, bindingName }: BoundPolicy): string =>
  `ValidatingAdmissionPolicy '${policyName}' with binding '${bindingName}'`;

/** Warns and notes; true when the binding denies. */
function act(pair: BoundPolicy, finding: Finding, attributes: AdmissionAttributes): boolean {
  if (finding.isConfiguration === true) return true;
  const { policyName, bindingName, binding } = pair;
  const actions = binding.validationActions ?? [];
  if (actions.includes('Warn'))
    attributes.addWarning(`Validation failed for ${placeOf(pair)}: ${finding.message}`);
  if (actions.includes('Audit')) {
    attributes.addAuditAnnotation(
      'validation.policy.admission.k8s.io/validation_failure',
      JSON.stringify([
        {
          message: finding.message,
          policy: policyName,
          binding: bindingName,
          expressionIndex: finding.index,
          validationActions: actions,
        },
      ]),
    );
  }
  return actions.includes('Deny');
}

function refusal(pair: BoundPolicy, finding: Finding, attributes: AdmissionAttributes): StatusError {
  const message = `${placeOf(pair)} denied request: ${finding.message}`;
  const { status } = statusErrors.forbidden(attributes.resource, objectName(attributes), message);
  return new StatusError(codes[finding.reason] ?? 422, finding.reason, status.message ?? message, {
    ...status.details,
    causes: [{ message }],
  });
}
