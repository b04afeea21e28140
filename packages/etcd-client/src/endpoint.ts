import net from 'node:net';
import tls from 'node:tls';
import { EtcdError, grpcCode } from './errors.ts';

/** Certificates for `https` and `unixs` endpoints, PEM. */
export interface EtcdTls {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** Name to verify instead of the endpoint's host. */
  readonly serverName?: string;
  readonly insecureSkipVerify?: boolean;
}

export interface Endpoint {
  /** As the user wrote it; for logs. */
  readonly text: string;
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** Set for `unix:` endpoints. */
  readonly socketPath: string | undefined;
}

/** Understands `http://h:p`, `https://h:p`, `h:p`, `unix:/path`, `unix://path` and `unixs:` forms. */
export function parseEndpoint(text: string, defaultSecure: boolean): Endpoint {
  const unix = /^(unixs?):(?:\/\/)?(.+)$/.exec(text);
  if (unix) {
    return { text, secure: unix[1] === 'unixs', host: 'localhost', port: 0, socketPath: unix[2] as string };
  }
  const match = /^(?:(https?):\/\/)?(\[[0-9a-fA-F:.]+\]|[^:/[\]]+)(?::(\d+))?\/?$/.exec(text);
  if (!match) {
    throw new EtcdError(
      grpcCode.invalidArgument,
      `Invalid etcd endpoint "${text}": want http://host:port, https://host:port or unix:/path`,
    );
  }
  const secure = match[1] === undefined ? defaultSecure : match[1] === 'https';
  const host = (match[2] as string).replace(/^\[|\]$/g, '');
  return { text, secure, host, port: Number(match[3] ?? (secure ? 443 : 80)), socketPath: undefined };
}

/** Opens the byte stream to an endpoint; the HTTP/2 session is built on it. */
export function openSocket(endpoint: Endpoint, options: EtcdTls | undefined): net.Socket {
  const target =
    endpoint.socketPath === undefined
      ? { host: endpoint.host, port: endpoint.port, noDelay: true }
      : { path: endpoint.socketPath };
  if (!endpoint.secure) return net.connect(target);
  const serverName = options?.serverName ?? endpoint.host;
  const socket = tls.connect({
    ...target,
    ALPNProtocols: ['h2'],
    ...(net.isIP(serverName) ? {} : { servername: serverName }),
    ...(options?.ca === undefined ? {} : { ca: options.ca }),
    ...(options?.cert === undefined ? {} : { cert: options.cert }),
    ...(options?.key === undefined ? {} : { key: options.key }),
    ...(options?.insecureSkipVerify ? { rejectUnauthorized: false } : {}),
    ...(options?.serverName !== undefined
      ? {
          checkServerIdentity: (_host: string, cert: tls.PeerCertificate) =>
            tls.checkServerIdentity(serverName, cert),
        }
      : {}),
  });
  // tls.connect does not take noDelay over; without it a frame that follows another waits 40 ms for its acknowledgement.
  socket.setNoDelay(true);
  return socket;
}
