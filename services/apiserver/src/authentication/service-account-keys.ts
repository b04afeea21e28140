import type { KeyObject } from 'node:crypto';
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';

/** A public key that verifies ServiceAccount tokens. */
export interface VerificationKey {
  /** base64url of the SHA-256 of the SubjectPublicKeyInfo. */
  readonly keyId: string;
  readonly algorithm: string;
  readonly key: KeyObject;
  /** Left out of discovery: it verifies old tokens only. */
  readonly excluded?: boolean;
}

export interface SigningKey {
  readonly keyId: string;
  readonly algorithm: string;
  readonly key: KeyObject;
}

/** All keys of a PEM text: public keys, and the public halves of private ones. Throws when there is none. */
export function readVerificationKeys(pem: string): VerificationKey[] {
  const blocks = pem.match(/-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g) ?? [];
  const keys: VerificationKey[] = [];
  for (const block of blocks) {
    if (block.includes('EC PARAMETERS')) continue;
    const key = createPublicKey(block);
    keys.push({ keyId: keyIdOf(key), algorithm: algorithmOf(key), key });
  }
  if (keys.length === 0) throw new Error('Cannot read ServiceAccount keys: the PEM text has no key');
  return keys;
}

/** Throws when it is not an RSA or ECDSA private key. */
export function readSigningKey(pem: string): SigningKey {
  const key = createPrivateKey(pem);
  const publicKey = createPublicKey(pem);
  return { keyId: keyIdOf(publicKey), algorithm: algorithmOf(publicKey), key };
}

function keyIdOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}

/** Throws when it is neither RSA nor ECDSA of a curve that tokens use. */
export function algorithmOf(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === 'prime256v1') return 'ES256';
  if (curve === 'secp384r1') return 'ES384';
  if (curve === 'secp521r1') return 'ES512';
  throw new Error(
    `Cannot use a key of type "${key.asymmetricKeyType}" for ServiceAccount tokens: expected RSA or ECDSA P-256, P-384 or P-521`,
  );
}
