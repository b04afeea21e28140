import {
  createHash,
  createPrivateKey,
  randomBytes,
  webcrypto,
  X509Certificate as NodeCertificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import type * as x509Module from '@peculiar/x509';

/** A certificate with its private key, both PEM (PKCS#8 key). */
export interface CertificateAndKey {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What a leaf certificate may be used for. */
export type CertificateUsage = 'server' | 'client' | 'peer';

export interface CertificateRequest {
  readonly commonName: string;
  /** Kubernetes reads them as groups. */
  readonly organizations?: readonly string[];
  /** DNS names and IP addresses, told apart by their form. */
  readonly hosts?: readonly string[];
  /** `peer` is server and client at once. */
  readonly usage: CertificateUsage;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Certificates are dated back, so that a client with a slow clock accepts a fresh one. */
export const backdateMs = 5 * 60_000;

let loaded: Promise<typeof x509Module> | undefined;

/** The X.509 library; it is loaded when a certificate is made first, since most starts make none. */
export function x509(): Promise<typeof x509Module> {
  loaded ??= (async () => {
    await import('reflect-metadata');
    const module = await import('@peculiar/x509');
    module.cryptoProvider.set(webcrypto);
    return module;
  })();
  return loaded;
}

/** A new CA: ECDSA P-256, self-signed. */
export async function createAuthority(
  commonName: string,
  notBefore: number,
  notAfter: number,
): Promise<CertificateAndKey> {
  const library = await x509();
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const name = new library.Name([{ CN: [commonName] }]);
  const certificate = await library.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: name,
    issuer: name,
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    signingAlgorithm: keyAlgorithm,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    extensions: [
      new library.BasicConstraintsExtension(true, undefined, true),
      new library.KeyUsagesExtension(
        library.KeyUsageFlags.digitalSignature |
          library.KeyUsageFlags.keyEncipherment |
          library.KeyUsageFlags.keyCertSign |
          library.KeyUsageFlags.cRLSign,
        true,
      ),
      await library.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certPem: pemText(certificate.toString('pem')), keyPem: await privateKeyPem(keys.privateKey) };
}

/** A leaf certificate with a new P-256 key, signed by `authority`. */
export async function issueCertificate(
  authority: CertificateAndKey,
  request: CertificateRequest,
): Promise<CertificateAndKey> {
  const library = await x509();
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const usages: string[] = [];
  if (request.usage !== 'client') usages.push(library.ExtendedKeyUsage.serverAuth);
  if (request.usage !== 'server') usages.push(library.ExtendedKeyUsage.clientAuth);
  const issuer = new library.X509Certificate(firstCertificate(authority.certPem));
  const signing = await importPrivateKey(authority.keyPem);
  const extensions: x509Module.Extension[] = [
    new library.BasicConstraintsExtension(false, undefined, true),
    new library.KeyUsagesExtension(
      library.KeyUsageFlags.digitalSignature | library.KeyUsageFlags.keyEncipherment,
      true,
    ),
    new library.ExtendedKeyUsageExtension(usages),
    await library.AuthorityKeyIdentifierExtension.create(issuer),
  ];
  if (request.hosts !== undefined && request.hosts.length > 0) {
    extensions.push(
      new library.SubjectAlternativeNameExtension(
        request.hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
      ),
    );
  }
  const certificate = await library.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: new library.Name([
      ...(request.organizations ?? []).map((organization) => ({ O: [organization] })),
      { CN: [request.commonName] },
    ]),
    issuer: issuer.subjectName,
    notBefore: new Date(request.notBefore),
    notAfter: new Date(request.notAfter),
    signingAlgorithm: signing.algorithm,
    publicKey: keys.publicKey,
    signingKey: signing.key,
    extensions,
  });
  return { certPem: pemText(certificate.toString('pem')), keyPem: await privateKeyPem(keys.privateKey) };
}

/** A P-256 key pair for signing ServiceAccount tokens: PKCS#8 and SPKI PEM. */
export async function createSigningKey(): Promise<{ privatePem: string; publicPem: string }> {
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const spki = Buffer.from(await webcrypto.subtle.exportKey('spki', keys.publicKey));
  return { privatePem: await privateKeyPem(keys.privateKey), publicPem: toPem('PUBLIC KEY', spki) };
}

/** 16 random bytes, positive and never zero, as RFC 5280 wants them; hex. */
export function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** A private key of an authority and how it signs. */
export interface AuthorityKey {
  readonly key: webcrypto.CryptoKey;
  readonly algorithm: { readonly name: string; readonly hash: string; readonly namedCurve?: string };
}

const curves: Readonly<Record<string, { namedCurve: string; hash: string }>> = {
  prime256v1: { namedCurve: 'P-256', hash: 'SHA-256' },
  secp384r1: { namedCurve: 'P-384', hash: 'SHA-384' },
  secp521r1: { namedCurve: 'P-521', hash: 'SHA-512' },
};

/** Imports a private key (PKCS#8, PKCS#1 or SEC 1 PEM; RSA or ECDSA as kubeadm and others make them) for signing. */
export async function importPrivateKey(pem: string): Promise<AuthorityKey> {
  const key = createPrivateKey(pem);
  const curve = curves[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType !== 'rsa' && curve === undefined)
    throw new Error(
      `Cannot sign with a key of type "${key.asymmetricKeyType}": want RSA or ECDSA P-256, P-384 or P-521`,
    );
  const algorithm =
    curve === undefined ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } : { name: 'ECDSA', ...curve };
  const der = key.export({ type: 'pkcs8', format: 'der' });
  return { key: await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']), algorithm };
}

/** The first certificate of a PEM text: of a bundle of authorities the one that signs. */
export function firstCertificate(pem: string): string {
  const block = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(pem)?.[0];
  if (block === undefined) throw new Error('The PEM text has no certificate');
  return block;
}

/** SHA-256 of a certificate's DER in lower-case hex. */
export function certificateFingerprint(certPem: string): string {
  return createHash('sha256').update(new NodeCertificate(certPem).raw).digest('hex');
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return toPem('PRIVATE KEY', Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)));
}

function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

export function pemText(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}
