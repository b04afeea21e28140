import { StatusError, statusErrors } from '@pilothouse/apimachinery';
import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '@pilothouse/base';
import type { Authenticator } from '../authentication/interface.ts';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { Exchange } from '../request/exchange.ts';
import type { Filter } from './filter.ts';

/** Sets the exchange's user. Throws 401 for bad credentials and for none where anonymous is off. */
export function authenticationFilter(
  authenticator: Authenticator,
  metrics: ServerMetrics,
  clock: Clock,
): Filter {
  const succeeded = metrics.authenticationAttempts.cell('success');
  const failed = metrics.authenticationAttempts.cell('failure');
  const broken = metrics.authenticationAttempts.cell('error');
  const seconds = {
    success: metrics.authenticationSeconds.series('success'),
    failure: metrics.authenticationSeconds.series('failure'),
    error: metrics.authenticationSeconds.series('error'),
  };
  const expirations = metrics.clientCertificateSeconds.series();
  return async (exchange) => {
    const startedMs = clock.monotonic();
    let outcome: keyof typeof seconds = 'success';
    const { certificates, expiresMs } = peerCertificates(exchange);
    try {
      const result = await authenticator.authenticate({
        headers: exchange.request.headers,
        distinct: () => exchange.request.headersDistinct,
        path: exchange.path,
        ...(certificates.length > 0 ? { tlsPeerCertificates: certificates } : {}),
      });
      if (!result) {
        failed.inc();
        outcome = 'failure';
        throw statusErrors.unauthorized();
      }
      exchange.user = result.user;
      if (result.webSocketProtocols !== undefined)
        exchange.request.headers = {
          ...exchange.request.headers,
          'sec-websocket-protocol': result.webSocketProtocols,
        };
      for (const warning of result.warnings ?? []) exchange.addWarning(warning);
      Object.assign(exchange.auditAnnotations, result.auditAnnotations);
    } catch (error) {
      if (outcome === 'success') outcome = 'error';
      if (!(error instanceof StatusError)) throw error;
      if (error.httpCode === 401) broken.inc();
      throw error;
    } finally {
      seconds[outcome].observe((clock.monotonic() - startedMs) / 1000);
    }
    succeeded.inc();
    if (expiresMs !== undefined) expirations.observe((expiresMs - clock.now()) / 1000);
    const { name } = exchange.user;
    metrics.authenticatedRequests.cell(name.startsWith('system:') ? name : 'other').inc();
  };
}

interface PeerChain {
  readonly raw?: Buffer;
  readonly issuerCertificate?: PeerChain;
}

interface ClientChain {
  /** DER, leaf first. */
  readonly certificates: readonly Uint8Array[];
  /** End of the leaf's time; undefined without a certificate. */
  readonly expiresMs: number | undefined;
}

const noChain: ClientChain = { certificates: [], expiresMs: undefined };
const chains = new WeakMap<object, ClientChain>();

/** The client's chain. That of a connection is read once. */
function peerCertificates(exchange: Exchange): ClientChain {
  const { session } = (exchange.request as { stream?: { session?: { socket?: TLSSocket } } }).stream ?? {};
  // The socket of a session is reached through a proxy: not for every request.
  const ofSession = session && chains.get(session);
  if (ofSession) return ofSession;
  const socket = (session?.socket ?? exchange.request.socket) as TLSSocket | undefined;
  if (!socket || typeof socket.getPeerCertificate !== 'function') return noChain;
  const key = session ?? socket;
  const known = chains.get(key);
  if (known) return known;
  const chain: Uint8Array[] = [];
  let certificate: PeerChain | undefined = socket.getPeerCertificate(true) as PeerChain | undefined;
  while (certificate?.raw && !chain.some((each) => Buffer.from(each).equals(certificate?.raw as Buffer))) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  const [leaf] = chain;
  const found: ClientChain = { certificates: chain, expiresMs: leaf && expiryOf(leaf) };
  chains.set(key, found);
  return found;
}

function expiryOf(der: Uint8Array): number | undefined {
  try {
    return Date.parse(new X509Certificate(der).validTo);
  } catch {
    // The authenticator tells what is wrong with it.
    return undefined;
  }
}
