import { X509Certificate } from 'node:crypto';
import { CredentialError } from './errors.ts';

const clientAuthUsage = '1.3.6.1.5.5.7.3.2';
const anyUsage = '2.5.29.37.0';
const chainLengthMax = 8;

/** Certificates of a PEM bundle. Throws when one cannot be read. */
export function parseCertificates(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/**
 * Throws {@link CredentialError} unless `leaf` is good for client authentication now and leads to one of `roots`. Gives the certificates that lead
 * there, the leaf first, without the root.
 */
export function verifyClientCertificate(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
): X509Certificate[] {
  const path: X509Certificate[] = [];
  // Node's type says string[]; a certificate without the extension gives undefined.
  const usages = leaf.keyUsage as string[] | undefined;
  let current = leaf;
  for (let depth = 0; depth < chainLengthMax; depth++) {
    checkDates(current, nowMs);
    path.push(current);
    const root = roots.find((candidate) => issued(candidate, current));
    if (root !== undefined) {
      checkDates(root, nowMs);
      if (usages !== undefined && !usages.includes(clientAuthUsage) && !usages.includes(anyUsage)) {
        throw new CredentialError('x509: certificate specifies an incompatible key usage');
      }
      return path;
    }
    const next = intermediates.find((candidate) => candidate.ca && issued(candidate, current));
    if (next === undefined || next === current) break;
    current = next;
  }
  throw new CredentialError('x509: certificate signed by unknown authority');
}

function issued(issuer: X509Certificate, subject: X509Certificate): boolean {
  return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}

function checkDates(certificate: X509Certificate, nowMs: number): void {
  if (nowMs < Date.parse(certificate.validFrom) || nowMs > Date.parse(certificate.validTo)) {
    throw new CredentialError(
      `x509: certificate has expired or is not yet valid: current time ${new Date(nowMs).toISOString()} is not between ${certificate.validFrom} and ${certificate.validTo}`,
    );
  }
}

/** Values of a subject attribute, in order. */
export function subjectValues(certificate: X509Certificate, attribute: string): string[] {
  const subject = certificate.toLegacyObject().subject as unknown as Record<
    string,
    string | string[] | undefined
  >;
  const value = subject[attribute];
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}
