import { isIP } from 'node:net';
import type { Clock } from '@pilothouse/base';
import { StatusError, statusErrors } from '@pilothouse/apimachinery';
import type { Filter } from '../filters/filter.ts';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { Exchange } from '../request/exchange.ts';
import { timestamps } from '../request/request-context.ts';
import { AuditContext } from './audit-context.ts';
import type { AuditEvent } from './audit-event.ts';
import type { AuditPolicy, AuditStage } from './policy.ts';
import type { AuditSink } from './sinks.ts';

const userAgentCharactersMax = 1024;

/** A backend and whether a lost first event refuses the request. */
export interface AuditTarget {
  readonly sink: AuditSink;
  readonly strict: boolean;
}

/** Follows each request through its stages and writes what the policy asks for, in upstream's audit.k8s.io/v1 Events. */
export class AuditTrail {
  readonly #policy: AuditPolicy;
  readonly #targets: readonly AuditTarget[];
  readonly #clock: Clock;
  readonly #metrics: ServerMetrics;

  constructor(
    policy: AuditPolicy,
    targets: readonly AuditTarget[],
    ports: { clock: Clock; metrics: ServerMetrics },
  ) {
    this.#policy = policy;
    this.#targets = targets;
    this.#clock = ports.clock;
    this.#metrics = ports.metrics;
  }

  /** Behind authentication, before impersonation. Throws 500 when the first event is lost and that must not be. */
  readonly filter: Filter = (exchange) => {
    const decision = this.#policy.decide(exchange.info, exchange.user);
    this.#metrics.auditLevels.cell(decision.level).inc();
    if (decision.level === 'None') return undefined;
    const context = new AuditContext(decision, exchange.user, sourceIps(exchange));
    exchange.audit = context;
    const received = this.#write(exchange, context, 'RequestReceived');
    if (received instanceof Promise) return received.then((stored) => this.#go(exchange, context, stored));
    return this.#go(exchange, context, received);
  };

  /** Tells of requests whose credentials are refused: they never come to the {@link filter}. */
  authentication(filter: Filter): Filter {
    return async (exchange) => {
      try {
        await filter(exchange);
      } catch (error) {
        if (error instanceof StatusError && error.httpCode === 401) await this.#refused(exchange);
        throw error;
      }
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#targets.map(({ sink }) => sink.close()));
  }

  #go(exchange: Exchange, context: AuditContext, stored: boolean): void {
    const { response } = exchange;
    if (!stored) {
      this.#metrics.auditRejected.inc();
      throw statusErrors.internal('failed to store audit event');
    }
    if (exchange.longRunning) {
      // There is no event for the first byte of a Node response; the head is written by writeHead.
      const writeHead = response.writeHead.bind(response);
      response.writeHead = ((...parameters: Parameters<typeof writeHead>) => {
        const result = writeHead(...parameters);
        void this.#write(exchange, context, 'ResponseStarted');
        return result;
      }) as typeof response.writeHead;
    }
    response.once('close', () => {
      if (!response.headersSent) {
        context.responseStatus({ status: 'Success', message: 'Connection closed early' } as never);
        if (exchange.longRunning && !exchange.upgrade) void this.#write(exchange, context, 'ResponseStarted');
      }
      void this.#write(exchange, context, 'ResponseComplete');
    });
  }

  async #refused(exchange: Exchange): Promise<void> {
    const decision = this.#policy.decide(exchange.info, exchange.user);
    if (decision.level === 'None') return;
    const context = new AuditContext(decision, exchange.user, sourceIps(exchange));
    context.responseStatus({ message: attemptedMethods(exchange) } as never);
    await this.#write(exchange, context, 'ResponseStarted', 401);
  }

  /** False when a strict target lost the event. */
  #write(
    exchange: Exchange,
    context: AuditContext,
    stage: AuditStage,
    code?: number,
  ): boolean | Promise<boolean> {
    if (context.decision.omitStages.has(stage)) return true;
    const event = this.#eventOf(exchange, context, stage, code);
    this.#metrics.audits.inc();
    let stored = true;
    const waiting: Promise<boolean>[] = [];
    for (const { sink, strict } of this.#targets) {
      const result = sink.write(event);
      if (result instanceof Promise) waiting.push(strict ? result : result.then(() => true));
      else if (!result && strict) stored = false;
    }
    if (waiting.length === 0) return stored;
    return Promise.all(waiting).then((results) => stored && results.every(Boolean));
  }

  #eventOf(exchange: Exchange, context: AuditContext, stage: AuditStage, code?: number): AuditEvent {
    const { info, request, response } = exchange;
    const answered = stage !== 'RequestReceived';
    const statusCode = code ?? (response.headersSent ? response.statusCode : 200);
    const objectRef = info.isResourceRequest
      ? {
          resource: info.resource,
          ...context.objectMeta,
          ...(info.namespace === '' ? {} : { namespace: info.namespace }),
          ...(info.name === '' ? {} : { name: info.name }),
          ...(info.apiGroup === '' ? {} : { apiGroup: info.apiGroup }),
          apiVersion: info.apiVersion,
          ...(info.subresource === '' ? {} : { subresource: info.subresource }),
        }
      : undefined;
    return {
      level: context.decision.level,
      auditID: exchange.auditId,
      stage,
      requestURI: request.url ?? '',
      verb: info.verb,
      user: context.user,
      impersonatedUser: exchange.impersonator ? exchange.user : undefined,
      impersonationConstraint: exchange.impersonationConstraint,
      sourceIPs: context.sourceIps,
      userAgent:
        exchange.userAgent.length > userAgentCharactersMax
          ? `${exchange.userAgent.slice(0, userAgentCharactersMax)}...TRUNCATED`
          : exchange.userAgent,
      objectRef,
      responseStatus: answered ? context.statusJson(statusCode) : undefined,
      requestObject: answered ? context.requestJson() : undefined,
      responseObject: stage === 'ResponseComplete' ? context.responseJson() : undefined,
      requestReceivedTimestamp: timestamps(exchange.receivedMs).nowMicro,
      stageTimestamp: timestamps(this.#clock.now()).nowMicro,
      annotations: exchange.auditAnnotations,
    };
  }
}

/** What proxies say about the client, then who is connected. */
function sourceIps(exchange: Exchange): string[] {
  const ips = exchange
    .header('x-forwarded-for')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => isIP(part) !== 0);
  const real = exchange.header('x-real-ip').trim();
  if (isIP(real) !== 0 && ips[0] !== real) ips.push(real);
  // The stream of a client that is gone has no socket, whatever the type says.
  const socket = exchange.request.socket as { readonly remoteAddress?: string } | undefined;
  const remote = socket?.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '');
  if (remote !== undefined && ips[ips.length - 1] !== remote) ips.push(remote);
  return ips;
}

function attemptedMethods(exchange: Exchange): string {
  const methods: string[] = [];
  const authorization = exchange.header('authorization');
  if (/^Basic /i.test(authorization)) methods.push('basic');
  if (/^Bearer /i.test(authorization)) methods.push('bearer');
  if (exchange.query.get('access_token')) methods.push('access_token');
  const socket = exchange.request.socket as { getPeerCertificate?: () => { raw?: Buffer } };
  if (socket.getPeerCertificate?.().raw !== undefined) methods.push('x509');
  return methods.length === 0
    ? 'Authentication failed, no credentials provided'
    : `Authentication failed, attempted: ${methods.join(', ')}`;
}
