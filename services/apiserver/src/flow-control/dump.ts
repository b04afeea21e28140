import type { RequestInfo } from '../request/request-info.ts';
import type { UserInfo } from '../authentication/interface.ts';
import type { FlowController } from './flow-controller.ts';
import type { Ticket } from './ticket.ts';
import { maxSeats, seatSeconds } from './ticket.ts';

/** What a ticket's `details` hold for these dumps. */
export interface TicketDetails {
  readonly user: UserInfo;
  readonly info: RequestInfo;
  /** Wall time of the arrival, milliseconds. */
  readonly receivedMs: number;
}

const cellMin = 8;

/** Columns as Go's tabwriter aligns them, each but the last ended by a comma. */
function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? cellMin, cell.length + 2);
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === row.length - 1 ? cell : `${cell},`.padEnd(widths[column] as number),
      );
      return `${cells.join('')}\n`;
    })
    .join('');
}

const sortedLevels = (controller: FlowController) =>
  [...controller.levels.values()].sort((a, b) => (a.name < b.name ? -1 : 1));

/** Seat-seconds as Go prints them. */
const inSeatSeconds = (value: number): string => `${value.toFixed(8)}ss`;

export function dumpPriorityLevels(controller: FlowController): string {
  const rows = sortedLevels(controller).map(({ name, queue, isQuiescing }) => [
    name,
    String(queue.dump().queues.filter(({ waiting }) => waiting.length > 0).length),
    String(queue.isIdle),
    String(isQuiescing),
    String(queue.waiting),
    String(queue.executing),
    String(queue.dispatched),
    String(queue.rejected),
    String(queue.timedOut),
    String(queue.cancelled),
  ]);
  return table([
    [
      'PriorityLevelName',
      'ActiveQueues',
      'IsIdle',
      'IsQuiescing',
      'WaitingRequests',
      'ExecutingRequests',
      'DispatchedRequests',
      'RejectedRequests',
      'TimedoutRequests',
      'CancelledRequests',
    ],
    ...rows,
  ]);
}

export function dumpQueues(controller: FlowController): string {
  const sum = (tickets: readonly Ticket[], of: (ticket: Ticket) => number): number =>
    tickets.reduce((total, ticket) => total + of(ticket), 0);
  const rows = sortedLevels(controller).flatMap(({ name, queue }) =>
    queue
      .dump()
      .queues.map((each, index) => [
        name,
        String(index),
        String(each.waiting.length),
        String(each.executing.length),
        String(each.seatsInUse),
        inSeatSeconds(each.nextDispatchR),
        String(sum(each.waiting, ({ work }) => work.initialSeats)),
        String(sum(each.waiting, ({ work }) => maxSeats(work))),
        inSeatSeconds(sum(each.waiting, ({ work }) => seatSeconds(work, 3))),
      ]),
  );
  return table([
    [
      'PriorityLevelName',
      'Index',
      'PendingRequests',
      'ExecutingRequests',
      'SeatsInUse',
      'NextDispatchR',
      'InitialSeatsSum',
      'MaxSeatsSum',
      'TotalWorkSum',
    ],
    ...rows,
  ]);
}

export function dumpRequests(controller: FlowController, withDetails: boolean): string {
  const head = [
    'PriorityLevelName',
    'FlowSchemaName',
    'QueueIndex',
    'RequestIndexInQueue',
    // Upstream's spelling.
    'FlowDistingsher',
    'ArriveTime',
    'InitialSeats',
    'FinalSeats',
    'AdditionalLatency',
    'StartTime',
  ];
  const detailHead = [
    'UserName',
    'Verb',
    'APIPath',
    'Namespace',
    'Name',
    'APIVersion',
    'Resource',
    'SubResource',
  ];
  const row = (level: string, queue: number, index: number, ticket: Ticket): string[] => {
    const { user, info, receivedMs } = ticket.details as TicketDetails;
    const time = (ms: number): string => new Date(ms).toISOString();
    const started =
      ticket.state === 'waiting'
        ? '0001-01-01T00:00:00Z'
        : time(receivedMs + ticket.dispatchedMs - ticket.arrivedMs);
    const cells = [
      level,
      ticket.flowSchema,
      String(queue),
      String(index),
      ticket.distinguisher,
      time(receivedMs),
      String(ticket.work.initialSeats),
      String(ticket.work.finalSeats),
      `${ticket.work.additionalLatencyMs / 1000}s`,
      started,
    ];
    if (!withDetails) return cells;
    const { verb, path, namespace, name, apiGroup, apiVersion, resource, subresource } = info;
    const version = apiGroup === '' ? apiVersion : `${apiGroup}/${apiVersion}`;
    return [...cells, user.name, verb, path, namespace, name, version, resource, subresource];
  };
  const rows = sortedLevels(controller).flatMap(({ name, queue }) => {
    const { queues, loose } = queue.dump();
    return [
      ...queues.flatMap(({ waiting, executing }, index) => [
        ...waiting.map((ticket, place) => row(name, index, place, ticket)),
        ...executing.map((ticket) => row(name, index, -1, ticket)),
      ]),
      ...loose.map((ticket) => row(name, -1, -1, ticket)),
    ];
  });
  return table([withDetails ? [...head, ...detailHead] : head, ...rows]);
}
