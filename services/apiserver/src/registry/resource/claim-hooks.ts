import type { ClaimRight } from '@pilothouse/api';
import { newAdminAccess, rightsOfClaimStatus } from '@pilothouse/api';
import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, FieldPath } from '@pilothouse/apimachinery';
import { forbidden } from '../../authorization/forbidden.ts';
import type { Authorizer } from '../../authorization/interface.ts';
import { resourceAttributes } from '../../authorization/interface.ts';
import type { RegistryDelegates } from '../delegates.ts';
import type { StoreHooks } from '../generic/store-options.ts';
import type { CacheView, RestContext } from '../rest/rest-storage.ts';

const apiGroup = 'resource.k8s.io';
const label = 'resource.kubernetes.io/admin-access';
const granularRights = 'DRAResourceClaimGranularStatusAuthorization';

interface Request {
  readonly exactly?: { readonly adminAccess?: boolean };
}

type Namespaces = () => CacheView | undefined;

/**
 * Claims of devices: those that others use are given only in namespaces that an administrator has labelled for it, and a claim's status
 * is written by who may bind claims and by drivers, each its own.
 */
export function claimHooks(
  namespaces: Namespaces,
  delegates: RegistryDelegates,
  featureEnabled: (gate: string) => boolean,
): StoreHooks {
  return {
    async findings(context, object, old, subresource) {
      if (old === undefined)
        return adminFindings(object, requestedBy(object['spec']?.devices?.requests), namespaces);
      if (subresource !== 'status') return [];
      const errors = adminFindings(object, newAdminAccess(object, old), namespaces);
      const { verb } = context;
      if (verb !== undefined && delegates.authorizer !== undefined && featureEnabled(granularRights))
        for (const right of rightsOfClaimStatus(object, old, context.user, verb))
          errors.push(...(await rightFindings(right, context, delegates.authorizer)));
      return errors;
    },
  };
}

export function claimTemplateHooks(namespaces: Namespaces): StoreHooks {
  return {
    findings: (_context, object, old) =>
      Promise.resolve(
        old === undefined
          ? adminFindings(object, requestedBy(object['spec']?.spec?.devices?.requests), namespaces)
          : [],
      ),
  };
}

function requestedBy(requests: unknown): FieldPath | undefined {
  const index = ((requests ?? []) as readonly Request[]).findIndex(
    (request) => request.exactly?.adminAccess === true,
  );
  if (index < 0) return undefined;
  return new FieldPath('spec').child('devices', 'requests').index(index).child('adminAccess');
}

function adminFindings(object: KubeObject, at: FieldPath | undefined, namespaces: Namespaces): FieldError[] {
  if (at === undefined) return [];
  const { namespace = '' } = object.metadata;
  if (namespaces()?.get('', namespace)?.metadata.labels?.[label] === 'true') return [];
  const text = `admin access to devices requires the \`${label}: true\` label on the containing namespace`;
  return [fieldError.forbidden(at, text)];
}

/** One of the right's verbs is enough; a refusal is told in the words for the first. */
async function rightFindings(
  right: ClaimRight,
  context: RestContext,
  authorizer: Authorizer,
): Promise<FieldError[]> {
  let refusal: string | undefined;
  for (const verb of right.verbs) {
    const attributes = resourceAttributes(context.user, verb, {
      namespace: right.namespaced ? context.namespace : '',
      apiGroup,
      apiVersion: 'v1',
      resource: 'resourceclaims',
      subresource: right.subresource,
      name: right.name,
    });
    const { decision, reason, evaluationError } = await authorizer.authorize(attributes);
    if (decision === 'allow') return [];
    const why = [evaluationError ?? '', reason].filter((each) => each !== '').join(': ');
    refusal ??= forbidden(attributes, why).message;
  }
  return [fieldError.forbidden(right.path, `${right.refusal}: ${refusal ?? ''}`)];
}
