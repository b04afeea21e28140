import { createCipheriv, createDecipheriv, createHmac, createSecretKey } from 'node:crypto';
import type { CipherGCMTypes, KeyObject } from 'node:crypto';
import type { Random } from '@pilothouse/base';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa';
import type { Decrypted, ValueTransformer } from './transformer.ts';
import { concat, EncryptionError } from './transformer.ts';

const encoder = new TextEncoder();
const gcmNonceBytes = 12;
const gcmTagBytes = 16;
const cbcBlockBytes = 16;
const secretboxNonceBytes = 24;
const secretboxTagBytes = 16;
const infoBytes = 32;
/** Keys derived for reading that are remembered; one is about 300 bytes. */
const derivedKeysKept = 4096;

const tooShort = (): EncryptionError =>
  new EncryptionError('the stored data was shorter than the required size');

/** AES-GCM with a random nonce: nonce (12), ciphertext, tag (16). The path is authenticated. `key` has 16, 24 or 32 bytes. */
export class GcmTransformer implements ValueTransformer {
  readonly #key: KeyObject;
  readonly #cipher: CipherGCMTypes;
  readonly #random: Random;

  constructor(key: Uint8Array, random: Random) {
    this.#cipher = `aes-${key.length * 8}-gcm` as CipherGCMTypes;
    this.#key = createSecretKey(key);
    this.#random = random;
  }

  encrypt(value: Uint8Array, path: string): Uint8Array {
    const nonce = this.#random.bytes(gcmNonceBytes);
    const cipher = createCipheriv(this.#cipher, this.#key, nonce);
    cipher.setAAD(encoder.encode(path));
    return concat(nonce, cipher.update(value), cipher.final(), cipher.getAuthTag());
  }

  decrypt(stored: Uint8Array, path: string): Decrypted {
    if (stored.length < gcmNonceBytes + gcmTagBytes) throw tooShort();
    const decipher = createDecipheriv(this.#cipher, this.#key, stored.subarray(0, gcmNonceBytes));
    decipher.setAAD(encoder.encode(path));
    decipher.setAuthTag(stored.subarray(stored.length - gcmTagBytes));
    const value = decipher.update(stored.subarray(gcmNonceBytes, stored.length - gcmTagBytes));
    try {
      decipher.final();
    } catch {
      throw new EncryptionError('cipher: message authentication failed');
    }
    return { value, stale: false };
  }
}

/** AES-CBC with PKCS #7 padding: IV (16), ciphertext. Nothing is authenticated. `key` has 16, 24 or 32 bytes. */
export class CbcTransformer implements ValueTransformer {
  readonly #key: KeyObject;
  readonly #cipher: string;
  readonly #random: Random;

  constructor(key: Uint8Array, random: Random) {
    this.#cipher = `aes-${key.length * 8}-cbc`;
    this.#key = createSecretKey(key);
    this.#random = random;
  }

  encrypt(value: Uint8Array): Uint8Array {
    const iv = this.#random.bytes(cbcBlockBytes);
    const cipher = createCipheriv(this.#cipher, this.#key, iv);
    return concat(iv, cipher.update(value), cipher.final());
  }

  decrypt(stored: Uint8Array): Decrypted {
    if (stored.length < 2 * cbcBlockBytes) throw tooShort();
    if (stored.length % cbcBlockBytes !== 0) {
      throw new EncryptionError('the stored data is not a multiple of the block size');
    }
    const decipher = createDecipheriv(this.#cipher, this.#key, stored.subarray(0, cbcBlockBytes));
    try {
      const value = concat(decipher.update(stored.subarray(cbcBlockBytes)), decipher.final());
      return { value, stale: false };
    } catch {
      throw new EncryptionError('invalid padding on input');
    }
  }
}

/** XSalsa20 and Poly1305, NaCl's secretbox: nonce (24), tag (16), ciphertext. `key` has 32 bytes; the path is not authenticated. */
export class SecretboxTransformer implements ValueTransformer {
  readonly #key: Uint8Array;
  readonly #random: Random;

  constructor(key: Uint8Array, random: Random) {
    this.#key = key;
    this.#random = random;
  }

  encrypt(value: Uint8Array): Uint8Array {
    const nonce = this.#random.bytes(secretboxNonceBytes);
    return concat(nonce, xsalsa20poly1305(this.#key, nonce).encrypt(value));
  }

  decrypt(stored: Uint8Array): Decrypted {
    if (stored.length < secretboxNonceBytes + secretboxTagBytes) throw tooShort();
    const nonce = stored.slice(0, secretboxNonceBytes);
    try {
      const value = xsalsa20poly1305(this.#key, nonce).decrypt(stored.slice(secretboxNonceBytes));
      return { value, stale: false };
    } catch {
      throw new EncryptionError('cannot open the secretbox: wrong key or damaged data');
    }
  }
}

/**
 * AES-256-GCM with a key of its own for each value, derived from a seed by HKDF-Expand with SHA-256: info (32 random bytes), then as
 * {@link GcmTransformer}. So one seed lasts for any number of values. `seed` has at least 32 bytes.
 */
export class DerivedKeyTransformer implements ValueTransformer {
  readonly #seed: KeyObject;
  readonly #random: Random;
  /** By path: objects are read again more often than others. */
  readonly #derived = new Map<string, { readonly info: Uint8Array; readonly transformer: GcmTransformer }>();

  constructor(seed: Uint8Array, random: Random) {
    if (seed.length < 32) {
      throw new EncryptionError(`invalid seed length ${seed.length} used for key generation`);
    }
    this.#seed = createSecretKey(seed);
    this.#random = random;
  }

  encrypt(value: Uint8Array, path: string): Uint8Array {
    const info = this.#random.bytes(infoBytes);
    return concat(info, this.#of(info, path).encrypt(value, path));
  }

  decrypt(stored: Uint8Array, path: string): Decrypted {
    if (stored.length < infoBytes) throw tooShort();
    const info = stored.subarray(0, infoBytes);
    const known = this.#derived.get(path);
    const transformer =
      known !== undefined && Buffer.compare(known.info, info) === 0
        ? known.transformer
        : this.#of(info.slice(), path);
    return transformer.decrypt(stored.subarray(infoBytes), path);
  }

  #of(info: Uint8Array, path: string): GcmTransformer {
    // One block of HKDF-Expand is all a 256-bit key needs: HMAC(seed, info | 1).
    const key = createHmac('sha256', this.#seed).update(info).update(Uint8Array.of(1)).digest();
    const transformer = new GcmTransformer(key, this.#random);
    this.#derived.delete(path);
    if (this.#derived.size >= derivedKeysKept) {
      const oldest = this.#derived.keys().next();
      if (oldest.done !== true) this.#derived.delete(oldest.value);
    }
    this.#derived.set(path, { info, transformer });
    return transformer;
  }
}
