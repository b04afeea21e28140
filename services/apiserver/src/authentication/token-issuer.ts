import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import type { StatusError } from '@pilothouse/apimachinery';
import { FieldPath, fieldError, hasReason, statusErrors } from '@pilothouse/apimachinery';
import type { Clock, Random } from '@pilothouse/base';
import { errorMessage, uuid } from '@pilothouse/base';
import { SignJWT } from 'jose';
import type { ObjectAccess } from '../security/object-access.ts';
import { resources } from '../security/object-access.ts';
import type { ClaimReference, ServiceAccountClaims } from './service-account-claims.ts';
import type { SigningKey } from './service-account-keys.ts';

const minimumSeconds = 600;
const maximumSeconds = 2 ** 32;
const defaultSeconds = 3600;
/** The lifetime that kube-api-access volumes ask for; by it they are known. */
export const volumeTokenSeconds = 3607;
const extendedSeconds = 365 * 24 * 3600;

export interface TokenIssuerOptions {
  readonly issuer: string;
  /** Header, claims and signature. */
  readonly sign: (claims: ServiceAccountClaims) => Promise<string>;
  readonly apiAudiences: readonly string[];
  readonly extendExpiration: boolean;
  readonly maxExpirationSeconds: number;
  readonly objects: ObjectAccess;
  readonly clock: Clock;
  readonly random: Random;
}

interface BoundObjects {
  readonly pod?: ClaimReference;
  readonly secret?: ClaimReference;
  readonly node?: ClaimReference;
}

interface BoundObjectReference {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly name?: string;
  readonly uid?: string;
}

/** The claims of a new token and its signature. */
export async function signToken(claims: ServiceAccountClaims, key: SigningKey): Promise<string> {
  return new SignJWT({ ...claims, aud: [...claims.aud] })
    .setProtectedHeader({ alg: key.algorithm, kid: key.keyId })
    .sign(key.key);
}

/** Fulfils a TokenRequest for a ServiceAccount; see {@link Authentication.issueToken}. */
export async function fulfilTokenRequest(
  options: TokenIssuerOptions,
  serviceAccount: KubeObject,
  request: KubeObject,
): Promise<KubeObject> {
  const name = serviceAccount.metadata.name ?? '';
  const namespace = serviceAccount.metadata.namespace ?? '';
  const metadata = request.metadata ?? {};
  const kind = { group: 'authentication.k8s.io', kind: 'TokenRequest' };
  const mismatch = (field: string, value: string): StatusError =>
    statusErrors.invalid(kind, name, [
      fieldError.invalid(
        new FieldPath('metadata').child(field),
        value,
        `must match the service account ${field} if specified`,
      ),
    ]);
  if (isOther(metadata.name, name)) throw mismatch('name', metadata.name as string);
  if (isOther(metadata.namespace, namespace)) throw mismatch('namespace', metadata.namespace as string);
  if (isOther(metadata.uid, serviceAccount.metadata.uid ?? '')) {
    throw statusErrors.conflict(
      { group: kind.group, resource: kind.kind },
      name,
      `the UID in the token request (${metadata.uid}) does not match the UID of the service account (${serviceAccount.metadata.uid})`,
    );
  }
  const spec: { audiences?: string[]; expirationSeconds?: number; boundObjectRef?: BoundObjectReference } = {
    ...(request['spec'] as object | undefined),
  };
  if (spec.audiences === undefined || spec.audiences.length === 0) spec.audiences = [...options.apiAudiences];
  spec.expirationSeconds ??= defaultSeconds;
  const problems = validateSeconds(spec.expirationSeconds);
  if (problems.length > 0) {
    throw statusErrors.invalid(kind, '', problems);
  }
  const bound = await boundObjects(options, serviceAccount, spec.boundObjectRef);
  let lifetimeSeconds = Math.min(spec.expirationSeconds, options.maxExpirationSeconds);
  spec.expirationSeconds = lifetimeSeconds;
  const nowSeconds = Math.floor(options.clock.now() / 1000);
  const toldExpiration = nowSeconds + lifetimeSeconds;
  let warnAfter: number | undefined;
  // Old clients read a token once and keep it; for them the token of the standard volume outlives its announced time.
  const toApiServer = spec.audiences.every((audience) => options.apiAudiences.includes(audience));
  if (
    options.extendExpiration &&
    bound.pod !== undefined &&
    lifetimeSeconds === volumeTokenSeconds &&
    toApiServer
  ) {
    warnAfter = toldExpiration;
    lifetimeSeconds = Math.min(extendedSeconds, options.maxExpirationSeconds);
  }
  const claims: ServiceAccountClaims = {
    aud: spec.audiences,
    exp: nowSeconds + lifetimeSeconds,
    iat: nowSeconds,
    iss: options.issuer,
    jti: uuid(options.random),
    'kubernetes.io': {
      namespace,
      ...bound,
      serviceaccount: { name, uid: serviceAccount.metadata.uid ?? '' },
      ...(warnAfter === undefined ? {} : { warnafter: warnAfter }),
    },
    nbf: nowSeconds,
    sub: `system:serviceaccount:${namespace}:${name}`,
  };
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: {
      ...metadata,
      name,
      namespace,
      ...(serviceAccount.metadata.uid === undefined ? {} : { uid: serviceAccount.metadata.uid }),
      creationTimestamp: rfc3339(nowSeconds),
    },
    spec,
    status: {
      token: await signed(options, claims),
      expirationTimestamp: rfc3339(toldExpiration),
    },
  };
}

async function signed(options: TokenIssuerOptions, claims: ServiceAccountClaims): Promise<string> {
  try {
    return await options.sign(claims);
  } catch (error) {
    throw statusErrors.internal(`failed to generate token: ${errorMessage(error)}`);
  }
}

function isOther(given: string | undefined, own: string): boolean {
  return given !== undefined && given !== '' && given !== own;
}

function validateSeconds(seconds: number): FieldError[] {
  const path = new FieldPath('spec').child('expirationSeconds');
  if (seconds < minimumSeconds) {
    return [fieldError.invalid(path, seconds, 'may not specify a duration less than 10 minutes')];
  }
  if (seconds > maximumSeconds) {
    return [fieldError.invalid(path, seconds, 'may not specify a duration larger than 2^32 seconds')];
  }
  return [];
}

async function boundObjects(
  options: TokenIssuerOptions,
  serviceAccount: KubeObject,
  reference: BoundObjectReference | undefined,
): Promise<BoundObjects> {
  if (reference === undefined || reference === null) return {};
  const namespace = serviceAccount.metadata.namespace ?? '';
  const name = reference.name ?? '';
  const kind = `${reference.apiVersion ?? ''}, Kind=${reference.kind ?? ''}`;
  if (reference.apiVersion === 'v1' && reference.kind === 'Pod') {
    const pod = await options.objects.get(resources.pods, namespace, name);
    checkUid(pod, reference, 'Pod');
    const account = pod['spec']?.serviceAccountName as string | undefined;
    if (account !== serviceAccount.metadata.name) {
      throw statusErrors.badRequest(
        `cannot bind token for serviceaccount ${JSON.stringify(serviceAccount.metadata.name)} to pod running with different serviceaccount name.`,
      );
    }
    const nodeName = pod['spec']?.nodeName as string | undefined;
    const node =
      nodeName === undefined || nodeName === '' ? undefined : await nodeReference(options, nodeName);
    return { ...(node === undefined ? {} : { node }), pod: referenceOf(pod) };
  }
  if (reference.apiVersion === 'v1' && reference.kind === 'Secret') {
    const secret = await options.objects.get(resources.secrets, namespace, name);
    checkUid(secret, reference, 'Secret');
    return { secret: referenceOf(secret) };
  }
  if (reference.apiVersion === 'v1' && reference.kind === 'Node') {
    const node = await options.objects.get(resources.nodes, '', name);
    checkUid(node, reference, 'Node');
    return { node: referenceOf(node) };
  }
  throw statusErrors.badRequest(
    `cannot bind token to object of type ${kind.startsWith('v1,') ? `/${kind}` : kind}`,
  );
}

// A pod may name a node that does not exist (yet); the token then carries the name alone.
async function nodeReference(options: TokenIssuerOptions, name: string): Promise<ClaimReference> {
  try {
    return referenceOf(await options.objects.get(resources.nodes, '', name));
  } catch (error) {
    if (hasReason(error, 'NotFound')) return { name };
    throw error;
  }
}

function referenceOf(object: KubeObject): ClaimReference {
  return { name: object.metadata.name ?? '', uid: object.metadata.uid ?? '' };
}

function checkUid(object: KubeObject, reference: BoundObjectReference, kind: string): void {
  if (reference.uid === undefined || reference.uid === '' || reference.uid === object.metadata.uid) return;
  throw statusErrors.conflict(
    { group: '', resource: kind },
    reference.name ?? '',
    `the UID in the bound object reference (${reference.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
  );
}

function rfc3339(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
