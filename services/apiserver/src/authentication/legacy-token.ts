import { createHash, timingSafeEqual } from 'node:crypto';
import { hasReason } from '@pilothouse/apimachinery';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { SecuritySeries } from '../metrics/security-series.ts';
import type { ObjectAccess } from '../security/object-access.ts';
import { resources } from '../security/object-access.ts';
import { withApiAudiences } from './audiences.ts';
import type { AuthenticationResult, TokenAuthenticator } from './interface.ts';
import { peekIssuer } from './service-account-claims.ts';
import type { VerificationKey } from './service-account-keys.ts';
import { serviceAccountUser, verifySignature } from './service-account-token.ts';

export const legacyIssuer = 'kubernetes/serviceaccount';
const annotationPrefix = 'authentication.k8s.io/';
const claimPrefix = 'kubernetes.io/serviceaccount/';
const lastUsedLabel = 'kubernetes.io/legacy-token-last-used';
const invalidSinceLabel = 'kubernetes.io/legacy-token-invalid-since';

const dayMs = 86_400_000;

export interface LegacyTokenOptions {
  readonly keys: readonly VerificationKey[];
  readonly apiAudiences: readonly string[];
  /** Whether secret and account must still exist, and the secret hold this very token. */
  readonly lookup: boolean;
  readonly objects: ObjectAccess;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly series?: SecuritySeries | undefined;
}

/** Tokens that secrets of type kubernetes.io/service-account-token hold: they do not expire, so everything else is looked up each time. */
export function legacyTokenAuthenticator(options: LegacyTokenOptions): TokenAuthenticator {
  return {
    async authenticateToken(token, audiences) {
      if (peekIssuer(token) !== legacyIssuer) return undefined;
      const claims = (await verifySignature(token, options.keys)) as unknown as Record<string, unknown>;
      const claim = (name: string, label: string): string => {
        const value = claims[name];
        if (typeof value !== 'string' || value === '') throw new Error(`${label} claim is missing`);
        return value;
      };
      const subject = claim('sub', 'sub');
      const namespace = claim(`${claimPrefix}namespace`, 'namespace');
      const secretName = claim(`${claimPrefix}secret.name`, 'secretName');
      const name = claim(`${claimPrefix}service-account.name`, 'serviceAccountName');
      const uid = claim(`${claimPrefix}service-account.uid`, 'serviceAccountUID');
      if (subject !== `system:serviceaccount:${namespace}:${name}`) throw new Error('sub claim is invalid');
      const notes = options.lookup
        ? await check(options, { token, namespace, secretName, name, uid })
        : undefined;
      options.series?.accounts.legacy.inc();
      return withApiAudiences(
        { user: serviceAccountUser(namespace, name, uid), ...notes },
        audiences,
        options.apiAudiences,
      );
    },
  };
}

async function check(
  options: LegacyTokenOptions,
  given: { token: string; namespace: string; secretName: string; name: string; uid: string },
): Promise<Pick<AuthenticationResult, 'warnings' | 'auditAnnotations'>> {
  const { token, namespace, secretName, name, uid } = given;
  const accounts = options.series?.accounts;
  const gone = 'Token has been invalidated';
  const secret = await existing(options.objects, resources.secrets, namespace, secretName, gone);
  const data = secret['data'] as Record<string, string> | undefined;
  if (!sameToken(Buffer.from(data?.['token'] ?? '', 'base64').toString('utf8'), token))
    throw new Error("Token does not match server's copy");
  const deleted = `ServiceAccount ${namespace}/${name} has been deleted`;
  const account = await existing(options.objects, resources.serviceAccounts, namespace, name, deleted);
  if (account.metadata.uid !== uid)
    throw new Error(`ServiceAccount UID (${account.metadata.uid}) does not match claim (${uid})`);
  if ((secret.metadata.labels?.[invalidSinceLabel] ?? '') !== '') {
    accounts?.invalid.inc();
    void noteUse(options, secret);
    throw new Error(
      `the token in secret ${namespace}/${secretName} for service account ${namespace}/${name} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '${invalidSinceLabel}' label from the secret to temporarily allow use of this token`,
    );
  }
  void noteUse(options, secret);
  const listed = (account['secrets'] ?? []) as readonly { readonly name?: string }[];
  if (!listed.some((reference) => reference.name === secretName)) {
    accounts?.manual.inc();
    return { auditAnnotations: { [`${annotationPrefix}legacy-token-manual-secret`]: secretName } };
  }
  accounts?.automatic.inc();
  return {
    warnings: [
      'Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens.',
    ],
    auditAnnotations: { [`${annotationPrefix}legacy-token-autogenerated-secret`]: secretName },
  };
}

async function existing(
  objects: ObjectAccess,
  resource: (typeof resources)['secrets' | 'serviceAccounts'],
  namespace: string,
  name: string,
  missing: string,
): Promise<KubeObject> {
  let object = objects.cached(resource).get(namespace, name);
  try {
    // The cache may not have seen a young one yet.
    object ??= await objects.get(resource, namespace, name);
  } catch (error) {
    if (hasReason(error, 'NotFound')) throw new Error(missing, { cause: error });
    throw error;
  }
  if (object.metadata.deletionTimestamp !== undefined) throw new Error(missing);
  return object;
}

/** The day of the last use, on the secret: by it the clean-up of unused tokens goes. */
async function noteUse({ objects, clock, logger }: LegacyTokenOptions, secret: KubeObject): Promise<void> {
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const today = day(clock.now());
  const { namespace = '', name = '', labels } = secret.metadata;
  // Clocks of servers differ: one may be a day ahead already.
  if ([today, day(clock.now() + dayMs)].includes(labels?.[lastUsedLabel] ?? '')) return;
  try {
    await objects.update(resources.secrets, namespace, {
      ...secret,
      metadata: { ...secret.metadata, labels: { ...labels, [lastUsedLabel]: today } },
    });
  } catch (error) {
    // Somebody else was faster, or the next use will try again.
    logger.warn('Cannot note the use of a legacy token', { namespace, name, error: errorMessage(error) });
  }
}

function sameToken(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return a !== '' && timingSafeEqual(digest(a), digest(b));
}
