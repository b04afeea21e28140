import type { PeerCertificate } from 'node:tls';
import { checkServerIdentity } from 'node:tls';

/**
 * Whether a server's certificate is for `host`. As in Go, names count only as subject alternative names: Node alone would take the common name
 * of a certificate without any.
 */
export function checkServerName(host: string, certificate: PeerCertificate): Error | undefined {
  if ((certificate.subjectaltname ?? '') !== '') return checkServerIdentity(host, certificate);
  return Object.assign(new Error('certificate relies on legacy Common Name field, use SANs instead'), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
}
