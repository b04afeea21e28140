import { jsonText } from '@pilothouse/apimachinery';
import { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { once } from 'node:events';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { Exchange } from '../request/exchange.ts';
import { timestamps } from '../request/request-context.ts';
import type { UserInfo } from '../authentication/interface.ts';

/** Writes one audit.k8s.io/v1 Event of level Metadata per request and stage, as JSON lines. */
export class AuditLog {
  readonly #out: WriteStream | NodeJS.WriteStream;
  readonly #clock: Clock;
  readonly #metrics: ServerMetrics;

  /** `path` is a file that is appended to, or `-` for standard output. */
  constructor(path: string, options: { clock: Clock; logger: Logger; metrics: ServerMetrics }) {
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    if (path === '-') {
      this.#out = process.stdout;
    } else {
      this.#out = createWriteStream(path, { flags: 'a', mode: 0o600 });
      this.#out.on('error', (error) => {
        options.logger.error('Cannot write the audit log', { path, error: errorMessage(error) });
      });
    }
  }

  /** Follows a request: ResponseStarted for streams, then ResponseComplete. */
  follow(exchange: Exchange): void {
    if (exchange.longRunning) {
      // There is no event for the first byte of a Node response; the head is written by writeHead.
      const { response } = exchange;
      const writeHead = response.writeHead.bind(response);
      response.writeHead = ((...parameters: Parameters<typeof writeHead>) => {
        const result = writeHead(...parameters);
        this.#write(exchange, 'ResponseStarted');
        return result;
      }) as typeof response.writeHead;
    }
    exchange.response.once('close', () => this.#write(exchange, 'ResponseComplete'));
  }

  #write(exchange: Exchange, stage: 'ResponseStarted' | 'ResponseComplete'): void {
    const { info, response } = exchange;
    const event = {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      auditID: exchange.auditId,
      stage,
      requestURI: exchange.request.url,
      verb: info.verb,
      user: userJson(exchange.impersonator ?? exchange.user),
      ...(exchange.impersonator ? { impersonatedUser: userJson(exchange.user) } : {}),
      sourceIPs:
        exchange.request.socket.remoteAddress === undefined ? [] : [exchange.request.socket.remoteAddress],
      userAgent: exchange.userAgent,
      ...(info.isResourceRequest
        ? {
            objectRef: {
              resource: info.resource,
              ...(info.namespace === '' ? {} : { namespace: info.namespace }),
              ...(info.name === '' ? {} : { name: info.name }),
              ...(info.apiGroup === '' ? {} : { apiGroup: info.apiGroup }),
              apiVersion: info.apiVersion,
              ...(info.subresource === '' ? {} : { subresource: info.subresource }),
            },
          }
        : {}),
      responseStatus: { metadata: {}, code: response.statusCode },
      requestReceivedTimestamp: timestamps(exchange.receivedMs).nowMicro,
      stageTimestamp: timestamps(this.#clock.now()).nowMicro,
      ...(Object.keys(exchange.auditAnnotations).length > 0
        ? { annotations: exchange.auditAnnotations }
        : {}),
    };
    this.#metrics.audits.inc();
    this.#out.write(`${jsonText(event)}\n`);
  }

  async close(): Promise<void> {
    if (this.#out === process.stdout) return;
    this.#out.end();
    await once(this.#out, 'close').catch(() => undefined);
  }
}

function userJson(user: UserInfo): object {
  return {
    username: user.name,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: user.groups,
    ...(user.extra === undefined ? {} : { extra: user.extra }),
  };
}
