import type { KubeObject } from '@pilothouse/apimachinery';
import { celEnvironment } from '@pilothouse/api/cel';
import { admissionReview } from '../webhooks/admission-review.ts';
import type { AdmissionAttributes } from '../interface.ts';

type Evaluate = (context: Record<string, unknown>) => unknown;

let environment: ReturnType<typeof celEnvironment> | undefined;
/** Expressions repeat with every request; the oldest go when there are many. */
const compiled = new Map<string, Evaluate>();
const compiledMax = 4096;

/** The compiled form of an expression over the variables of a policy. Throws the CEL library's error when it does not compile. */
export function policyExpression(expression: string): Evaluate {
  let found = compiled.get(expression);
  if (found === undefined) {
    if (environment === undefined) {
      environment = celEnvironment();
      for (const name of ['object', 'oldObject', 'request', 'params', 'namespaceObject', 'variables'])
        environment.registerVariable(name, 'dyn');
    }
    found = environment.parse(expression);
    for (const oldest of compiled.keys()) {
      if (compiled.size < compiledMax) break;
      compiled.delete(oldest);
    }
    compiled.set(expression, found);
  }
  return found;
}

/** JSON as CEL holds it: whole numbers are int. */
export function celValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, celValue(member)]),
  );
}

/** What all policies see of one request; `params` and `variables` are added for each binding. */
export function requestVariables(
  attributes: AdmissionAttributes,
  namespace: KubeObject | undefined,
): Record<string, unknown> {
  const { request } = admissionReview(attributes, '') as { request: Record<string, unknown> };
  const { object: _object, oldObject: _oldObject, uid: _uid, ...told } = request;
  return {
    object: celValue(attributes.object ?? null),
    oldObject: celValue(attributes.oldObject ?? null),
    request: celValue({ name: '', namespace: '', subResource: '', requestSubResource: '', ...told }),
    namespaceObject: celValue(namespace ?? null),
  };
}

/** Composed variables: each is evaluated when it is first read, and its error is the reader's. */
export function composedVariables(
  variables: readonly { readonly name: string; readonly expression: string }[],
  context: Record<string, unknown>,
): Record<string, unknown> {
  const composed: Record<string, unknown> = {};
  const full = { ...context, variables: composed };
  for (const { name, expression } of variables) {
    Object.defineProperty(composed, name, {
      enumerable: true,
      configurable: true,
      get() {
        const value = policyExpression(expression)(full);
        Object.defineProperty(composed, name, { enumerable: true, value });
        return value;
      },
    });
  }
  return composed;
}
