import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Clock } from '@pilothouse/base';
import { backdateMs, createAuthority, createSigningKey } from './certificate.ts';
import { authorityLifetimeMs } from './pki-directory.ts';
import { readOptionalFile, withDirectoryLock, writeSecretFile } from './pki-files.ts';

/** Authorities of a PKI directory by file name without ending, with the names in their certificates. */
export const authorityNames = {
  ca: 'kubernetes',
  'etcd/ca': 'etcd-ca',
  'front-proxy-ca': 'front-proxy-ca',
} as const;

export type AuthorityName = keyof typeof authorityNames;

/**
 * How far the replacement of an authority is. `none`: none is under way. `trusted`: old and new are in the bundle, the old one signs.
 * `signing`: the new one signs, the old one is still trusted. `made`: the new one exists and nobody has heard of it.
 */
export type RotationStage = 'none' | 'made' | 'trusted' | 'signing';

const blockPattern = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;
const blocksOf = (text: string): string[] => text.match(blockPattern) ?? [];
const bundle = (blocks: readonly string[]): string => blocks.map((block) => `${block}\n`).join('');

/**
 * Replaces one authority in three steps, each of which may be repeated and is found out again from the files alone. New key and certificate wait in
 * `rotation/`. Between the steps every process must take what changed.
 */
export class AuthorityRotation {
  readonly name: AuthorityName;
  readonly #directory: string;
  readonly #clock: Clock;

  constructor(directory: string, name: AuthorityName, clock: Clock) {
    this.#directory = directory;
    this.name = name;
    this.#clock = clock;
  }

  get stage(): RotationStage {
    const next = readOptionalFile(this.#file('rotation', 'crt'));
    if (next === undefined) return 'none';
    const [first, ...others] = blocksOf(this.#current());
    const [wanted] = blocksOf(next);
    if (first === wanted) return this.#keyFits(first) ? 'signing' : 'trusted';
    return others.includes(wanted as string) ? 'trusted' : 'made';
  }

  /** Step 1: the new authority is made and everybody shall trust both; the old one stays the one that signs. */
  async trust(): Promise<void> {
    await this.#locked(async () => {
      if (this.stage === 'none') {
        const notBefore = this.#clock.now() - backdateMs;
        const made = await createAuthority(
          authorityNames[this.name],
          notBefore,
          notBefore + authorityLifetimeMs,
        );
        writeSecretFile(this.#file('rotation', 'key'), made.keyPem);
        writeSecretFile(this.#file('rotation', 'crt'), made.certPem);
      }
      if (this.stage !== 'made') return;
      const current = blocksOf(this.#current());
      writeSecretFile(this.#file('', 'crt'), bundle([...current, ...this.#next()]));
    });
  }

  /** Step 2: the new authority signs from now on. Leaves are made anew by `ensurePki` afterwards. */
  async sign(): Promise<void> {
    await this.#locked(async () => {
      if (this.stage !== 'trusted') return;
      const key = readOptionalFile(this.#file('rotation', 'key'));
      if (key === undefined) throw new Error(`The new key of "${this.name}" is gone from "rotation"`);
      const next = this.#next();
      const others = blocksOf(this.#current()).filter((block) => !next.includes(block));
      // Who reads between the two finds a pair that does not fit, and looks again.
      writeSecretFile(this.#file('', 'key'), key);
      writeSecretFile(this.#file('', 'crt'), bundle([...next, ...others]));
    });
  }

  /** Step 3: only the new authority is trusted. */
  async drop(): Promise<void> {
    await this.#locked(async () => {
      if (this.stage !== 'signing') return;
      writeSecretFile(this.#file('', 'crt'), bundle(this.#next()));
      for (const ending of ['key', 'crt']) fs.rmSync(this.#file('rotation', ending), { force: true });
    });
  }

  #file(folder: '' | 'rotation', ending: string): string {
    return path.join(this.#directory, folder, `${this.name}.${ending}`);
  }

  #current(): string {
    const text = readOptionalFile(this.#file('', 'crt'));
    if (text === undefined) throw new Error(`No certificate "${this.name}" in "${this.#directory}"`);
    return text;
  }

  #next(): string[] {
    return blocksOf(readOptionalFile(this.#file('rotation', 'crt')) ?? '');
  }

  #keyFits(certificate: string | undefined): boolean {
    const key = readOptionalFile(this.#file('', 'key'));
    return (
      key !== undefined &&
      certificate !== undefined &&
      new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
    );
  }

  #locked(work: () => Promise<void>): Promise<void> {
    return withDirectoryLock(this.#directory, work);
  }
}

/** The same three steps for the key that signs tokens of service accounts: `sa.pub` is the bundle, `sa.key` signs. */
export class SigningKeyRotation {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get stage(): RotationStage {
    const next = readOptionalFile(this.#file('rotation/sa.pub'));
    if (next === undefined) return 'none';
    const trusted = blocksOf(readOptionalFile(this.#file('sa.pub')) ?? '');
    const [wanted] = blocksOf(next);
    if (!trusted.includes(wanted as string)) return 'made';
    return blocksOf(publicPem(readOptionalFile(this.#file('sa.key')) ?? ''))[0] === wanted
      ? 'signing'
      : 'trusted';
  }

  /** When the new key began to sign, milliseconds since the epoch. */
  get signingSinceMs(): number {
    return fs.statSync(this.#file('sa.key')).mtimeMs;
  }

  async trust(): Promise<void> {
    await withDirectoryLock(this.#directory, async () => {
      if (this.stage === 'none') {
        const made = await createSigningKey();
        writeSecretFile(this.#file('rotation/sa.key'), made.privatePem);
        writeSecretFile(this.#file('rotation/sa.pub'), made.publicPem);
      }
      if (this.stage !== 'made') return;
      const current = blocksOf(readOptionalFile(this.#file('sa.pub')) ?? '');
      writeSecretFile(this.#file('sa.pub'), bundle([...current, ...this.#next()]));
    });
  }

  async sign(): Promise<void> {
    await withDirectoryLock(this.#directory, async () => {
      const key = readOptionalFile(this.#file('rotation/sa.key'));
      if (this.stage !== 'trusted' || key === undefined) return;
      writeSecretFile(this.#file('sa.key'), key);
    });
  }

  async drop(): Promise<void> {
    await withDirectoryLock(this.#directory, async () => {
      if (this.stage !== 'signing') return;
      writeSecretFile(this.#file('sa.pub'), bundle(this.#next()));
      for (const name of ['sa.key', 'sa.pub'])
        fs.rmSync(this.#file(path.join('rotation', name)), { force: true });
    });
  }

  #file(name: string): string {
    return path.join(this.#directory, name);
  }

  #next(): string[] {
    return blocksOf(readOptionalFile(this.#file('rotation/sa.pub')) ?? '');
  }
}

/** SPKI PEM of a private key. */
export function publicPem(privatePem: string): string {
  return createPublicKey(privatePem).export({ type: 'spki', format: 'pem' }).toString();
}
