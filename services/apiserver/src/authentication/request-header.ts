import type { Clock } from '@pilothouse/base';
import { parseCertificates, subjectValues, verifyClientCertificate } from './certificate-chain.ts';
import { readCertificate } from './client-certificate.ts';
import type { RequestHeaderConfig } from './config.ts';
import { CredentialError } from './errors.ts';
import { headersWithPrefix, headerValue, headerValues } from './headers.ts';
import type { Authenticator } from './interface.ts';

/** A front proxy that shows a certificate of its CA tells in headers for whom it calls. */
export function requestHeaderAuthenticator(
  config: RequestHeaderConfig,
  clock: Clock,
): Authenticator & { trust(caPem: string): void } {
  let roots = parseCertificates(config.caPem);
  return {
    trust(caPem) {
      const next = parseCertificates(caPem);
      if (next.length === 0) throw new Error('The PEM text has no certificate');
      roots = next;
    },
    async authenticate(request) {
      const chain = request.tlsPeerCertificates;
      if (chain === undefined || chain.length === 0) return undefined;
      if (firstHeader(request.headers, config.usernameHeaders) === '') return undefined;
      const [leaf, ...intermediates] = chain.map(readCertificate);
      if (leaf === undefined) return undefined;
      verifyClientCertificate(leaf, intermediates, roots, clock.now());
      const proxy = subjectValues(leaf, 'CN').at(-1) ?? '';
      if (config.allowedNames.length > 0 && !config.allowedNames.includes(proxy)) {
        throw new CredentialError(`x509: subject with cn=${proxy} is not in the allowed list`);
      }
      const headers = request.distinct?.() ?? request.headers;
      const name = firstHeader(headers, config.usernameHeaders);
      if (name === '') return undefined;
      const groups: string[] = [];
      for (const header of config.groupHeaders) groups.push(...headerValues(headers, header));
      const extra: Record<string, string[]> = {};
      for (const prefix of config.extraHeaderPrefixes) {
        Object.assign(extra, headersWithPrefix(headers, prefix));
      }
      const uid = firstHeader(headers, config.uidHeaders);
      return {
        user: {
          name,
          ...(uid === '' ? {} : { uid }),
          groups,
          ...(Object.keys(extra).length === 0 ? {} : { extra }),
        },
      };
    },
  };
}

function firstHeader(
  headers: Parameters<Authenticator['authenticate']>[0]['headers'],
  names: readonly string[],
): string {
  for (const name of names) {
    const value = headerValue(headers, name);
    if (value !== '') return value;
  }
  return '';
}
