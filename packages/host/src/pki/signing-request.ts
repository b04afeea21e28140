import { webcrypto } from 'node:crypto';
import type { CertificateAndKey } from './certificate.ts';
import {
  backdateMs,
  firstCertificate,
  importPrivateKey,
  keyAlgorithm,
  pemText,
  serialNumber,
  x509,
} from './certificate.ts';

/** What a PKCS#10 request asks for. */
export interface SigningRequest {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
}

export interface SignOptions {
  /** certificates.k8s.io usages: `digital signature`, `key encipherment`, `client auth`, `server auth`… */
  readonly usages: readonly string[];
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

const shortLifetimeMs = 8 * 3_600_000;

const keyUsageBits: Readonly<Record<string, string>> = {
  signing: 'digitalSignature',
  'digital signature': 'digitalSignature',
  'content commitment': 'nonRepudiation',
  'key encipherment': 'keyEncipherment',
  'key agreement': 'keyAgreement',
  'data encipherment': 'dataEncipherment',
  'cert sign': 'keyCertSign',
  'crl sign': 'cRLSign',
  'encipher only': 'encipherOnly',
  'decipher only': 'decipherOnly',
};

const extendedKeyUsages: Readonly<Record<string, string>> = {
  any: '2.5.29.37.0',
  'server auth': '1.3.6.1.5.5.7.3.1',
  'client auth': '1.3.6.1.5.5.7.3.2',
  'code signing': '1.3.6.1.5.5.7.3.3',
  'email protection': '1.3.6.1.5.5.7.3.4',
  's/mime': '1.3.6.1.5.5.7.3.4',
  'ipsec end system': '1.3.6.1.5.5.7.3.5',
  'ipsec tunnel': '1.3.6.1.5.5.7.3.6',
  'ipsec user': '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  'ocsp signing': '1.3.6.1.5.5.7.3.9',
  'microsoft sgc': '1.3.6.1.4.1.311.10.3.3',
  'netscape sgc': '2.16.840.1.113730.4.1',
};

/** Reads a PEM `CERTIFICATE REQUEST` and checks its own signature. Throws an Error when it is not one. */
export async function parseSigningRequest(pem: string): Promise<SigningRequest> {
  const library = await x509();
  const request = new library.Pkcs10CertificateRequest(pem);
  if (!(await request.verify())) throw new Error('The signature of the certificate request is wrong');
  const names = request.getExtension('2.5.29.17');
  const alternative =
    names === null || names === undefined
      ? []
      : new library.SubjectAlternativeNameExtension(names.rawData).names.items;
  const ofType = (type: string): string[] =>
    alternative.filter((name) => name.type === type).map((name) => name.value);
  return {
    commonName: request.subjectName.getField('CN').at(-1) ?? '',
    organizations: request.subjectName.getField('O'),
    dnsNames: ofType('dns'),
    ipAddresses: ofType('ip'),
    emailAddresses: ofType('email'),
    uris: ofType('url'),
    publicKeyDer: new Uint8Array(request.publicKey.rawData),
  };
}

/** A new PKCS#10 request with a new P-256 key, as node agents send it. PEM. */
export async function createSigningRequest(
  commonName: string,
  organizations: readonly string[],
): Promise<{ requestPem: string; keyPem: string }> {
  const library = await x509();
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const request = await library.Pkcs10CertificateRequestGenerator.create({
    name: new library.Name([
      ...organizations.map((organization) => ({ O: [organization] })),
      { CN: [commonName] },
    ]),
    keys,
    signingAlgorithm: keyAlgorithm,
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    requestPem: pemText(request.toString('pem')),
    keyPem: pemText(library.PemConverter.encode(pkcs8, 'PRIVATE KEY')),
  };
}

/**
 * Signs a PKCS#10 request (PEM) with `authority`: subject, alternative names and key are the request's, usages the caller's;
 * the certificate never outlives the authority. Returns PEM. Throws an Error on a bad request or an unknown usage.
 */
export async function signCsr(
  authority: CertificateAndKey,
  csrPem: string,
  options: SignOptions,
): Promise<string> {
  const library = await x509();
  const request = new library.Pkcs10CertificateRequest(csrPem);
  if (!(await request.verify())) throw new Error('The signature of the certificate request is wrong');
  const issuer = new library.X509Certificate(firstCertificate(authority.certPem));
  const signing = await importPrivateKey(authority.keyPem);
  let keyUsage = 0;
  const extended: string[] = [];
  for (const usage of options.usages) {
    const bit = keyUsageBits[usage];
    const purpose = extendedKeyUsages[usage];
    if (bit !== undefined) {
      keyUsage |= library.KeyUsageFlags[bit as keyof typeof library.KeyUsageFlags];
    } else if (purpose !== undefined) {
      if (!extended.includes(purpose)) extended.push(purpose);
    } else {
      throw new Error(`unrecognized usage values: [${JSON.stringify(usage)}]`);
    }
  }
  const extensions = [new library.BasicConstraintsExtension(false, undefined, true)] as InstanceType<
    typeof library.Extension
  >[];
  if (keyUsage !== 0) extensions.push(new library.KeyUsagesExtension(keyUsage, true));
  if (extended.length > 0) extensions.push(new library.ExtendedKeyUsageExtension(extended));
  extensions.push(await library.AuthorityKeyIdentifierExtension.create(issuer));
  const names = request.getExtension('2.5.29.17');
  if (names !== null && names !== undefined) extensions.push(names);
  if (issuer.notAfter.getTime() <= options.nowMs)
    throw new Error(`the signer has expired: NotAfter=${issuer.notAfter.toISOString()}`);
  // Dating back takes from a long life, not from a short one.
  const endMs = options.nowMs + options.lifetimeMs - (options.lifetimeMs < shortLifetimeMs ? 0 : backdateMs);
  const certificate = await library.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: request.subjectName,
    issuer: issuer.subjectName,
    notBefore: new Date(options.nowMs - backdateMs),
    notAfter: new Date(Math.min(endMs, issuer.notAfter.getTime())),
    signingAlgorithm: signing.algorithm,
    publicKey: request.publicKey,
    signingKey: signing.key,
    extensions,
  });
  return pemText(certificate.toString('pem'));
}
