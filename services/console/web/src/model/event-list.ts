/** An Event as core/v1 has it; newer writers fill eventTime and series instead of the counts. */
export interface EventObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly creationTimestamp?: string;
    readonly resourceVersion?: string;
    readonly continue?: string;
  };
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
  readonly involvedObject?: {
    readonly apiVersion?: string;
    readonly kind?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly reportingComponent?: string;
  readonly source?: { readonly component?: string };
}

/** When an event was last seen, milliseconds since the epoch. */
export function lastSeen(event: EventObject): number {
  const text =
    event.series?.lastObservedTime ??
    event.lastTimestamp ??
    event.eventTime ??
    event.metadata.creationTimestamp ??
    '';
  return Date.parse(text) || 0;
}

export const eventCount = (event: EventObject): number => event.series?.count ?? event.count ?? 1;

export const eventSource = (event: EventObject): string =>
  event.reportingComponent || (event.source?.component ?? '');
