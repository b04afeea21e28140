import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import { errors as joseErrors, jwtVerify } from 'jose';
import type { SecuritySeries } from '../metrics/security-series.ts';
import type { ObjectAccess } from '../security/object-access.ts';
import { resources } from '../security/object-access.ts';
import { commonAudiences } from './audiences.ts';
import type { AuthenticationResult, TokenAuthenticator, UserInfo } from './interface.ts';
import { serviceAccountPrefix, serviceAccountsGroup } from './interface.ts';
import type { ClaimReference, ServiceAccountClaims } from './service-account-claims.ts';
import { peekIssuer } from './service-account-claims.ts';
import type { VerificationKey } from './service-account-keys.ts';

const extraPrefix = 'authentication.kubernetes.io/';
const invalidated = 'service account token has been invalidated';
const verifiedEntriesMax = 4096;
/** How long after its deletionTimestamp an object still backs its tokens. */
const deletionLeewayMs = 60_000;

export interface ServiceAccountTokenOptions {
  readonly issuers: readonly string[];
  readonly keys: readonly VerificationKey[];
  readonly apiAudiences: readonly string[];
  readonly lookup: boolean;
  readonly objects: ObjectAccess;
  readonly clock: Clock;
  readonly series?: SecuritySeries | undefined;
}

/** ServiceAccount tokens (JWT). The objects they are bound to must still exist. */
export function serviceAccountTokenAuthenticator(options: ServiceAccountTokenOptions): TokenAuthenticator {
  // A signature never changes, so it is checked once per token; everything that time can change is checked each time.
  const verified = new Map<string, ServiceAccountClaims>();
  return {
    async authenticateToken(token, audiences) {
      const issuer = peekIssuer(token);
      if (issuer === undefined || !options.issuers.includes(issuer)) return undefined;
      let claims = verified.get(token);
      if (claims === undefined) {
        claims = await verifySignature(token, options.keys);
        if (verified.size >= verifiedEntriesMax) verified.clear();
        verified.set(token, claims);
      }
      const tokenAudiences = claims.aud;
      const common = commonAudiences(audiences, tokenAudiences);
      if (common === undefined) {
        throw new Error(
          `token audiences ${goList(tokenAudiences)} is invalid for the target audiences ${goList(audiences)}`,
        );
      }
      return validate(claims, common, options);
    },
  };
}

/** The claims of a token that one of `keys` signed, by the algorithm of that key alone. Throws otherwise. */
export async function verifySignature(
  token: string,
  keys: readonly VerificationKey[],
): Promise<ServiceAccountClaims> {
  for (const { key, algorithm } of keys) {
    try {
      // Dates are checked later against the injected clock.
      const { payload } = await jwtVerify(token, key, {
        algorithms: [algorithm],
        currentDate: new Date(0),
        clockTolerance: Number.MAX_SAFE_INTEGER,
      });
      const audience = payload.aud;
      return {
        ...payload,
        aud: typeof audience === 'string' ? [audience] : (audience ?? []),
      } as unknown as ServiceAccountClaims;
    } catch (error) {
      const other =
        error instanceof joseErrors.JWSSignatureVerificationFailed ||
        error instanceof joseErrors.JOSEAlgNotAllowed;
      if (!other) throw error;
    }
  }
  throw new Error('go-jose/go-jose: error in cryptographic primitive');
}

async function validate(
  claims: ServiceAccountClaims,
  audiences: readonly string[],
  options: ServiceAccountTokenOptions,
): Promise<AuthenticationResult> {
  const nowSeconds = options.clock.now() / 1000;
  if (nowSeconds > claims.exp) throw new Error('service account token has expired');
  if (nowSeconds < claims.nbf) throw new Error('service account token is not valid yet');
  const { namespace, serviceaccount, pod, secret, node } = claims['kubernetes.io'];
  if (options.lookup) {
    const lookup = { objects: options.objects, nowMs: options.clock.now() };
    const account = await required(lookup, 'serviceAccounts', namespace, serviceaccount);
    if (account.metadata.uid !== serviceaccount.uid) {
      throw new Error(
        `service account UID (${account.metadata.uid}) does not match claim (${serviceaccount.uid})`,
      );
    }
    if (secret !== undefined) await bound(lookup, 'secrets', namespace, secret);
    if (pod !== undefined) await bound(lookup, 'pods', namespace, pod);
    else if (node !== undefined) await bound(lookup, 'nodes', '', node);
  }
  const extra: Record<string, string[]> = {
    [`${extraPrefix}credential-id`]: [`JTI=${claims.jti}`],
  };
  addReference(extra, 'node', node);
  addReference(extra, 'pod', pod);
  const user: UserInfo = {
    ...serviceAccountUser(namespace, serviceaccount.name, serviceaccount.uid),
    extra,
  };
  const { warnafter = 0 } = claims['kubernetes.io'];
  if (warnafter === 0) return { user, audiences };
  const accounts = options.series?.accounts;
  if (nowSeconds <= warnafter) {
    accounts?.valid.inc();
    return { user, audiences };
  }
  accounts?.stale.inc();
  const stale = `subject: ${claims.sub}, seconds after warning threshold: ${Math.floor(nowSeconds) - warnafter}`;
  return { user, audiences, auditAnnotations: { 'authentication.k8s.io/stale-token': stale } };
}

/** The user behind a ServiceAccount. */
export function serviceAccountUser(namespace: string, name: string, uid?: string): UserInfo {
  return {
    name: `${serviceAccountPrefix}${namespace}:${name}`,
    ...(uid === undefined || uid === '' ? {} : { uid }),
    groups: [serviceAccountsGroup, `${serviceAccountsGroup}:${namespace}`],
  };
}

/** Namespace and name out of `system:serviceaccount:<namespace>:<name>`; undefined for another user. */
export function splitServiceAccountUser(user: string): { namespace: string; name: string } | undefined {
  if (!user.startsWith(serviceAccountPrefix)) return undefined;
  const parts = user.slice(serviceAccountPrefix.length).split(':');
  if (parts.length !== 2 || parts[0] === '' || parts[1] === '') return undefined;
  return { namespace: parts[0] as string, name: parts[1] as string };
}

function addReference(
  extra: Record<string, string[]>,
  kind: 'node' | 'pod',
  reference: ClaimReference | undefined,
): void {
  if (reference === undefined) return;
  extra[`${extraPrefix}${kind}-name`] = [reference.name];
  if (reference.uid !== undefined && reference.uid !== '')
    extra[`${extraPrefix}${kind}-uid`] = [reference.uid];
}

interface Lookup {
  readonly objects: ObjectAccess;
  readonly nowMs: number;
}

type LookupResource = 'serviceAccounts' | 'secrets' | 'pods' | 'nodes';

// The watch cache answers first. It may not have seen a young object yet, so only the store can say that one is missing.
async function required(
  lookup: Lookup,
  resource: LookupResource,
  namespace: string,
  reference: ClaimReference,
): Promise<KubeObject> {
  const cached = lookup.objects.cached(resources[resource]).get(namespace, reference.name);
  if (cached !== undefined && cached.metadata.uid === reference.uid) return live(cached, lookup.nowMs);
  try {
    return live(await lookup.objects.get(resources[resource], namespace, reference.name), lookup.nowMs);
  } catch (error) {
    if (hasReason(error, 'NotFound')) throw new Error(invalidated, { cause: error });
    throw error;
  }
}

async function bound(
  lookup: Lookup,
  resource: LookupResource,
  namespace: string,
  reference: ClaimReference,
): Promise<void> {
  const object = await required(lookup, resource, namespace, reference);
  if (object.metadata.uid !== reference.uid) {
    const kind = { serviceAccounts: 'service account', secrets: 'secret', pods: 'pod', nodes: 'node' }[
      resource
    ];
    throw new Error(`${kind} UID (${object.metadata.uid}) does not match service account ${kind} ref claim`);
  }
}

// A terminating object keeps its token for a while, so that what runs in a pod can shut down in order.
function live(object: KubeObject, nowMs: number): KubeObject {
  const deletion = object.metadata.deletionTimestamp;
  if (deletion !== undefined && Date.parse(deletion) < nowMs - deletionLeewayMs) throw new Error(invalidated);
  return object;
}

function goList(values: readonly string[]): string {
  return `[${values.map((value) => JSON.stringify(value)).join(' ')}]`;
}
