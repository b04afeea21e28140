import type { KubeObject } from '@pilothouse/apimachinery';
import { fieldError, FieldPath, statusErrors } from '@pilothouse/apimachinery';
import type { FieldError } from '@pilothouse/apimachinery';
import type {
  AuthorizationAttributes,
  Authorizer,
  SelectorRequirement,
} from '../../authorization/interface.ts';
import type { RegistryDelegates } from '../delegates.ts';
import type { RestContext, UserInfo } from '../rest/rest-storage.ts';

/** How a review is answered: the object with its status. */
export type ReviewAnswer = (context: RestContext, review: KubeObject) => Promise<KubeObject>;

interface ResourceAttributes {
  readonly namespace?: string;
  readonly verb?: string;
  readonly group?: string;
  readonly version?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly name?: string;
  readonly fieldSelector?: { readonly requirements?: readonly SelectorRequirement[] };
  readonly labelSelector?: { readonly requirements?: readonly SelectorRequirement[] };
}

interface AccessSpec {
  readonly resourceAttributes?: ResourceAttributes;
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string };
  readonly user?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

function attributesOf(user: UserInfo, spec: AccessSpec): AuthorizationAttributes {
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec;
  if (resource !== undefined && resource !== null) {
    return {
      user,
      isResourceRequest: true,
      verb: resource.verb ?? '',
      namespace: resource.namespace ?? '',
      apiGroup: resource.group ?? '',
      apiVersion: resource.version ?? '*',
      resource: resource.resource ?? '',
      subresource: resource.subresource ?? '',
      name: resource.name ?? '',
      path: '',
      ...(resource.fieldSelector?.requirements === undefined
        ? {}
        : { fieldSelector: resource.fieldSelector.requirements }),
      ...(resource.labelSelector?.requirements === undefined
        ? {}
        : { labelSelector: resource.labelSelector.requirements }),
    };
  }
  return {
    user,
    isResourceRequest: false,
    verb: path?.verb ?? '',
    namespace: '',
    apiGroup: '',
    apiVersion: '',
    resource: '',
    subresource: '',
    name: '',
    path: path?.path ?? '',
  };
}

/** SubjectAccessReview, LocalSubjectAccessReview and SelfSubjectAccessReview. */
export function accessReview(kind: 'subject' | 'local' | 'self', delegates: RegistryDelegates): ReviewAnswer {
  return async (context, review) => {
    const spec = (review['spec'] ?? {}) as AccessSpec;
    const errors = validateAccess(kind, spec);
    const objectKind = review.kind ?? '';
    if (kind === 'local') {
      const namespace = context.namespace;
      if ((spec.resourceAttributes?.namespace ?? '') !== namespace) {
        const at = new FieldPath('spec').child('resourceAttributes', 'namespace');
        const text = 'must match metadata.namespace';
        errors.push(fieldError.invalid(at, spec.resourceAttributes?.namespace ?? '', text));
      }
    }
    if (errors.length > 0) {
      throw statusErrors.invalid({ group: 'authorization.k8s.io', kind: objectKind }, '', errors);
    }
    const user: UserInfo =
      kind === 'self'
        ? context.user
        : {
            name: spec.user ?? '',
            groups: spec.groups ?? [],
            ...(spec.uid === undefined ? {} : { uid: spec.uid }),
            ...(spec.extra === undefined ? {} : { extra: spec.extra }),
          };
    const result = await authorizerOf(delegates).authorize(attributesOf(user, spec));
    const status = {
      allowed: result.decision === 'allow',
      ...(result.decision === 'deny' ? { denied: true } : {}),
      ...(result.reason === '' ? {} : { reason: result.reason }),
      ...(result.evaluationError === undefined || result.evaluationError === ''
        ? {}
        : { evaluationError: result.evaluationError }),
    };
    return { ...review, status };
  };
}

function validateAccess(kind: 'subject' | 'local' | 'self', spec: AccessSpec): FieldError[] {
  const errors: FieldError[] = [];
  const path = new FieldPath('spec');
  const hasResource = spec.resourceAttributes !== undefined && spec.resourceAttributes !== null;
  const hasPath = spec.nonResourceAttributes !== undefined && spec.nonResourceAttributes !== null;
  const neither = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
  const both = 'cannot be specified in combination with resourceAttributes';
  if (hasResource && hasPath)
    errors.push(fieldError.invalid(path.child('nonResourceAttributes'), spec.nonResourceAttributes, both));
  if (!hasResource && !hasPath)
    errors.push(fieldError.invalid(path.child('resourceAttributes'), null, neither));
  if (kind !== 'self' && (spec.user ?? '') === '' && (spec.groups ?? []).length === 0) {
    errors.push(
      fieldError.invalid(
        path.child('user'),
        spec.user ?? '',
        'at least one of user or group must be specified',
      ),
    );
  }
  if (kind === 'local' && hasPath) {
    errors.push(
      fieldError.invalid(
        path.child('nonResourceAttributes'),
        spec.nonResourceAttributes,
        'disallowed on this kind of request',
      ),
    );
  }
  return errors;
}

/** SelfSubjectRulesReview. */
export function rulesReview(delegates: RegistryDelegates): ReviewAnswer {
  return async (context, review) => {
    const namespace = (review['spec']?.namespace as string | undefined) ?? '';
    if (namespace === '') throw statusErrors.badRequest('no namespace on request');
    if (delegates.rules === undefined)
      throw statusErrors.serviceUnavailable('No rule resolver is configured');
    const rules = await delegates.rules.rulesFor(context.user, namespace);
    return {
      ...review,
      status: {
        resourceRules: rules.resourceRules,
        nonResourceRules: rules.nonResourceRules,
        incomplete: rules.incomplete,
        ...(rules.evaluationError === '' ? {} : { evaluationError: rules.evaluationError }),
      },
    };
  };
}

function authorizerOf(delegates: RegistryDelegates): Authorizer {
  if (delegates.authorizer === undefined)
    throw statusErrors.serviceUnavailable('No authorizer is configured');
  return delegates.authorizer;
}
