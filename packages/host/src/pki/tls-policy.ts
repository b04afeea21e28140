import { FlagError } from '../flags.ts';
import type { FlagSpecs } from '../flags.ts';
import { serverTlsPolicy } from './served-certificate.ts';

/** What a TLS listener agrees to: OpenSSL's names. */
export interface TlsPolicy {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Of TLS 1.2; those of 1.3 are not chosen. */
  readonly ciphers?: string;
  /** Groups of the key exchange, joined by colons. */
  readonly ecdhCurve?: string;
}

export const defaultTlsPolicy: TlsPolicy = serverTlsPolicy;

const versions: Readonly<Record<string, TlsPolicy['minVersion']>> = {
  VersionTLS12: 'TLSv1.2',
  VersionTLS13: 'TLSv1.3',
};

/** IANA's names as upstream's flag takes them. */
const suites: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
};
const suitesOfTls13 = new Set([
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
]);

/** The two flags of every listener, for programs that read them with {@link tlsPolicyFrom}. */
export const tlsPolicyFlags: FlagSpecs = {
  'tls-min-version': {
    type: 'string',
    default: '',
    help: 'Oldest TLS version: VersionTLS12 (the default) or VersionTLS13',
  },
  'tls-cipher-suites': {
    type: 'strings',
    default: [],
    help: 'Cipher suites of TLS 1.2; default: those with forward secrecy and authenticated encryption',
  },
};

/** Of --tls-min-version (empty: 1.2) and --tls-cipher-suites. Throws FlagError, also for versions below 1.2. */
export function tlsPolicyFrom(givenVersion: string, names: readonly string[]): TlsPolicy {
  const wanted = givenVersion || 'VersionTLS12';
  const minVersion = versions[wanted];
  if (minVersion === undefined) {
    throw new FlagError(
      wanted === 'VersionTLS10' || wanted === 'VersionTLS11'
        ? `--tls-min-version ${wanted} is not supported: TLS 1.2 is the oldest that is spoken; want one of ${Object.keys(versions).join(', ')}`
        : `unknown tls version "${wanted}"`,
    );
  }
  if (names.length === 0) return { ...defaultTlsPolicy, minVersion };
  const ciphers: string[] = [];
  for (const name of names) {
    const cipher = suites[name];
    if (cipher !== undefined) ciphers.push(cipher);
    else if (!suitesOfTls13.has(name)) {
      throw new FlagError(`Cipher suite ${name} not supported or doesn't exist`);
    }
  }
  if (ciphers.length > 0) return { minVersion, ciphers: ciphers.join(':') };
  // Only suites of 1.3 were named: nothing is left for 1.2.
  return { minVersion: 'TLSv1.3' };
}

/** Go's CurveIDs (those of TLS) as OpenSSL calls them. */
const curves: Readonly<Record<string, string>> = { 23: 'P-256', 24: 'P-384', 25: 'P-521', 29: 'X25519' };

/** Of --tls-curve-preferences: numbers of TLS's supported groups. Undefined: OpenSSL's own. Throws FlagError. */
export function tlsCurvesFrom(ids: readonly string[]): string | undefined {
  if (ids.length === 0) return undefined;
  const seen = new Set<string>();
  const names = ids.map((id) => {
    if (!/^-?\d+$/.test(id))
      throw new FlagError(`Invalid value "${id}" for --tls-curve-preferences: want numbers`);
    if (Number(id) < 1 || Number(id) > 0xffff)
      throw new FlagError(`curve preference ${id} is out of range (must be 1-65535)`);
    if (seen.has(id)) throw new FlagError(`duplicate curve preference ${id}`);
    seen.add(id);
    const name = curves[id];
    if (name === undefined)
      throw new FlagError(
        `curve preference ${id} is not supported: want some of ${Object.entries(curves)
          .map(([each, curve]) => `${each} (${curve})`)
          .join(', ')}`,
      );
    return name;
  });
  return names.join(':');
}
