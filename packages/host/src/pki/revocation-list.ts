import { verify, X509Certificate } from 'node:crypto';
import type { X509Crl } from '@peculiar/x509';
import { firstCertificate, importPrivateKey, pemText, x509 } from './certificate.ts';

/** Reads revocation lists; gives the serial numbers in them, lower-case hex without leading zeros. Throws on other input. */
export type RevocationReader = (list: Buffer) => Set<string>;

/** The form in which serial numbers are compared. */
export function plainSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}

/** The library is loaded once; afterwards lists (PEM or DER) are read without waiting. */
export async function loadRevocationReader(): Promise<RevocationReader> {
  const { X509Crl: Crl } = await x509();
  return (list) => {
    const parsed = new Crl(list.includes('-----BEGIN') ? list.toString('latin1') : list);
    return new Set(parsed.entries.map(({ serialNumber }) => plainSerial(serialNumber)));
  };
}

/** Certificates that authorities have taken back. */
export interface Revocations {
  /** Whether the certificate's issuer lists it. */
  has(certificate: X509Certificate): boolean;
  readonly count: number;
  /** When the first of the lists should have been replaced, milliseconds since the epoch; undefined: they do not say. */
  readonly staleAtMs: number | undefined;
}

export const noRevocations: Revocations = { has: () => false, count: 0, staleAtMs: undefined };

/**
 * Reads a PEM text with one list or more. Each must be signed by a certificate of the bundle `authorities`; serial numbers count for the issuer of
 * that name. Throws an Error on another text or signature. An empty text revokes nothing.
 */
export type SignedRevocationReader = (pem: string, authorities: string) => Revocations;

export async function loadSignedRevocationReader(): Promise<SignedRevocationReader> {
  const library = await x509();
  return (pem, authorities) => {
    const blocks = pem.match(/-----BEGIN X509 CRL-----[\s\S]+?-----END X509 CRL-----/g) ?? [];
    if (blocks.length === 0) {
      if (pem.trim() === '') return noRevocations;
      throw new Error('The text has no revocation list in PEM form (X509 CRL)');
    }
    const roots = (
      authorities.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
    ).map((block) => ({
      node: new X509Certificate(block),
      subject: new library.X509Certificate(block).subject,
    }));
    const revoked = new Set<string>();
    let staleAtMs: number | undefined;
    for (const block of blocks) {
      const list = new library.X509Crl(block);
      const signer = roots.find(({ node, subject }) => subject === list.issuer && isSignedBy(list, node));
      if (signer === undefined)
        throw new Error(`The revocation list of "${list.issuer}" is not signed by an authority of clients`);
      for (const { serialNumber } of list.entries)
        revoked.add(keyOf(signer.node.subject, plainSerial(serialNumber)));
      const end = list.nextUpdate?.getTime();
      if (end !== undefined) staleAtMs = Math.min(staleAtMs ?? end, end);
    }
    return {
      has: (certificate) => revoked.has(keyOf(certificate.issuer, plainSerial(certificate.serialNumber))),
      count: revoked.size,
      staleAtMs,
    };
  };
}

const keyOf = (issuer: string, serial: string): string => `${issuer}\n${serial}`;

/** Checks the signature without waiting, which the library cannot. */
function isSignedBy(list: X509Crl, authority: X509Certificate): boolean {
  const hash = (list.signatureAlgorithm as { hash?: { name?: string } }).hash?.name;
  const outer = element(Buffer.from(list.rawData), 0);
  const signed = element(outer.content, 0);
  const algorithm = element(outer.content, signed.end);
  const signature = element(outer.content, algorithm.end);
  // The first byte of a bit string counts unused bits.
  return verify(
    hash?.replace('-', '') ?? null,
    outer.content.subarray(0, signed.end),
    authority.publicKey,
    signature.content.subarray(1),
  );
}

/** The DER element that starts at `start`. */
function element(der: Buffer, start: number): { content: Buffer; end: number } {
  const first = der[start + 1] ?? 0;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const length = lengthBytes === 0 ? first : der.readUIntBE(start + 2, lengthBytes);
  const from = start + 2 + lengthBytes;
  return { content: der.subarray(from, from + length), end: from + length };
}

export interface RevokedCertificate {
  /** Hex. */
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly revokedMs: number;
}

/** A revocation list in PEM with these certificates, signed by the first certificate of `authority`. */
export async function createRevocationList(
  authority: { readonly certPem: string; readonly keyPem: string },
  revoked: readonly RevokedCertificate[],
  options: { readonly nowMs: number; readonly lifetimeMs: number },
): Promise<string> {
  const library = await x509();
  const issuer = new library.X509Certificate(firstCertificate(authority.certPem));
  const { key, algorithm } = await importPrivateKey(authority.keyPem);
  const list = await library.X509CrlGenerator.create({
    issuer: issuer.subjectName,
    thisUpdate: new Date(options.nowMs),
    nextUpdate: new Date(options.nowMs + options.lifetimeMs),
    entries: revoked.map(({ serial, revokedMs }) => ({
      serialNumber: serial,
      revocationDate: new Date(revokedMs),
    })),
    signingAlgorithm: algorithm,
    signingKey: key,
  });
  return pemText(library.PemConverter.encode(list.rawData, 'X509 CRL'));
}

/** What a revocation list (PEM) holds, whoever signed it; for those that are written anew. */
export async function readRevocationList(
  pem: string,
): Promise<{ revoked: RevokedCertificate[]; nextUpdateMs: number | undefined }> {
  const library = await x509();
  const list = new library.X509Crl(pem);
  return {
    revoked: list.entries.map(({ serialNumber, revocationDate }) => ({
      serial: plainSerial(serialNumber),
      revokedMs: revocationDate.getTime(),
    })),
    nextUpdateMs: list.nextUpdate?.getTime(),
  };
}
