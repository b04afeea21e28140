import type { FunctionTable } from '../functions.ts';
import { libraryTypes } from '../functions.ts';
import { CelEvaluationError } from '../issues.ts';
import { CelOpaque } from '../values.ts';

/** What an expression asks the authorizer. */
export interface CelAuthorizationQuery {
  readonly verb: string;
  /** Of a non-resource request; the members below are empty then. */
  readonly path?: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Another service account than the one who asks. */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
}

export interface CelAuthorizationDecision {
  readonly allowed: boolean;
  readonly reason: string;
  /** Set when the authorizer failed. */
  readonly error?: string;
}

/** Answers at once: expressions do not wait. */
export type CelAuthorize = (query: CelAuthorizationQuery) => CelAuthorizationDecision;

type Part = Omit<CelAuthorizationQuery, 'verb'>;

abstract class AuthorizationValue extends CelOpaque {
  equals(other: this): boolean {
    return this === other;
  }
}

/** The `authorizer` variable. */
export class CelAuthorizer extends AuthorizationValue {
  readonly type = libraryTypes.authorizer;
  readonly authorize: CelAuthorize;
  readonly part: Part;
  constructor(authorize: CelAuthorize, part: Partial<Part> = {}) {
    super();
    this.authorize = authorize;
    this.part = { group: '', resource: '', subresource: '', namespace: '', name: '', ...part };
  }
  with(part: Partial<Part>): CelAuthorizer {
    return new CelAuthorizer(this.authorize, { ...this.part, ...part });
  }
}

class Step extends AuthorizationValue {
  readonly type;
  readonly of: CelAuthorizer;
  constructor(type: (typeof libraryTypes)['pathCheck' | 'groupCheck' | 'resourceCheck'], of: CelAuthorizer) {
    super();
    this.type = type;
    this.of = of;
  }
  check(verb: string): Decision {
    const { authorize, part } = this.of;
    return new Decision(authorize({ verb, ...part }));
  }
}

class Decision extends AuthorizationValue {
  readonly type = libraryTypes.decision;
  readonly decision: CelAuthorizationDecision;
  constructor(decision: CelAuthorizationDecision) {
    super();
    this.decision = decision;
  }
}

/** The check of the very request, for `authorizer.requestResource`. */
export function celResourceCheck(authorizer: CelAuthorizer, part: Partial<Part>): CelOpaque {
  return new Step(libraryTypes.resourceCheck, authorizer.with(part));
}

/** `authorizer.group('apps').resource('deployments').check('create').allowed()` */
export function addAuthorization(table: FunctionTable): void {
  table.add('authorizer.path(string): pathCheck', (of: CelAuthorizer, path: string) => {
    if (path === '') throw new CelEvaluationError('path must not be empty');
    return new Step(libraryTypes.pathCheck, of.with({ path }));
  });
  table.add(
    'authorizer.group(string): groupCheck',
    (of: CelAuthorizer, group: string) => new Step(libraryTypes.groupCheck, of.with({ group })),
  );
  table.add(
    'authorizer.serviceAccount(string, string): authorizer',
    (of: CelAuthorizer, namespace: string, name: string) => of.with({ serviceAccount: { namespace, name } }),
  );
  const next = (part: (text: string) => Partial<Part>) => (step: Step, text: string) =>
    new Step(libraryTypes.resourceCheck, step.of.with(part(text)));
  table.add(
    'groupCheck.resource(string): resourceCheck',
    next((resource) => ({ resource })),
  );
  table.add(
    'resourceCheck.subresource(string): resourceCheck',
    next((subresource) => ({ subresource })),
  );
  table.add(
    'resourceCheck.namespace(string): resourceCheck',
    next((namespace) => ({ namespace })),
  );
  table.add(
    'resourceCheck.name(string): resourceCheck',
    next((name) => ({ name })),
  );
  table.add(
    'resourceCheck.fieldSelector(string): resourceCheck',
    next((fieldSelector) => ({ fieldSelector })),
  );
  table.add(
    'resourceCheck.labelSelector(string): resourceCheck',
    next((labelSelector) => ({ labelSelector })),
  );
  table.add('pathCheck.check(string): decision', (step: Step, verb: string) => step.check(verb));
  table.add('resourceCheck.check(string): decision', (step: Step, verb: string) => step.check(verb));
  table.add('decision.allowed(): bool', ({ decision }: Decision) => decision.allowed);
  table.add('decision.reason(): string', ({ decision }: Decision) => decision.reason);
  table.add('decision.errored(): bool', ({ decision }: Decision) => decision.error !== undefined);
  table.add('decision.error(): string', ({ decision }: Decision) => decision.error ?? '');
}
