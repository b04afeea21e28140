import { StatusError, statusErrors } from '@pilothouse/apimachinery';
import type { TLSSocket } from 'node:tls';
import type { Authenticator } from '../authentication/interface.ts';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { Exchange } from '../request/exchange.ts';
import type { Filter } from './filter.ts';

/** Sets the exchange's user. Throws 401 for bad credentials and for none where anonymous is off. */
export function authenticationFilter(authenticator: Authenticator, metrics: ServerMetrics): Filter {
  const succeeded = metrics.authenticationAttempts.cell('success');
  const failed = metrics.authenticationAttempts.cell('failure');
  const broken = metrics.authenticationAttempts.cell('error');
  return async (exchange) => {
    const certificates = peerCertificates(exchange);
    try {
      const result = await authenticator.authenticate({
        headers: exchange.request.headers,
        path: exchange.path,
        ...(certificates.length > 0 ? { tlsPeerCertificates: certificates } : {}),
      });
      if (!result) {
        failed.inc();
        throw statusErrors.unauthorized();
      }
      exchange.user = result.user;
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      if (error.httpCode === 401) broken.inc();
      throw error;
    }
    succeeded.inc();
    const { name } = exchange.user;
    metrics.authenticatedRequests.cell(name.startsWith('system:') ? name : 'other').inc();
  };
}

interface PeerChain {
  readonly raw?: Buffer;
  readonly issuerCertificate?: PeerChain;
}

const chains = new WeakMap<object, readonly Uint8Array[]>();

/** DER of the client's chain, leaf first. The chain of a connection is read once. */
function peerCertificates(exchange: Exchange): readonly Uint8Array[] {
  const { session } = (exchange.request as { stream?: { session?: { socket?: TLSSocket } } }).stream ?? {};
  // The socket of a session is reached through a proxy: not for every request.
  const ofSession = session && chains.get(session);
  if (ofSession) return ofSession;
  const socket = (session?.socket ?? exchange.request.socket) as TLSSocket | undefined;
  if (!socket || typeof socket.getPeerCertificate !== 'function') return [];
  const key = session ?? socket;
  const known = chains.get(key);
  if (known) return known;
  const chain: Uint8Array[] = [];
  let certificate: PeerChain | undefined = socket.getPeerCertificate(true) as PeerChain | undefined;
  while (certificate?.raw && !chain.some((each) => Buffer.from(each).equals(certificate?.raw as Buffer))) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  chains.set(key, chain);
  return chain;
}
