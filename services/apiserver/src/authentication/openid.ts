import { createPublicKey } from 'node:crypto';
import type { VerificationKey } from './service-account-keys.ts';

/** Issuer discovery of OpenID Connect: enough for others to verify ServiceAccount tokens. */
export interface OpenIdDocuments {
  /** Undefined when the first issuer is not an https URL. */
  readonly configuration: string | undefined;
  readonly keySet: string;
}

export function openIdDocuments(
  issuers: readonly string[],
  keys: readonly VerificationKey[],
  jwksUri: string,
): OpenIdDocuments {
  const shown = keys.filter(({ excluded }) => excluded !== true);
  const algorithms = [...new Set(shown.map((key) => key.algorithm))].sort();
  const issuer = issuers[0] ?? '';
  const configuration = issuer.startsWith('https://')
    ? JSON.stringify({
        issuer,
        jwks_uri: jwksUri,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: algorithms,
      })
    : undefined;
  const keySet = JSON.stringify({
    keys: shown.map((entry) => {
      const jwk = createPublicKey({
        key: entry.key.export({ type: 'spki', format: 'pem' }) as string,
      }).export({
        format: 'jwk',
      });
      const { kty, crv, x, y, n, e } = jwk as Record<string, string | undefined>;
      return { use: 'sig', kty, kid: entry.keyId, crv, alg: entry.algorithm, x, y, n, e };
    }),
  });
  return { configuration, keySet };
}
