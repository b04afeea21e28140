import { readdirSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { FileWatcher, ServedCertificateFiles, TlsPolicy } from '@pilothouse/host';
import { followServedCertificate, Metrics, readServedCertificate } from '@pilothouse/host';
import {
  acceptPortForwardSpdy,
  acceptPortForwardWebSocket,
  isSpdy,
  isWebSocket,
} from '@pilothouse/streaming';
import { parseLogQuery } from '../../core/process/log-query.ts';
import type { PodDirectories } from '../process/pod-directory.ts';
import type { PodWorker } from '../process/pod-worker.ts';
import type { ProcessPods } from '../process/process-pods.ts';
import { runCommand } from '../process/handler-run.ts';
import { sendLog } from './container-logs.ts';
import { logTarget } from './log-target.ts';
import { containerUsage, resourceMetrics, statsSummary } from './node-stats.ts';
import { serveAttach, serveExec, streamOptions } from './remote-command.ts';
import type { RequestAccess } from './request-access.ts';

export interface NodeServerOptions {
  readonly address: string;
  readonly port: number;
  /** PEM files; plain HTTP without them. */
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly clientCaFile?: string;
  /** Follows the files, and tells in /metrics what else it follows. Default: one of this server alone. */
  readonly watcher?: FileWatcher;
  /** Default: TLS 1.2 and later, suites with forward secrecy. */
  readonly policy?: TlsPolicy;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly access: RequestAccess;
  /** What `/configz` shows. */
  readonly configuration: unknown;
  listPods(): KubeObject[];
  /** Absent: the pods are simulated and have no processes. */
  readonly processes?: { readonly pods: ProcessPods; readonly directories: PodDirectories };
}

interface Call {
  readonly request: IncomingMessage;
  readonly path: string;
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

/** An answer that is no success. */
class HttpFailure extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const streamPaths = new Set(['containerLogs', 'exec', 'attach', 'run', 'portForward']);
const runTimeoutMs = 600_000;

/** The node's HTTPS server, with kubelet's paths. All but /healthz ask who the caller is and whether it may. */
export class NodeServer {
  readonly #options: NodeServerOptions;
  readonly #server: http.Server | https.Server;
  #unfollow: (() => void) | undefined;
  readonly #sockets = new Set<Duplex>();
  readonly #counts = new Map<string, number>();

  constructor(options: NodeServerOptions) {
    this.#options = options;
    const { certFile, keyFile, clientCaFile, policy } = options;
    const handler = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#serve(request, response);
    this.#server =
      certFile !== undefined && keyFile !== undefined
        ? this.#secureServer(
            {
              certFile,
              keyFile,
              ...(clientCaFile === undefined ? {} : { caFile: clientCaFile }),
              ...(policy === undefined ? {} : { policy }),
            },
            handler,
          )
        : http.createServer(handler);
    this.#server.requestTimeout = 0;
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      void this.#serveUpgrade(request, socket, head);
    });
  }

  /** Resolves with the port, which differs from the wanted one when that was 0. */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.address, () =>
        resolve((this.#server.address() as AddressInfo).port),
      );
    });
  }

  #secureServer(files: ServedCertificateFiles, handler: http.RequestListener): https.Server {
    const server = https.createServer(
      {
        ...readServedCertificate(files),
        // Who has no certificate, or a strange one, gets 401 and not a broken connection.
        ...(files.caFile === undefined ? {} : { requestCert: true, rejectUnauthorized: false }),
      },
      handler,
    );
    this.#unfollow = followServedCertificate(server, files, this.#options.watcher);
    return server;
  }

  close(): Promise<void> {
    return new Promise((done) => {
      for (const socket of this.#sockets) socket.destroy();
      this.#unfollow?.();
      this.#server.closeAllConnections();
      this.#server.close(() => done());
    });
  }

  #call(request: IncomingMessage): Call {
    const url = new URL(request.url ?? '/', 'http://node');
    let path = url.pathname;
    try {
      path = decodeURIComponent(path);
    } catch {
      // Stays as it came.
    }
    return { request, path, parts: path.split('/').filter((each) => each !== ''), query: url.searchParams };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = this.#call(request);
    try {
      if (call.path !== '/healthz') {
        const refusal = await this.#options.access.check(request, call.path);
        if (refusal) throw new HttpFailure(refusal.status, refusal.text);
      }
      const kind = call.parts[0] ?? '';
      this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
      await this.#answer(call, response);
    } catch (error) {
      if (response.headersSent) {
        response.destroy();
        return;
      }
      const status = error instanceof HttpFailure ? error.status : 500;
      if (status === 500)
        this.#options.logger.warn('Request failed', { path: call.path, error: errorMessage(error) });
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(errorMessage(error));
    }
  }

  async #answer(call: Call, response: ServerResponse): Promise<void> {
    const { listPods, clock, nodeName, processes, configuration } = this.#options;
    const json = (value: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    const text = (value: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(200, { 'content-type': type }).end(value);
    };
    const podList = (items: unknown): unknown => ({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });
    const workers = processes?.pods.workers() ?? [];
    const usage = (): ReturnType<typeof containerUsage> => containerUsage(workers, listProcessIds);
    const path = call.path.length > 1 ? call.path.replace(/\/+$/, '') : call.path;
    switch (path) {
      case '/healthz':
      case '/healthz/ping':
      case '/livez':
      case '/readyz':
        return text('ok');
      case '/pods':
        return json(podList(listPods()));
      case '/runningpods':
        return json(podList(runningPods(workers)));
      case '/configz':
        return json({ kubeletconfig: configuration });
      case '/stats/summary':
        return json(statsSummary(nodeName, workers, usage(), clock));
      case '/metrics/resource':
        return text(resourceMetrics(usage(), clock), 'text/plain; version=0.0.4; charset=utf-8');
      case '/metrics':
        return text(this.#metrics(workers), 'text/plain; version=0.0.4; charset=utf-8');
      default:
    }
    const kind = call.parts[0] ?? '';
    if (kind === 'logs') throw new HttpFailure(405, 'logs endpoint is disabled.');
    if (kind === 'debug' || kind === 'checkpoint')
      throw new HttpFailure(405, `${kind} endpoint is disabled.`);
    if (!streamPaths.has(kind)) throw new HttpFailure(404, '404 page not found\n');
    const worker = this.#worker(call);
    if (kind === 'containerLogs') return this.#logs(call, worker, response);
    if (kind === 'run') return this.#run(call, worker, text);
    // kubelet's words for a plain request to a path that needs a stream.
    throw new HttpFailure(400, 'Upgrade request required');
  }

  /** The pod of `/KIND/NAMESPACE/NAME[/UID]/…`. */
  #worker(call: Call): PodWorker {
    const { processes } = this.#options;
    const [kind = '', namespace = '', name = ''] = call.parts;
    if (!processes)
      throw new HttpFailure(
        501,
        `Container runtime "simulated" runs no processes: ${kind} is not available on this node\n`,
      );
    const containerAfter = kind === 'portForward' ? 0 : 1;
    const uid = call.parts.length > 3 + containerAfter ? call.parts[3] : undefined;
    const worker = processes.pods.find(namespace, name, uid);
    if (worker) return worker;
    throw new HttpFailure(
      404,
      kind === 'containerLogs' ? `pod "${name}" does not exist` : 'pod does not exist',
    );
  }

  async #logs(call: Call, worker: PodWorker, response: ServerResponse): Promise<void> {
    const { clock, processes } = this.#options;
    const container = call.parts[3] ?? '';
    let query;
    try {
      query = parseLogQuery(call.query, clock.now());
    } catch (error) {
      throw new HttpFailure(/Invalid/.test(errorMessage(error)) ? 422 : 400, errorMessage(error));
    }
    if (!worker.records.some((each) => each.name === container))
      throw new HttpFailure(404, `container "${container}" not found in pod "${worker.pod.metadata.name}"`);
    let target;
    try {
      target = logTarget(worker, container, query.previous, processes?.directories as PodDirectories);
    } catch (error) {
      throw new HttpFailure(400, errorMessage(error));
    }
    await sendLog(target.file, query, response, clock, target.isRunning);
  }

  /** The old way without streams: one command, its output as the answer. */
  async #run(call: Call, worker: PodWorker, text: (value: string) => void): Promise<void> {
    if (call.request.method !== 'POST') throw new HttpFailure(405, '405: Method Not Allowed');
    const running = this.#running(worker, call.parts.at(-1) ?? '');
    const command = (call.query.get('cmd') ?? '').split(' ').filter((each) => each !== '');
    const { env, cwd } = running.surroundings;
    const { exitCode, output } = await runCommand(
      command,
      { env, cwd, clock: this.#options.clock },
      runTimeoutMs,
    );
    if (exitCode !== 0)
      throw new HttpFailure(500, `command terminated with exit code ${exitCode}: ${output}`);
    text(output);
  }

  #running(worker: PodWorker, container: string): NonNullable<ReturnType<PodWorker['running']>> {
    const running = worker.running(container);
    if (running) return running;
    throw new HttpFailure(500, `container not found ("${container}")`);
  }

  async #serveUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const call = this.#call(request);
    const { access, clock } = this.#options;
    try {
      const refusal = await access.check(request, call.path);
      if (refusal) throw new HttpFailure(refusal.status, refusal.text);
      const kind = call.parts[0] ?? '';
      this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
      if (!['exec', 'attach', 'portForward'].includes(kind))
        throw new HttpFailure(404, '404 page not found\n');
      if (!isWebSocket(request) && !isSpdy(request)) throw new HttpFailure(400, 'Upgrade request required');
      const worker = this.#worker(call);
      const upgrade = { request, socket, head };
      if (kind === 'portForward') {
        await this.#portForward(call, worker, upgrade);
        return;
      }
      let options;
      try {
        options = streamOptions(call.query);
      } catch (error) {
        throw new HttpFailure(400, errorMessage(error));
      }
      const running = this.#running(worker, call.parts.at(-1) ?? '');
      if (kind === 'attach') await serveAttach(upgrade, running, options, clock);
      else await serveExec(upgrade, running, call.query.getAll('command'), options, clock);
    } catch (error) {
      const status = error instanceof HttpFailure ? error.status : 500;
      const body = Buffer.from(errorMessage(error));
      socket.end(
        Buffer.concat([
          Buffer.from(
            `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n`,
          ),
          body,
        ]),
      );
    }
  }

  async #portForward(
    call: Call,
    worker: PodWorker,
    upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer },
  ): Promise<void> {
    const { clock } = this.#options;
    const { namespace, name } = worker.pod.metadata;
    const target = {
      description: `pod ${name}_${namespace}, uid ${worker.uid}`,
      dial: (port: number) => dialPod(worker.podIp, port),
    };
    if (isSpdy(upgrade.request)) {
      acceptPortForwardSpdy(upgrade.request, upgrade.socket, upgrade.head, target, clock);
      return;
    }
    const ports = call.query
      .getAll('port')
      .flatMap((each) => each.split(','))
      .map(Number);
    if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 0xffff))
      throw new HttpFailure(400, `unable to parse "${call.query.get('port')}" as a port`);
    await acceptPortForwardWebSocket(upgrade.request, upgrade.socket, upgrade.head, ports, target, clock);
  }

  #metrics(workers: readonly PodWorker[]): string {
    const running = workers
      .flatMap((each) => each.records)
      .filter((each) => each.state.kind === 'running').length;
    const lines = [
      '# HELP kubelet_running_pods [ALPHA] Pods with a running container',
      '# TYPE kubelet_running_pods gauge',
      `kubelet_running_pods ${workers.filter((each) => each.records.some((record) => record.state.kind === 'running')).length}`,
      '# HELP kubelet_running_containers [ALPHA] Containers by state',
      '# TYPE kubelet_running_containers gauge',
      `kubelet_running_containers{container_state="running"} ${running}`,
      '# HELP kubelet_http_requests_total [ALPHA] Requests to this server by the first part of their path',
      '# TYPE kubelet_http_requests_total counter',
      ...[...this.#counts].map(
        ([kind, count]) => `kubelet_http_requests_total{path=${JSON.stringify(kind.slice(0, 40))}} ${count}`,
      ),
    ];
    const files = new Metrics();
    this.#options.watcher?.register(files);
    return `${lines.join('\n')}\n${files.render()}`;
  }
}

/** Only the pod's own address is dialled: this host's loopback has services that are none of the pod's. */
function dialPod(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true });
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Error(
          error.code === 'ECONNREFUSED'
            ? `failed to connect to ${host}:${port}: connection refused: a process must listen on the pod's address ($POD_IP) or on all addresses`
            : `failed to connect to ${host}:${port}: ${error.message}`,
        ),
      ),
    );
  });
}

function runningPods(workers: readonly PodWorker[]): unknown[] {
  return workers
    .filter((worker) => worker.records.some((each) => each.state.kind === 'running'))
    .map((worker) => {
      const { name, namespace } = worker.pod.metadata;
      const containers = worker.records.filter((each) => each.state.kind === 'running');
      return {
        metadata: { name, namespace, uid: worker.uid },
        spec: {
          containers: containers.map((each) => ({ name: each.name, image: each.image, resources: {} })),
        },
        status: {},
      };
    });
}

function listProcessIds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((each) => /^\d+$/.test(each))
      .map(Number);
  } catch {
    return [];
  }
}
