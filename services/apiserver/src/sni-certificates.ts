import { X509Certificate } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import { createSecureContext } from 'node:tls';
import { FlagError } from '@pilothouse/host';
import type { TlsPolicy } from './tls-policy.ts';

/** One --tls-sni-cert-key: a pair of files and the names that it serves; none: those in the certificate. */
export interface SniFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly names: readonly string[];
}

/** `cert,key` or `cert,key:name,*.name`. Throws FlagError in upstream's words. */
export function parseSniFiles(text: string): SniFiles {
  const colon = text.indexOf(':');
  const names = colon < 0 ? '' : text.slice(colon + 1).trim();
  const refuse = (why: string): never => {
    throw new FlagError(`invalid argument ${JSON.stringify(text)} for "--tls-sni-cert-key" flag: ${why}`);
  };
  if (colon >= 0 && names === '') return refuse('empty names list is not allowed');
  const files = (colon < 0 ? text : text.slice(0, colon)).split(',').map((each) => each.trim());
  const [certFile, keyFile] = files;
  if (files.length !== 2 || certFile === undefined || keyFile === undefined)
    return refuse('expected comma separated certificate and key file paths');
  return { certFile, keyFile, names: names === '' ? [] : names.split(',').map((each) => each.trim()) };
}

interface Served {
  readonly context: SecureContext;
  readonly names: readonly string[];
  readonly isExplicit: boolean;
}

const labelPattern = /^(\*|(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$/i;
const addressPattern = /^[\d.]+$|:/;

/** Certificates by the name that a client asks for. Earlier flags go first; names that a flag spells out go before names of certificates. */
export class SniCertificates {
  readonly #policy: TlsPolicy;
  readonly #served: (Served | undefined)[] = [];
  #byName: ReadonlyMap<string, SecureContext> = new Map();

  constructor(policy: TlsPolicy) {
    this.#policy = policy;
  }

  /** Puts the pair of flag number `index` in force. Throws an Error when it cannot be used. */
  set(index: number, names: readonly string[], certPem: string, keyPem: string): void {
    this.#served[index] = {
      context: createSecureContext({ ...this.#policy, cert: certPem, key: keyPem }),
      names: names.length > 0 ? names : namesOf(new X509Certificate(certPem)),
      isExplicit: names.length > 0,
    };
    const byName = new Map<string, SecureContext>();
    for (const isExplicit of [false, true]) {
      for (const served of [...this.#served].reverse()) {
        if (served?.isExplicit !== isExplicit) continue;
        for (const name of served.names) byName.set(name.toLowerCase(), served.context);
      }
    }
    this.#byName = byName;
  }

  /** Undefined: the serving certificate of --tls-cert-file. */
  find(name: string): SecureContext | undefined {
    const wanted = name.toLowerCase().replace(/\.$/, '');
    return this.#byName.get(wanted) ?? this.#byName.get(wanted.replace(/^[^.]*/, '*'));
  }
}

function namesOf(certificate: X509Certificate): string[] {
  const common = /(?:^|\n)CN=([^\n]*)/.exec(certificate.subject)?.[1];
  const dns = (certificate.subjectAltName ?? '')
    .split(', ')
    .filter((each) => each.startsWith('DNS:'))
    .map((each) => each.slice('DNS:'.length));
  const isDomain = common !== undefined && labelPattern.test(common) && !addressPattern.test(common);
  return isDomain ? [common, ...dns] : dns;
}
