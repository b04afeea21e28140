import net from 'node:net';
import type { Clock, Logger, Random, ServiceRecord } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { pickRecord } from './srv-discovery.ts';

/** How long an endpoint may take to accept a connection. */
const dialTimeoutMs = 5_000;

export interface TcpGatewayOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly endpoints: readonly ServiceRecord[];
  /** How long an endpoint that could not be reached gets no connections. */
  readonly retryDelayMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface TcpGateway {
  readonly port: number;
  close(): Promise<void>;
}

interface Endpoint extends ServiceRecord {
  readonly address: string;
  /** Not used before this moment; monotonic. */
  restsUntil: number;
}

/** Passes each connection on to one of the endpoints, byte for byte; clients keep theirs until either side ends it. */
export async function startTcpGateway(options: TcpGatewayOptions): Promise<TcpGateway> {
  const { clock, random, logger, retryDelayMs } = options;
  const endpoints = options.endpoints.map((record): Endpoint => ({
    ...record,
    address: `${record.host}:${record.port}`,
    restsUntil: -Infinity,
  }));
  const sockets = new Set<net.Socket>();
  const track = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.once('close', () => sockets.delete(socket));
  };
  const dial = (endpoint: Endpoint): Promise<net.Socket> =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ host: endpoint.host, port: endpoint.port, allowHalfOpen: true });
      const timer = clock.setTimeout(
        () => socket.destroy(new Error(`no answer within ${dialTimeoutMs} ms`)),
        dialTimeoutMs,
      );
      const failed = (error: Error): void => {
        timer.cancel();
        reject(error);
      };
      socket.once('error', failed);
      socket.once('connect', () => {
        timer.cancel();
        socket.off('error', failed);
        resolve(socket);
      });
    });
  const serve = async (inner: net.Socket): Promise<void> => {
    track(inner);
    inner.on('error', () => inner.destroy());
    for (;;) {
      const now = clock.monotonic();
      const endpoint = pickRecord(
        endpoints.filter(({ restsUntil }) => restsUntil <= now),
        random,
      );
      if (endpoint === undefined) {
        inner.destroy();
        return;
      }
      let outer: net.Socket;
      try {
        outer = await dial(endpoint);
      } catch (error) {
        endpoint.restsUntil = clock.monotonic() + retryDelayMs;
        logger.warn('deactivated endpoint', {
          address: endpoint.address,
          interval: `${retryDelayMs / 1000}s`,
          error: errorMessage(error),
        });
        continue;
      }
      track(outer);
      if (inner.destroyed) {
        outer.destroy();
        return;
      }
      outer.on('error', () => outer.destroy());
      outer.once('close', () => inner.destroy());
      inner.once('close', () => outer.destroy());
      inner.pipe(outer);
      outer.pipe(inner);
      return;
    }
  };
  const server = net.createServer({ allowHalfOpen: true }, (socket) => void serve(socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.listen.port, options.listen.host, resolve);
  });
  logger.info('ready to proxy client requests', { endpoints: endpoints.map(({ address }) => address) });
  return {
    port: (server.address() as net.AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
