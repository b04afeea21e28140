import type { Clock } from '@pilothouse/base';
import type { Classification } from '../flow-control/classifier.ts';
import type { TicketDetails } from '../flow-control/dump.ts';
import type { FlowController } from '../flow-control/flow-controller.ts';
import type { Ticket } from '../flow-control/ticket.ts';
import { maxSeats, newTicket } from '../flow-control/ticket.ts';
import type { ResourceSize } from '../flow-control/work-estimate.ts';
import { estimateWork, isWrite } from '../flow-control/work-estimate.ts';
import { TextRefusal } from '../endpoints/respond.ts';
import type { Cell } from '../metrics/cells.ts';
import type { FlowMetrics, FlowSeries } from '../metrics/flow-metrics.ts';
import type { Exchange } from '../request/exchange.ts';
import { isTrue } from '../request/request-info.ts';
import type { Filter } from './filter.ts';

export interface FlowControlOptions {
  readonly controller: FlowController;
  readonly clock: Clock;
  readonly metrics: FlowMetrics;
  readonly inFlight: { readonly readOnly: Cell; readonly mutating: Cell };
  /** Time limit of a request without one of its own, milliseconds; a quarter of a request's time may be spent waiting. */
  readonly requestTimeoutMs: number;
  /** What is known of a resource's objects and watchers; undefined for what this server does not store. */
  sizeOf(group: string, resource: string): (ResourceSize & { readonly watchers: number }) | undefined;
}

const waitShare = 0.25;
const readVerbs = new Set(['get', 'list', 'watch']);

export const tooManyRequestsText = 'Too many requests, please try again later.\n';

/**
 * Priority and fairness: lets requests through as the seats of their priority level allow, in a fair order, and refuses with 429 what would have to
 * wait too long. A watch holds its seats until its initial state was found; other long-running requests hold none.
 */
export function flowControlFilter(options: FlowControlOptions): Filter {
  const { controller, clock, metrics } = options;
  const seriesOf = new WeakMap<Classification, FlowSeries>();

  const leave = (ticket: Ticket, found: Classification, series: FlowSeries): void => {
    const now = clock.monotonic();
    const seats = maxSeats(ticket.work);
    series.executing.dec();
    series.executingSeats.dec(seats);
    series.execution.observe((now - ticket.dispatchedMs) / 1000);
    const { level } = found;
    level.queue.finish(now, ticket);
    level.noteDemand(now);
    if (ticket.state !== 'finishing') return;
    clock.setTimeout(() => {
      const later = clock.monotonic();
      level.queue.release(later, ticket);
      level.noteDemand(later);
    }, ticket.work.additionalLatencyMs);
  };

  const refuse = (
    exchange: Exchange,
    found: Classification,
    series: FlowSeries,
    reason: string,
  ): TextRefusal => {
    series.rejected(reason).inc();
    setUids(exchange, found);
    const { retryAfter } = found.level;
    retryAfter.refused(clock.now());
    return new TextRefusal(429, tooManyRequestsText, { 'Retry-After': String(retryAfter.seconds) });
  };

  /** Resolves when the request may be executed; rejects when it may not. */
  const wait = (
    exchange: Exchange,
    ticket: Ticket,
    found: Classification,
    series: FlowSeries,
    dispatched: Promise<void>,
  ) => {
    const { level } = found;
    const seats = maxSeats(ticket.work);
    series.inQueue.inc();
    series.inQueueSeats.inc(seats);
    const limitMs = Number.isFinite(exchange.deadlineMs)
      ? exchange.deadlineMs - exchange.receivedMs
      : options.requestTimeoutMs;
    return new Promise<void>((resolve, reject) => {
      const settle = (waited: FlowSeries['waited']): void => {
        timer.cancel();
        forget();
        series.inQueue.dec();
        series.inQueueSeats.dec(seats);
        waited.observe((clock.monotonic() - ticket.arrivedMs) / 1000);
      };
      const giveUp = (reason: 'time-out' | 'cancelled', error: () => unknown): void => {
        const now = clock.monotonic();
        if (!level.queue.leave(now, ticket, reason)) return;
        level.noteDemand(now);
        settle(series.gaveUp);
        reject(error() as Error);
      };
      const timer = clock.setTimeout(() => {
        giveUp('time-out', () => refuse(exchange, found, series, 'time-out'));
      }, limitMs * waitShare);
      const forget = exchange.onAbort((reason) => {
        giveUp('cancelled', () => {
          series.rejected('cancelled').inc();
          return reason;
        });
      });
      void dispatched.then(() => {
        settle(series.waited);
        resolve();
      });
    });
  };

  return (exchange) => {
    const { info, user } = exchange;
    const now = clock.monotonic();
    const found = controller.classify(now, user, info);
    const isWatch = info.isResourceRequest && info.verb === 'watch';
    setUids(exchange, found);
    exchange.priorityLevel = found.level.name;
    if (exchange.longRunning && !isWatch) return undefined;
    let series = seriesOf.get(found);
    if (series === undefined) {
      seriesOf.set(found, (series = metrics.of(found.level.name, found.schemaName)));
    }
    const flow = series;
    const { level } = found;
    const question = questionOf(exchange, options);
    const work = estimateWork(question, level.seatsMax);
    let onDispatch: (() => void) | undefined;
    const ticket = newTicket({
      flowSchema: found.schemaName,
      distinguisher: distinguisherOf(found, exchange),
      work,
      arrivedMs: now,
      onNoRoom: () => flow.noRoom.inc(),
      details: { user, info, receivedMs: exchange.receivedMs } satisfies TicketDetails,
      onDispatch: () => {
        flow.dispatched.inc();
        flow.executing.inc();
        flow.executingSeats.inc(maxSeats(work));
        onDispatch?.();
      },
    });
    flow.seats.observe(maxSeats(work));
    if (isWrite(question)) flow.watchCount.observe(question.watchers);
    const arrival = level.queue.arrive(now, ticket);
    level.noteDemand(now);
    if (arrival === 'queue-full' || arrival === 'concurrency-limit')
      throw refuse(exchange, found, flow, arrival);
    const inFlight = isRead(exchange) ? options.inFlight.readOnly : options.inFlight.mutating;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      if (!exchange.longRunning) inFlight.dec();
      leave(ticket, found, flow);
    };
    const begin = (): void => {
      if (!exchange.longRunning) inFlight.inc();
      if (isWatch) exchange.onStarted(end);
      exchange.onClose(end);
    };
    if (arrival === 'execute') {
      flow.waited.observe(0);
      begin();
      return undefined;
    }
    flow.queueLength.observe(level.queue.waiting);
    const dispatched = new Promise<void>((resolve) => {
      onDispatch = () => {
        begin();
        resolve();
      };
    });
    return wait(exchange, ticket, found, flow, dispatched);
  };
}

function setUids({ response }: Exchange, { schemaUid, level }: Classification): void {
  response.setHeader('X-Kubernetes-Pf-Flowschema-Uid', schemaUid);
  response.setHeader('X-Kubernetes-Pf-Prioritylevel-Uid', level.uid);
}

function distinguisherOf({ distinguisher }: Classification, { user, info }: Exchange): string {
  if (distinguisher === 'ByUser') return user.name;
  return distinguisher === 'ByNamespace' ? info.namespace : '';
}

function isRead({ info, method }: Exchange): boolean {
  return info.isResourceRequest ? readVerbs.has(info.verb) : method === 'GET' || method === 'HEAD';
}

type Question = Parameters<typeof estimateWork>[0];

function plainQuestion(verb: string, watchers: number): Question {
  return {
    verb,
    isSingle: false,
    limit: 0,
    hasSelector: false,
    fromCache: true,
    sendsState: false,
    size: undefined,
    watchers,
  };
}

function questionOf({ info, query }: Exchange, options: FlowControlOptions): Question {
  const { verb } = info;
  if (!info.isResourceRequest || verb === 'get') return plainQuestion(verb, 0);
  const size = options.sizeOf(info.apiGroup, info.resource);
  if (verb !== 'list' && verb !== 'watch') return plainQuestion(verb, size?.watchers ?? 0);
  const resourceVersion = query.get('resourceVersion') ?? '';
  const initial = query.get('sendInitialEvents');
  return {
    verb,
    isSingle: info.name !== '',
    limit: Number(query.get('limit') ?? 0) || 0,
    hasSelector: info.fieldSelector !== undefined || info.labelSelector !== undefined,
    fromCache:
      verb === 'watch' ||
      ((query.get('continue') ?? '') === '' && query.get('resourceVersionMatch') !== 'Exact'),
    sendsState: isTrue(initial) || resourceVersion === '' || resourceVersion === '0',
    size,
    watchers: 0,
  };
}
