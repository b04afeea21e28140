import { createHash, X509Certificate } from 'node:crypto';
import type { Clock } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { Revocations } from '@pilothouse/host';
import { noRevocations } from '@pilothouse/host';
import { parseCertificates, subjectValues, verifyClientCertificate } from './certificate-chain.ts';
import { CredentialError } from './errors.ts';
import type { AuthenticationRequest, AuthenticationResult, Authenticator } from './interface.ts';

const credentialIdKey = 'authentication.kubernetes.io/credential-id';
/** Subject attribute that carries the uid of a user. */
const uidAttribute = '1.3.6.1.4.1.57683.2';
const cacheEntriesMax = 1024;

interface CacheEntry {
  readonly result: AuthenticationResult;
  readonly validFromMs: number;
  readonly validToMs: number;
}

/** Client certificates; whom they are trusted by may change. */
export interface ClientCertificates extends Authenticator {
  /** From now on, on connections that are open too. Throws an Error on a text without certificates. */
  trust(caPem: string, revocations?: Revocations): void;
}

/** Client certificates signed by `caPem`: common name → user, organizations → groups. */
export function clientCertificateAuthenticator(caPem: string, clock: Clock): ClientCertificates {
  let roots = parseCertificates(caPem);
  let revoked = noRevocations;
  // Connections send the same certificate with each request; its chain is checked once and its dates each time.
  const cache = new Map<string, CacheEntry>();
  /** The same by the chain of a connection, which saves hashing it for every request. */
  let byChain = new WeakMap<readonly Uint8Array[], CacheEntry>();
  const isValid = (entry: CacheEntry | undefined, nowMs: number): entry is CacheEntry =>
    entry !== undefined && nowMs >= entry.validFromMs && nowMs <= entry.validToMs;
  return {
    trust(nextPem, revocations) {
      const next = parseCertificates(nextPem);
      if (next.length === 0) throw new Error('The PEM text has no certificate');
      roots = next;
      revoked = revocations ?? noRevocations;
      cache.clear();
      byChain = new WeakMap();
    },
    async authenticate(request: AuthenticationRequest) {
      const chain = request.tlsPeerCertificates;
      const first = chain?.[0];
      if (chain === undefined || first === undefined) return undefined;
      const ofConnection = byChain.get(chain);
      if (isValid(ofConnection, clock.now())) return ofConnection.result;
      const fingerprint = createHash('sha256').update(first).digest('hex');
      const nowMs = clock.now();
      const known = cache.get(fingerprint);
      if (isValid(known, nowMs)) {
        byChain.set(chain, known);
        return known.result;
      }
      const [leaf, ...intermediates] = chain.map(readCertificate);
      if (leaf === undefined) return undefined;
      try {
        const verified = verifyClientCertificate(leaf, intermediates, roots, nowMs);
        if (verified.some((certificate) => revoked.has(certificate)))
          throw new CredentialError('x509: certificate has been revoked');
      } catch (error) {
        throw new CredentialError(
          `verifying certificate SN=${BigInt(`0x${leaf.serialNumber}`)}, SKID=, AKID= failed: ${errorMessage(error)}`,
        );
      }
      const name = subjectValues(leaf, 'CN').at(-1);
      if (name === undefined || name === '') return undefined;
      const uid = subjectValues(leaf, uidAttribute)[0];
      const result: AuthenticationResult = {
        user: {
          name,
          ...(uid === undefined ? {} : { uid }),
          groups: subjectValues(leaf, 'O'),
          extra: { [credentialIdKey]: [`X509SHA256=${fingerprint}`] },
        },
      };
      if (cache.size >= cacheEntriesMax) cache.clear();
      const entry = {
        result,
        validFromMs: Date.parse(leaf.validFrom),
        validToMs: Date.parse(leaf.validTo),
      };
      cache.set(fingerprint, entry);
      byChain.set(chain, entry);
      return result;
    },
  };
}

export function readCertificate(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw new CredentialError(`The client certificate cannot be read: ${errorMessage(error)}`);
  }
}
