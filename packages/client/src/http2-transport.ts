import http2 from 'node:http2';
import type { Clock, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { TransportError } from './errors.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';

/** Limits of {@link createHttp2Transport}. */
export const transportLimits = {
  connectTimeoutMs: 5_000,
  requestTimeoutMs: 60_000,
  /** A dead connection is noticed after one unanswered ping: client-go uses 30 s and 15 s, here fail-over is the point. */
  pingIntervalMs: 5_000,
  pingTimeoutMs: 5_000,
  /** Watches and requests multiplexed on one connection before another is opened. */
  streamsPerSessionMax: 90,
} as const;

interface Session {
  readonly http2: http2.ClientHttp2Session;
  readonly connected: Promise<void>;
  /** Exchanges on it, those that wait for the connection too. */
  streams: number;
  usable: boolean;
}

/** A transport whose credentials and authorities can be replaced while it works. */
export interface RenewableTransport extends Transport {
  /** New exchanges use it, on new connections; those that are open end where they are, and their connections with them. */
  use(access: ClusterAccess): void;
}

/**
 * HTTP/2 with prior knowledge of TLS ALPN `h2`, a few multiplexed connections. A connection that breaks, is told to go away or
 * does not answer a ping is dropped at once, so the next request goes through the balancer to another replica.
 */
export function createHttp2Transport(first: ClusterAccess, clock: Clock): RenewableTransport {
  let access = first;
  const sessions = new Set<Session>();
  /** Of replaced credentials, while something is open on them. */
  const retired = new Set<Session>();
  let closed = false;

  /** The exchange is over; a retired connection ends with its last one. */
  function leave(session: Session): void {
    session.streams--;
    if (session.streams > 0 || !retired.delete(session)) return;
    session.http2.close();
  }

  function open(): Session {
    const { server } = access;
    const client = http2.connect(server, {
      ...(access.ca === undefined ? {} : { ca: access.ca }),
      ...(access.cert === undefined ? {} : { cert: access.cert }),
      ...(access.key === undefined ? {} : { key: access.key }),
      ...(access.serverName === undefined ? {} : { servername: access.serverName }),
      rejectUnauthorized: access.insecureSkipTlsVerify !== true,
      settings: { initialWindowSize: 1 << 20, enablePush: false },
    });
    let ping: Timer | undefined;
    const connected = new Promise<void>((resolve, reject) => {
      const timer = clock.setTimeout(
        () => fail(new Error(`no connection to ${server} after ${transportLimits.connectTimeoutMs} ms`)),
        transportLimits.connectTimeoutMs,
      );
      const fail = (error: unknown): void => {
        timer.cancel();
        reject(
          new TransportError(`Cannot connect to ${server}: ${errorMessage(error)}`, {
            sent: false,
            cause: error,
          }),
        );
        drop();
        client.destroy();
      };
      client.once('connect', () => {
        // The timer may have ended it in the same turn.
        if (client.destroyed) return;
        timer.cancel();
        client.setLocalWindowSize?.(16 << 20);
        resolve();
      });
      client.on('error', fail);
    });
    connected.catch(() => undefined);
    const session: Session = { http2: client, connected, streams: 0, usable: true };
    const drop = (): void => {
      session.usable = false;
      sessions.delete(session);
      retired.delete(session);
      ping?.cancel();
    };
    client.on('goaway', drop);
    client.on('close', drop);
    ping = clock.setInterval(() => {
      if (client.destroyed || client.connecting) return;
      const deadline = clock.setTimeout(
        () => client.destroy(new Error('ping timed out')),
        transportLimits.pingTimeoutMs,
      );
      const sent = client.ping((error) => {
        deadline.cancel();
        if (error && !client.destroyed) client.destroy();
      });
      if (!sent) deadline.cancel();
    }, transportLimits.pingIntervalMs);
    client.unref();
    sessions.add(session);
    return session;
  }

  function pick(): Session {
    for (const session of sessions) {
      if (
        session.usable &&
        !session.http2.destroyed &&
        session.streams < transportLimits.streamsPerSessionMax
      )
        return session;
    }
    return open();
  }

  async function request(options: TransportRequest): Promise<TransportResponse> {
    let session: Session;
    for (;;) {
      if (closed) throw new TransportError('The client is closed', { sent: false });
      session = pick();
      session.streams++;
      try {
        await session.connected;
      } catch (error) {
        leave(session);
        throw error;
      }
      if (!retired.has(session)) break;
      // Other credentials came while it connected.
      leave(session);
    }
    const body = typeof options.body === 'string' ? Buffer.from(options.body) : options.body;
    return await new Promise<TransportResponse>((resolve, reject) => {
      let stream: http2.ClientHttp2Stream;
      try {
        stream = session.http2.request(
          {
            ':method': options.method,
            ':path': options.path,
            ...(access.token === undefined ? {} : { authorization: `Bearer ${access.token}` }),
            ...options.headers,
            ...(body === undefined ? {} : { 'content-length': String(body.length) }),
          },
          { endStream: body === undefined },
        );
      } catch (error) {
        leave(session);
        session.usable = false;
        sessions.delete(session);
        reject(
          new TransportError(`Cannot send to ${access.server}: ${errorMessage(error)}`, {
            sent: false,
            cause: error,
          }),
        );
        return;
      }
      const timer = clock.setTimeout(
        () => stream.destroy(new Error('request timed out')),
        options.timeoutMs ?? transportLimits.requestTimeoutMs,
      );
      const abort = (): void => void stream.destroy(new Error('aborted'));
      options.signal?.addEventListener('abort', abort, { once: true });
      let refused = false;
      let answered = false;
      stream.once('response', (headers) => {
        answered = true;
        timer.cancel();
        const plain: Record<string, string> = {};
        for (const [name, value] of Object.entries(headers)) {
          if (!name.startsWith(':') && value !== undefined)
            plain[name] = Array.isArray(value) ? value.join(', ') : String(value);
        }
        resolve({ status: Number(headers[':status']), headers: plain, body: stream });
      });
      stream.on('error', (error) => {
        refused =
          (error as { code?: string }).code === 'ERR_HTTP2_STREAM_ERROR' &&
          stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM;
        reject(
          new TransportError(`${options.method} ${access.server}${options.path}: ${errorMessage(error)}`, {
            sent: !refused,
            cause: error,
          }),
        );
      });
      stream.once('close', () => {
        timer.cancel();
        options.signal?.removeEventListener('abort', abort);
        leave(session);
        if (!answered) {
          reject(
            new TransportError(
              `${options.method} ${access.server}${options.path}: connection closed before an answer`,
              { sent: !refused },
            ),
          );
        }
      });
      if (options.signal?.aborted) abort();
      else if (body !== undefined) stream.end(body);
    });
  }

  return {
    request,
    use(next) {
      access = next;
      for (const session of sessions) {
        sessions.delete(session);
        session.usable = false;
        if (session.streams > 0) retired.add(session);
        else session.http2.close();
      }
    },
    close() {
      closed = true;
      for (const session of [...sessions, ...retired]) session.http2.destroy();
      sessions.clear();
      retired.clear();
    },
  };
}
