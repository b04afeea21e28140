import net from 'node:net';
import https from 'node:https';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { limits } from '../limits.ts';

export interface Backend {
  readonly host: string;
  readonly port: number;
}

export interface BalancerOptions {
  readonly listen: Backend;
  readonly backends: readonly Backend[];
  /** PEM of the CA that signed the backends' certificates; /readyz is asked over TLS with it; asked for each time. */
  readonly ca: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Balancer {
  readonly address: Backend;
  /** One entry per backend, in the order given. */
  status(): { address: string; healthy: boolean; connections: number }[];
  close(): Promise<void>;
}

interface BackendState extends Backend {
  healthy: boolean;
  /** Checks in a row that nobody answered. */
  silent: number;
  connections: Set<net.Socket>;
}

/**
 * A TCP balancer for API servers: TLS passes through untouched, so client certificates work. A new connection goes to the ready
 * backend with the fewest connections; a backend that refuses is skipped at once and one that fails its /readyz gets no new ones, but ends those
 * it has in its own time. One that says nothing at all, check after check, loses them, so that its clients go elsewhere.
 */
export async function startBalancer(options: BalancerOptions): Promise<Balancer> {
  const { clock, logger } = options;
  const backends: BackendState[] = options.backends.map((backend) => ({
    ...backend,
    healthy: false,
    silent: 0,
    connections: new Set(),
  }));
  let closed = false;

  const name = (backend: Backend): string => `${backend.host}:${backend.port}`;
  const setHealth = (backend: BackendState, healthy: boolean, why: string): void => {
    if (backend.healthy === healthy) return;
    backend.healthy = healthy;
    logger.info(healthy ? 'Backend is ready' : 'Backend is not ready', { backend: name(backend), why });
  };

  function check(backend: BackendState): void {
    const request = https.get(
      {
        host: backend.host,
        port: backend.port,
        path: '/readyz',
        ca: options.ca(),
        timeout: limits.balancerCheckTimeoutMs,
        agent: false,
      },
      (response) => {
        response.resume();
        backend.silent = 0;
        setHealth(backend, response.statusCode === 200, `readyz answered ${response.statusCode}`);
      },
    );
    let isSilent = false;
    request.on('timeout', () => {
      isSilent = true;
      request.destroy(new Error('readyz timed out'));
    });
    request.on('error', (error) => {
      if (!isSilent) {
        backend.silent = 0;
        setHealth(backend, false, errorMessage(error));
        return;
      }
      // One late answer is a busy moment: whoever is slow is not yet gone.
      if (++backend.silent < limits.balancerSilentChecks) return;
      setHealth(backend, false, errorMessage(error));
      // Where all are silent the fault is nearer, and their clients have nowhere to go.
      if (backend.silent >= limits.balancerSilentChecksCut && backends.some((each) => each.healthy))
        for (const socket of backend.connections) socket.destroy();
    });
  }

  /** Ready ones first, fewest connections first; the others remain as a last resort. */
  const candidates = (): BackendState[] =>
    [...backends].sort(
      (a, b) => Number(b.healthy) - Number(a.healthy) || a.connections.size - b.connections.size,
    );

  function connect(client: net.Socket, remaining: BackendState[]): void {
    const backend = remaining.shift();
    if (!backend || closed) {
      client.destroy();
      return;
    }
    const upstream = net.connect({ host: backend.host, port: backend.port, noDelay: true });
    let joined = false;
    const timer = clock.setTimeout(
      () => upstream.destroy(new Error('connect timed out')),
      limits.balancerConnectTimeoutMs,
    );
    upstream.once('connect', () => {
      timer.cancel();
      joined = true;
      backend.connections.add(upstream);
      client.pipe(upstream);
      upstream.pipe(client);
    });
    upstream.on('error', (error) => {
      if (!joined) setHealth(backend, false, errorMessage(error));
    });
    upstream.once('close', () => {
      timer.cancel();
      backend.connections.delete(upstream);
      // A reset is passed on at once: the client's fail-over starts now, not at its next timeout.
      if (joined) client.destroy();
      else if (!client.destroyed) connect(client, remaining);
    });
    client.once('close', () => upstream.destroy());
  }

  const server = net.createServer({ noDelay: true, pauseOnConnect: false }, (client) => {
    client.on('error', () => client.destroy());
    connect(client, candidates());
  });
  server.maxConnections = limits.balancerConnectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.listen.port, options.listen.host, resolve);
  });
  const timer = clock.setInterval(() => backends.forEach(check), limits.balancerCheckIntervalMs);
  backends.forEach(check);
  const bound = server.address() as net.AddressInfo;

  return {
    address: { host: options.listen.host, port: bound.port },
    status: () =>
      backends.map((each) => ({
        address: name(each),
        healthy: each.healthy,
        connections: each.connections.size,
      })),
    close() {
      closed = true;
      timer.cancel();
      for (const backend of backends) for (const socket of backend.connections) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
