import { statusErrors } from '@pilothouse/apimachinery';
import type { AuthorizationAttributes, Authorizer } from '../authorization/interface.ts';
import { resourceAttributes } from '../authorization/interface.ts';
import { forbidden } from '../authorization/forbidden.ts';
import { headersWithPrefix, headerValue, headerValues } from './headers.ts';
import type { AuthenticationRequest, UserInfo } from './interface.ts';
import {
  anonymousUser,
  authenticatedGroup,
  nodesGroup,
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

/** Undefined without impersonation. Throws StatusError 500, as upstream, when a user is missing but other headers are there. */
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
    throw statusErrors.internal(
      `requested ${JSON.stringify({ groups, extra, uid })} without impersonating a user name`,
    );
  }
  return { user, uid, groups, extra };
}

/** Headers to take off a request once it was impersonated, so that nothing behind reads them again. */
export function isImpersonationHeader(name: string): boolean {
  return name.toLowerCase().startsWith('impersonate-');
}

/**
 * The user that `requestor` may act as, or StatusError 403. Constrained impersonation is tried first: `impersonate-on:<mode>:<verb>` on
 * what the request is for, and `impersonate:<mode>` on the identity. The verb `impersonate` on the identity stands for both.
 */
export async function impersonate(
  requestor: UserInfo,
  wanted: ImpersonationRequest,
  request: AuthorizationAttributes,
  authorizer: Authorizer,
): Promise<UserInfo> {
  const mode = modeOf(requestor, wanted);
  const firstFinding = await firstRefused(authorizer, [
    { ...request, user: requestor, verb: `impersonate-on:${mode}:${request.verb}` },
    ...constrainedChecks(requestor, wanted, mode),
  ]);
  if (firstFinding !== undefined) {
    const legacyFinding = await firstRefused(authorizer, legacyChecks(requestor, wanted));
    if (legacyFinding !== undefined) throw forbidden(firstFinding.attributes, firstFinding.reason);
  }
  return impersonatedUser(wanted);
}

type Mode = 'associated-node' | 'arbitrary-node' | 'serviceaccount' | 'user-info';

function modeOf(requestor: UserInfo, wanted: ImpersonationRequest): Mode {
  if (splitServiceAccountUser(wanted.user) !== undefined) return 'serviceaccount';
  if (!wanted.user.startsWith(nodeUserPrefix)) return 'user-info';
  const own = requestor.extra?.[nodeNameExtra]?.[0];
  return own !== undefined && wanted.user === `${nodeUserPrefix}${own}`
    ? 'associated-node'
    : 'arbitrary-node';
}

function constrainedChecks(
  requestor: UserInfo,
  wanted: ImpersonationRequest,
  mode: Mode,
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
): Promise<{ attributes: AuthorizationAttributes; reason: string } | undefined> {
  for (const attributes of checks) {
    const { decision, reason } = await authorizer.authorize(attributes);
    if (decision !== 'allow') return { attributes, reason };
  }
  return undefined;
}

function impersonatedUser(wanted: ImpersonationRequest): UserInfo {
  const groups = [...wanted.groups];
  const account = splitServiceAccountUser(wanted.user);
  if (groups.length === 0 && account !== undefined) {
    groups.push(serviceAccountsGroup, `${serviceAccountsGroup}:${account.namespace}`);
  }
  if (groups.length === 0 && wanted.user.startsWith(nodeUserPrefix)) groups.push(nodesGroup);
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
