import { goQuote, statusErrors } from '@pilothouse/apimachinery';
import type { AuthorizationAttributes, Authorizer } from '../authorization/interface.ts';
import { resourceAttributes } from '../authorization/interface.ts';
import { forbidden } from '../authorization/forbidden.ts';
import { headersWithPrefix, headerValue, headerValues } from './headers.ts';
import type { AuthenticationRequest, UserInfo } from './interface.ts';
import {
  anonymousUser,
  authenticatedGroup,
  nodeUserPrefix,
  serviceAccountsGroup,
  unauthenticatedGroup,
} from './interface.ts';
import { splitServiceAccountUser } from './service-account-token.ts';

const authenticationGroup = 'authentication.k8s.io';
const nodeNameExtra = 'authentication.kubernetes.io/node-name';

/** The Impersonate-* headers of a request. */
export interface ImpersonationRequest {
  readonly user: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** Undefined without impersonation. Throws StatusError 400 when a user is missing but other headers are there. */
export function impersonationRequest(
  headers: AuthenticationRequest['headers'],
): ImpersonationRequest | undefined {
  const user = headerValue(headers, 'impersonate-user');
  const uid = headerValue(headers, 'impersonate-uid');
  const groups = headerValues(headers, 'impersonate-group');
  const extra = headersWithPrefix(headers, 'impersonate-extra-');
  const hasMore = groups.length > 0 || Object.keys(extra).length > 0 || uid !== '';
  if (user === '') {
    if (!hasMore) return undefined;
    const shown = goUser({ uid, groups, extra });
    throw statusErrors.badRequest(`requested ${shown} without impersonating a user name`);
  }
  return { user, uid, groups, extra };
}

/** A user as Go prints it. */
function goUser(user: Omit<ImpersonationRequest, 'user'>): string {
  const list = (values: readonly string[]): string =>
    values.length === 0 ? '[]string(nil)' : `[]string{${values.map((value) => goQuote(value)).join(', ')}}`;
  const keys = Object.keys(user.extra).sort();
  const extra =
    keys.length === 0
      ? 'map[string][]string(nil)'
      : `map[string][]string{${keys.map((key) => `${goQuote(key)}:${list(user.extra[key] ?? [])}`).join(', ')}}`;
  return `&user.DefaultInfo{Name:"", UID:${goQuote(user.uid)}, Groups:${list(user.groups)}, Extra:${extra}}`;
}

/** Headers to take off a request once it was impersonated, so that nothing behind reads them again. */
export function isImpersonationHeader(name: string): boolean {
  return name.toLowerCase().startsWith('impersonate-');
}

/** What came of an impersonation. */
export interface Impersonated {
  readonly user: UserInfo;
  /** Of the constrained kind that allowed it; undefined: the verb `impersonate` did. */
  readonly mode: ImpersonationMode | undefined;
}

/** Per authorizer, the requestors that last acted by the verb `impersonate`; their refusals are worded in its terms. */
const legacyRequestorsOf = new WeakMap<Authorizer, Set<string>>();
const legacyRequestorsMax = 1024;

/**
 * The user that `requestor` may act as, or StatusError 403. Constrained impersonation is tried first: `impersonate-on:<mode>:<verb>` on
 * what the request is for, and `impersonate:<mode>` on the identity. The verb `impersonate` on the identity stands for both.
 */
export async function impersonate(
  requestor: UserInfo,
  wanted: ImpersonationRequest,
  request: AuthorizationAttributes,
  authorizer: Authorizer,
): Promise<Impersonated> {
  const mode = modeOf(requestor, wanted);
  const legacy = (): Promise<Finding | undefined> =>
    firstRefused(authorizer, legacyChecks(requestor, wanted));
  const constrained = async (): Promise<Finding | undefined> =>
    mode === undefined
      ? await legacy()
      : firstRefused(authorizer, [
          { ...request, user: requestor, verb: `impersonate-on:${mode}:${request.verb}` },
          ...constrainedChecks(requestor, wanted, mode),
        ]);
  const legacyRequestors = legacyRequestorsOf.get(authorizer) ?? new Set<string>();
  legacyRequestorsOf.set(authorizer, legacyRequestors);
  const legacyFirst = legacyRequestors.has(requestor.name);
  const finding = await (legacyFirst ? legacy() : constrained());
  let byLegacy = legacyFirst || mode === undefined;
  if (finding !== undefined) {
    if ((await (legacyFirst ? constrained() : legacy())) !== undefined) {
      throw forbidden(finding.attributes, finding.reason);
    }
    byLegacy = !byLegacy;
  }
  if (!byLegacy) legacyRequestors.delete(requestor.name);
  else {
    if (legacyRequestors.size >= legacyRequestorsMax) legacyRequestors.clear();
    legacyRequestors.add(requestor.name);
  }
  return { user: impersonatedUser(wanted), mode: byLegacy ? undefined : mode };
}

interface Finding {
  readonly attributes: AuthorizationAttributes;
  readonly reason: string;
}

export type ImpersonationMode = 'associated-node' | 'arbitrary-node' | 'serviceaccount' | 'user-info';

/** Undefined: only the old verb covers it, as service accounts and nodes come with groups of their own. */
function modeOf(requestor: UserInfo, wanted: ImpersonationRequest): ImpersonationMode | undefined {
  const isAccount = splitServiceAccountUser(wanted.user) !== undefined;
  if (!isAccount && !wanted.user.startsWith(nodeUserPrefix)) return 'user-info';
  const hasMore = wanted.uid !== '' || wanted.groups.length > 0 || Object.keys(wanted.extra).length > 0;
  if (hasMore) return undefined;
  if (isAccount) return 'serviceaccount';
  const own = requestor.extra?.[nodeNameExtra]?.[0];
  return own !== undefined && wanted.user === `${nodeUserPrefix}${own}`
    ? 'associated-node'
    : 'arbitrary-node';
}

function constrainedChecks(
  requestor: UserInfo,
  wanted: ImpersonationRequest,
  mode: ImpersonationMode,
): AuthorizationAttributes[] {
  const verb = `impersonate:${mode}`;
  const ask = (resource: string, name: string, more: { namespace?: string; subresource?: string } = {}) =>
    resourceAttributes(requestor, verb, {
      apiGroup: authenticationGroup,
      apiVersion: 'v1',
      resource,
      name,
      ...more,
    });
  if (mode === 'associated-node') return [ask('nodes', '*')];
  if (mode === 'arbitrary-node') return [ask('nodes', wanted.user.slice(nodeUserPrefix.length))];
  if (mode === 'serviceaccount') {
    const account = splitServiceAccountUser(wanted.user) as { namespace: string; name: string };
    return [ask('serviceaccounts', account.name, { namespace: account.namespace })];
  }
  return [
    ask('users', wanted.user),
    ...(wanted.uid === '' ? [] : [ask('uids', wanted.uid)]),
    ...wanted.groups.map((group) => ask('groups', group)),
    ...extraPairs(wanted).map(([key, value]) => ask('userextras', value, { subresource: key })),
  ];
}

function legacyChecks(requestor: UserInfo, wanted: ImpersonationRequest): AuthorizationAttributes[] {
  const account = splitServiceAccountUser(wanted.user);
  const ask = (target: Parameters<typeof resourceAttributes>[2]): AuthorizationAttributes =>
    resourceAttributes(requestor, 'impersonate', { apiVersion: 'v1', ...target });
  return [
    account === undefined
      ? ask({ resource: 'users', name: wanted.user })
      : ask({ resource: 'serviceaccounts', namespace: account.namespace, name: account.name }),
    ...wanted.groups.map((group) => ask({ resource: 'groups', name: group })),
    ...extraPairs(wanted).map(([key, value]) =>
      ask({ apiGroup: authenticationGroup, resource: 'userextras', subresource: key, name: value }),
    ),
    ...(wanted.uid === ''
      ? []
      : [ask({ apiGroup: authenticationGroup, resource: 'uids', name: wanted.uid })]),
  ];
}

function extraPairs(wanted: ImpersonationRequest): [string, string][] {
  return Object.entries(wanted.extra).flatMap(([key, values]) =>
    values.map((value): [string, string] => [key, value]),
  );
}

async function firstRefused(
  authorizer: Authorizer,
  checks: readonly AuthorizationAttributes[],
): Promise<Finding | undefined> {
  for (const attributes of checks) {
    const problem = extraKeyProblem(attributes);
    if (problem !== undefined) {
      return { attributes: { ...attributes, name: '', subresource: '' }, reason: problem };
    }
    const { decision, reason } = await authorizer.authorize(attributes);
    if (decision !== 'allow') return { attributes, reason };
  }
  return undefined;
}

/** Constrained impersonation takes extra keys with a domain only. */
function extraKeyProblem({ verb, resource, subresource }: AuthorizationAttributes): string | undefined {
  if (verb === 'impersonate' || resource !== 'userextras' || /^[^/]+\.[^/]+\/.+$/.test(subresource)) {
    return undefined;
  }
  return `impersonating an invalid key in extra is not allowed: extra.key: Invalid value: ${goQuote(subresource)}: must be a domain-prefixed path (such as "acme.io/foo")`;
}

function impersonatedUser(wanted: ImpersonationRequest): UserInfo {
  const groups = [...wanted.groups];
  const account = splitServiceAccountUser(wanted.user);
  if (groups.length === 0 && account !== undefined) {
    groups.push(serviceAccountsGroup, `${serviceAccountsGroup}:${account.namespace}`);
  }
  if (wanted.user === anonymousUser) {
    if (!groups.includes(unauthenticatedGroup)) groups.push(unauthenticatedGroup);
  } else if (!groups.includes(authenticatedGroup) && !groups.includes(unauthenticatedGroup)) {
    groups.push(authenticatedGroup);
  }
  return {
    name: wanted.user,
    ...(wanted.uid === '' ? {} : { uid: wanted.uid }),
    groups,
    ...(Object.keys(wanted.extra).length === 0 ? {} : { extra: wanted.extra }),
  };
}
