import path from 'node:path';
import type { Clock } from '@pilothouse/base';
import type { CertificateAndKey } from './certificate.ts';
import { firstCertificate } from './certificate.ts';
import { readOptionalFile, withDirectoryLock, writeSecretFile } from './pki-files.ts';
import {
  createRevocationList,
  loadSignedRevocationReader,
  plainSerial,
  readRevocationList,
} from './revocation-list.ts';

/** A list says this long that it is current; it is written anew after two thirds of that. */
const listLifetimeMs = 30 * 86_400_000;

export const revocationFile = (directory: string): string => path.join(directory, 'ca.crl');

/** Makes `ca.crl`, or signs it anew when it ends soon or another key signs now. True when it was written. */
export async function ensureRevocationFile(
  directory: string,
  authority: CertificateAndKey,
  clock: Clock,
): Promise<boolean> {
  const file = revocationFile(directory);
  const text = readOptionalFile(file);
  if (text !== undefined && (await isCurrent(text, authority, clock.now()))) return false;
  await write(file, text, [], authority, clock);
  return true;
}

/**
 * Adds serial numbers (hex) of certificates that `ca.crt` issued to `ca.crl`. Gives those that were not in it before. The caller has the keys of
 * the authority.
 */
export async function revokeSerials(
  directory: string,
  serials: readonly string[],
  authority: CertificateAndKey,
  clock: Clock,
): Promise<string[]> {
  return withDirectoryLock(directory, async () => {
    const file = revocationFile(directory);
    const text = readOptionalFile(file);
    const known =
      text === undefined
        ? new Set<string>()
        : new Set((await readRevocationList(text)).revoked.map((each) => each.serial));
    const fresh = [...new Set(serials.map(plainSerial))].filter((serial) => !known.has(serial));
    if (fresh.length > 0) await write(file, text, fresh, authority, clock);
    return fresh;
  });
}

async function isCurrent(text: string, authority: CertificateAndKey, nowMs: number): Promise<boolean> {
  try {
    (await loadSignedRevocationReader())(text, firstCertificate(authority.certPem));
    const { nextUpdateMs } = await readRevocationList(text);
    return nextUpdateMs !== undefined && nextUpdateMs - nowMs > listLifetimeMs / 3;
  } catch {
    return false;
  }
}

async function write(
  file: string,
  old: string | undefined,
  fresh: readonly string[],
  authority: CertificateAndKey,
  clock: Clock,
): Promise<void> {
  const kept = old === undefined ? [] : (await readRevocationList(old)).revoked;
  const revoked = [...kept, ...fresh.map((serial) => ({ serial, revokedMs: clock.now() }))];
  const list = await createRevocationList(authority, revoked, {
    nowMs: clock.now(),
    lifetimeMs: listLifetimeMs,
  });
  writeSecretFile(file, list);
}
