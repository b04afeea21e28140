import type { FieldError, KubeObject, StatusError } from '@pilothouse/apimachinery';
import { FieldPath, fieldError, statusErrors } from '@pilothouse/apimachinery';
import type { UserInfo } from '../authentication/interface.ts';
import type { AuthorizationAttributes, Authorizer, ResolvedRules, SelectorRequirement } from './interface.ts';
import { fieldRequirements, labelRequirements } from '../filters/selector-requirements.ts';
import { pathAttributes } from './interface.ts';

interface SelectorSpec {
  readonly rawSelector?: string;
  readonly requirements?: readonly SelectorRequirement[];
}

interface ReviewSpec {
  readonly resourceAttributes?: Partial<
    Record<'namespace' | 'verb' | 'group' | 'version' | 'resource' | 'subresource' | 'name', string>
  > & { readonly fieldSelector?: SelectorSpec; readonly labelSelector?: SelectorSpec };
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string };
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

const specPath = new FieldPath('spec');

/** Which of the three kinds of review it is. */
export type ReviewKind = 'subject' | 'localSubject' | 'self';

/** Answers an access review: `self` is the user of the request for a SelfSubjectAccessReview. Throws StatusError 400 and 422. */
export async function reviewAccess(
  authorizer: Authorizer,
  kind: ReviewKind,
  review: KubeObject,
  options: { readonly namespace?: string; readonly self?: UserInfo },
): Promise<KubeObject> {
  const spec = (review['spec'] as ReviewSpec | undefined) ?? {};
  const problems = validateReview(kind, review, spec, options.namespace ?? '');
  if (problems.length > 0) throw invalidReview(problems);
  const asked = spec.resourceAttributes?.namespace ?? '';
  if (kind === 'localSubject' && asked !== options.namespace) {
    throw statusErrors.badRequest(
      `spec.resourceAttributes.namespace must match namespace: ${options.namespace ?? ''}`,
    );
  }
  const result = await authorizer.authorize(attributesOf(spec, options.self ?? reviewedUser(spec)));
  const evaluationErrors = [
    ...(result.evaluationError === undefined ? [] : [result.evaluationError]),
    ...badSelectors(spec),
  ];
  return {
    ...review,
    status: {
      allowed: result.decision === 'allow',
      ...(result.decision === 'deny' ? { denied: true } : {}),
      ...(result.reason === '' ? {} : { reason: result.reason }),
      ...(evaluationErrors.length === 0 ? {} : { evaluationError: evaluationErrors.join('\n') }),
    },
  };
}

/** Answers a SelfSubjectRulesReview. */
export async function reviewRules(
  rulesFor: (namespace: string) => Promise<ResolvedRules>,
  review: KubeObject,
): Promise<KubeObject> {
  const namespace = ((review['spec'] as { namespace?: string } | undefined) ?? {}).namespace ?? '';
  if (namespace === '') throw statusErrors.badRequest('no namespace on request');
  const rules = await rulesFor(namespace);
  return {
    kind: 'SelfSubjectRulesReview',
    apiVersion: 'authorization.k8s.io/v1',
    metadata: {},
    spec: {},
    status: {
      resourceRules: rules.resourceRules.map((rule) => ({
        verbs: rule.verbs,
        ...(nonEmpty(rule.apiGroups) ? { apiGroups: rule.apiGroups } : {}),
        ...(nonEmpty(rule.resources) ? { resources: rule.resources } : {}),
        ...(nonEmpty(rule.resourceNames) ? { resourceNames: rule.resourceNames } : {}),
      })),
      nonResourceRules: rules.nonResourceRules.map((rule) => ({
        verbs: rule.verbs,
        ...(nonEmpty(rule.nonResourceURLs) ? { nonResourceURLs: rule.nonResourceURLs } : {}),
      })),
      incomplete: rules.incomplete,
      ...(rules.evaluationError === '' ? {} : { evaluationError: rules.evaluationError }),
    },
  };
}

function validateReview(
  kind: ReviewKind,
  review: KubeObject,
  spec: ReviewSpec,
  namespace: string,
): FieldError[] {
  const problems: FieldError[] = [];
  const { resourceAttributes, nonResourceAttributes } = spec;
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined) {
    problems.push(
      fieldError.invalid(
        specPath.child('nonResourceAttributes'),
        goPathAttributes(nonResourceAttributes),
        'cannot be specified in combination with resourceAttributes',
      ),
    );
  }
  if (resourceAttributes === undefined && nonResourceAttributes === undefined) {
    problems.push(
      fieldError.invalid(
        specPath.child('resourceAttributes'),
        null,
        'exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ),
    );
  }
  if (kind !== 'self' && (spec.user ?? '') === '' && (spec.groups?.length ?? 0) === 0) {
    problems.push(
      fieldError.invalid(
        specPath.child('user'),
        spec.user ?? '',
        'at least one of user or group must be specified',
      ),
    );
  }
  if (resourceAttributes !== undefined) problems.push(...validateSelectors(resourceAttributes));
  const { namespace: ownNamespace, managedFields: _, ...rest } = review.metadata;
  const metadata = kind === 'localSubject' || ownNamespace === undefined ? rest : review.metadata;
  if (Object.values(metadata).some((value) => value !== null && value !== undefined)) {
    const detail = kind === 'localSubject' ? 'must be empty except for namespace' : 'must be empty';
    problems.push(fieldError.invalid(new FieldPath('metadata'), review.metadata, detail));
  }
  if (kind === 'localSubject') {
    const asked = resourceAttributes?.namespace ?? '';
    if (resourceAttributes !== undefined && asked !== (ownNamespace ?? namespace)) {
      problems.push(
        fieldError.invalid(
          specPath.child('resourceAttributes', 'namespace'),
          asked,
          'must match metadata.namespace',
        ),
      );
    }
    if (nonResourceAttributes !== undefined) {
      problems.push(
        fieldError.invalid(
          specPath.child('nonResourceAttributes'),
          goPathAttributes(nonResourceAttributes),
          'disallowed on this kind of request',
        ),
      );
    }
  }
  return problems;
}

/** The value as upstream's messages show it: its internal type has no JSON names. */
function goPathAttributes(attributes: NonNullable<ReviewSpec['nonResourceAttributes']>): unknown {
  return { Path: attributes.path ?? '', Verb: attributes.verb ?? '' };
}

function validateSelectors(attributes: NonNullable<ReviewSpec['resourceAttributes']>): FieldError[] {
  const problems: FieldError[] = [];
  for (const name of ['fieldSelector', 'labelSelector'] as const) {
    const selector = attributes[name];
    if (selector === undefined) continue;
    const path = specPath.child('resourceAttributes', name);
    const hasRaw = (selector.rawSelector ?? '') !== '';
    const count = selector.requirements?.length ?? 0;
    if (hasRaw && count > 0) {
      problems.push(
        fieldError.invalid(
          path.child('rawSelector'),
          selector.rawSelector,
          'may not specified at the same time as requirements',
        ),
      );
    }
    if (!hasRaw && count === 0) {
      problems.push(
        fieldError.required(
          path.child('requirements'),
          `when ${path} is specified, requirements or rawSelector is required`,
        ),
      );
    }
  }
  return problems;
}

const selectorOperators = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

function badSelectors(spec: ReviewSpec): string[] {
  const found: string[] = [];
  for (const name of ['fieldSelector', 'labelSelector'] as const) {
    const requirements = spec.resourceAttributes?.[name]?.requirements ?? [];
    if (requirements.some(({ operator }) => !selectorOperators.includes(operator))) {
      found.push(`spec.resourceAttributes.${name} ignored due to parse error`);
    }
  }
  return found;
}

// Upstream passes an empty kind here, which shows in the message and leaves the kind out of the details.
function invalidReview(problems: readonly FieldError[]): StatusError {
  const error = statusErrors.invalid({ group: 'authorization.k8s.io', kind: '' }, '', problems);
  if (error.status.details?.kind === '') delete error.status.details.kind;
  return error;
}

function reviewedUser(spec: ReviewSpec): UserInfo {
  const extra = Object.fromEntries(
    Object.entries(spec.extra ?? {}).map(([key, values]) => [key.toLowerCase(), values]),
  );
  return {
    name: spec.user ?? '',
    groups: spec.groups ?? [],
    ...(spec.uid === undefined ? {} : { uid: spec.uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

function attributesOf(spec: ReviewSpec, user: UserInfo): AuthorizationAttributes {
  const target = spec.resourceAttributes;
  if (target === undefined) {
    return pathAttributes(
      user,
      spec.nonResourceAttributes?.verb ?? '',
      spec.nonResourceAttributes?.path ?? '',
    );
  }
  return {
    user,
    verb: target.verb ?? '',
    isResourceRequest: true,
    namespace: target.namespace ?? '',
    apiGroup: target.group ?? '',
    apiVersion: target.version === undefined || target.version === '' ? '*' : target.version,
    resource: target.resource ?? '',
    subresource: target.subresource ?? '',
    name: target.name ?? '',
    path: '',
    ...selected('fieldSelector', target.fieldSelector, fieldRequirements),
    ...selected('labelSelector', target.labelSelector, labelRequirements),
  };
}

/** What an authorizer is told of a selector: nothing when it is bad, which asks for the broader right. */
function selected(
  name: 'fieldSelector' | 'labelSelector',
  selector: SelectorSpec | undefined,
  parse: (text: string | undefined) => SelectorRequirement[] | undefined,
): Record<string, readonly SelectorRequirement[]> {
  const requirements =
    selector?.requirements?.filter(({ operator }) => selectorOperators.includes(operator)) ??
    parse(selector?.rawSelector);
  return requirements === undefined || requirements.length === 0 ? {} : { [name]: requirements };
}

function nonEmpty(values: readonly string[] | undefined): boolean {
  return values !== undefined && values.length > 0;
}
