import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** Claims of a token that lives in a secret: it has no end and no audience. */
interface LegacyClaims {
  readonly namespace: string;
  readonly secretName: string;
  readonly accountName: string;
  readonly accountUid: string;
}

export interface LegacyTokenSigner {
  /** A compact JWS. The same claims give the same RSA token. */
  sign(claims: LegacyClaims): string;
}

const hashOf: Readonly<Record<string, string>> = {
  RS256: 'sha256',
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
};

function algorithmOf(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  const algorithm = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }[
    key.asymmetricKeyDetails?.namedCurve ?? ''
  ];
  if (algorithm === undefined)
    throw new Error('Cannot sign ServiceAccount tokens: expected an RSA or ECDSA private key');
  return algorithm;
}

/** Throws when the PEM text is not an RSA or ECDSA private key. */
export function legacyTokenSigner(pem: string): LegacyTokenSigner {
  const key = createPrivateKey(pem);
  const algorithm = algorithmOf(key);
  const keyId = createHash('sha256')
    .update(createPublicKey(pem).export({ type: 'spki', format: 'der' }))
    .digest('base64url');
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    sign({ namespace, secretName, accountName, accountUid }) {
      const content = `${encode({ alg: algorithm, kid: keyId })}.${encode({
        iss: 'kubernetes/serviceaccount',
        'kubernetes.io/serviceaccount/namespace': namespace,
        'kubernetes.io/serviceaccount/secret.name': secretName,
        'kubernetes.io/serviceaccount/service-account.name': accountName,
        'kubernetes.io/serviceaccount/service-account.uid': accountUid,
        sub: `system:serviceaccount:${namespace}:${accountName}`,
      })}`;
      const signature = sign(hashOf[algorithm], Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' });
      return `${content}.${signature.toString('base64url')}`;
    },
  };
}
