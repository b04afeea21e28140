import { isDeepStrictEqual } from 'node:util';
import { fromJson } from '@pilothouse/api/cel';
import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors, StatusError } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin, AdmissionTimes } from '../interface.ts';
import { objectName } from '../refusal.ts';
import { noVersions, VersionedViews } from '../versioned-attributes.ts';
import { isExempt } from '../webhooks/matching.ts';
import { celAuthorize } from './cel-authorizer.ts';
import { compiledPolicy } from './compiled-policy.ts';
import { matchingPolicies } from './matching-policies.ts';
import { mergeTypeFor } from './merge-types.ts';
import type { CelBudget } from './policy-evaluation.ts';
import { conditionsHold, PolicyEvaluation } from './policy-evaluation.ts';
import { policyParams } from './policy-params.ts';
import { configurationApplied, jsonPatched } from './policy-patch.ts';
import type { BoundPolicy } from './policy.ts';
import { requestVariables } from './request-variables.ts';

const group = 'admissionregistration.k8s.io';
const policies = { group, version: 'v1', resource: 'mutatingadmissionpolicies' } as const;
const bindings = { group, version: 'v1', resource: 'mutatingadmissionpolicybindings' } as const;

/** What one request went through, for the second round. */
interface Round {
  /** Keys of policies that may be asked again. */
  readonly reinvocable: Set<string>;
  /** The object as the policies left it. */
  output: KubeObject | undefined;
  isChanged: boolean;
}

/** MutatingAdmissionPolicy: changes objects by the CEL expressions of bound policies, in the order of names. */
export function mutatingPolicies(dependencies: AdmissionDependencies): AdmissionPlugin {
  const rounds = new WeakMap<AdmissionAttributes, Round>();
  const { clock } = dependencies;
  let series: AdmissionTimes['mutatingPolicyChecks'];
  const run = async (attributes: AdmissionAttributes, isAgain: boolean): Promise<void> => {
    const { objects } = dependencies;
    if (isExempt(attributes) || attributes.object === undefined || attributes.operation === 'CONNECT') return;
    if (objects.cached(bindings).list().length === 0) return;
    const views = new VersionedViews(attributes, dependencies.findVersions ?? noVersions);
    const matching = await matchingPolicies(objects, policies, bindings, attributes, views);
    if (matching === undefined) return;
    const round = rounds.get(attributes) ?? { reinvocable: new Set(), output: undefined, isChanged: false };
    rounds.set(attributes, round);
    // Nothing between changed the object: whoever looked at it has seen it.
    if (isAgain && !round.isChanged && isDeepStrictEqual(round.output, attributes.object)) return;
    const failures: { readonly pair: BoundPolicy; readonly message: string }[] = [];
    for (const pair of matching.pairs) {
      let problem: unknown;
      const failed = (error: unknown, prefix = ''): void => {
        problem = error;
        if (error instanceof StatusError) throw error;
        if (pair.policy.failurePolicy !== 'Ignore')
          failures.push({ pair, message: `${prefix}${errorMessage(error)}` });
      };
      let params: readonly (KubeObject | undefined)[] = [];
      try {
        params = await policyParams(pair, attributes.namespace, objects);
      } catch (error) {
        failed(error, 'failed to configure binding: ');
      }
      for (const param of params) {
        const key = [pair.policyName, pair.bindingName, param?.metadata.namespace, param?.metadata.name].join(
          '/',
        );
        if (isAgain && !round.reinvocable.has(key)) continue;
        const before = structuredClone(attributes.object);
        const startedMs = clock.monotonic();
        problem = undefined;
        const view = await views.in(pair.target);
        await new Mutator(dependencies, view, matching.namespace).apply(pair, param, failed);
        await views.takeBack(view);
        const labels = [
          pair.policyName,
          pair.bindingName,
          problem === undefined ? 'no_error' : 'invalid_error',
        ];
        series?.count.cell(...labels).inc();
        series?.seconds.series(...labels).observe((clock.monotonic() - startedMs) / 1000);
        if (!isDeepStrictEqual(before, attributes.object)) round.isChanged = true;
        if (pair.policy.reinvocationPolicy === 'IfNeeded') round.reinvocable.add(key);
      }
    }
    round.output = structuredClone(attributes.object);
    if (failures.length > 0) throw refusal(attributes, failures);
  };
  return {
    name: 'MutatingAdmissionPolicy',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    admit: (attributes) => run(attributes, false),
    readmit: (attributes) => run(attributes, true),
    wantsReadmission: (attributes) => rounds.get(attributes)?.isChanged === true,
    measure: ({ mutatingPolicyChecks }) => {
      series = mutatingPolicyChecks;
    },
  };
}

class Mutator {
  readonly #dependencies: AdmissionDependencies;
  readonly #attributes: AdmissionAttributes;
  readonly #namespace: KubeObject | undefined;
  readonly #authorize: ReturnType<typeof celAuthorize>;

  constructor(
    dependencies: AdmissionDependencies,
    attributes: AdmissionAttributes,
    namespace: KubeObject | undefined,
  ) {
    this.#dependencies = dependencies;
    this.#attributes = attributes;
    this.#namespace = namespace;
    this.#authorize = celAuthorize(dependencies.authorizer, attributes.user);
  }

  /** Applies the mutations of a policy in their order; one that fails is told and the next still tried. */
  async apply(
    { policy }: BoundPolicy,
    params: KubeObject | undefined,
    failed: (error: unknown) => void,
  ): Promise<void> {
    const compiled = compiledPolicy(policy);
    const make = (budget?: CelBudget): PolicyEvaluation => {
      const request = requestVariables(this.#attributes, this.#namespace);
      return new PolicyEvaluation(compiled, request, this.#attributes, this.#authorize, params, budget);
    };
    try {
      if (!(await conditionsHold(compiled.conditions, make))) return;
    } catch (error) {
      failed(error);
      return;
    }
    for (const { isJsonPatch, patch } of compiled.mutations) {
      try {
        const evaluation = make();
        evaluation.set('object', fromJson(this.#attributes.object ?? null));
        const result = await evaluation.evaluate(patch);
        this.#change(result, isJsonPatch);
      } catch (error) {
        failed(error);
      }
    }
  }

  #change(result: unknown, isJsonPatch: boolean): void {
    const attributes = this.#attributes;
    const { objects, setDefaults } = this.#dependencies;
    const object = attributes.object as KubeObject;
    if (isJsonPatch) attributes.object = jsonPatched(object, result);
    else {
      const type = mergeTypeFor(attributes, objects);
      if (type === undefined) {
        const { group: kindGroup, version, kind } = attributes.kind;
        const name = `${kindGroup === '' ? '' : `${kindGroup}/`}${version}, Kind=${kind}`;
        throw new StatusError(
          503,
          'ServiceUnavailable',
          `Resource kind ${name} not found. There can be a delay between when CustomResourceDefinitions are created and when they are available.`,
        );
      }
      attributes.object = configurationApplied(object, result, type);
    }
    setDefaults?.(attributes);
  }
}

function refusal(
  attributes: AdmissionAttributes,
  failures: readonly { readonly pair: BoundPolicy; readonly message: string }[],
): StatusError {
  const messages = failures.map(
    ({ pair, message }) =>
      `policy '${pair.policyName}' with binding '${pair.bindingName}' denied request: ${message}`,
  );
  const { status } = statusErrors.forbidden(attributes.resource, objectName(attributes), '');
  return new StatusError(403, 'Invalid', messages[0] as string, {
    ...status.details,
    causes: messages.map((message) => ({ message })),
  });
}
