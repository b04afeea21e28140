import type { Container, PodSpec } from '../pod-shape.ts';

export type ContainerKind = 'init' | 'sidecar' | 'main' | 'ephemeral';

/** How one run of a container ended. Times are wall milliseconds. */
export interface Exit {
  readonly id: string;
  readonly startedMs: number;
  readonly finishedMs: number;
  readonly exitCode: number;
  /** Number of the signal that ended it. */
  readonly signal?: number;
  readonly reason: string;
  readonly message?: string;
}

export type ContainerState =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message?: string }
  | { readonly kind: 'running'; readonly id: string; readonly pid: number; readonly startedMs: number }
  | ({ readonly kind: 'exited' } & Exit);

/** What the agent knows of a container; kept on disk, so that the next agent goes on with it. */
export interface ContainerRecord {
  readonly name: string;
  readonly kind: ContainerKind;
  image: string;
  state: ContainerState;
  last?: Exit;
  restarts: number;
  /** How long the next restart is put off; 0 before the first. */
  backoffMs: number;
  /** The next start is not before this. */
  notBeforeMs: number;
  /** Said by the readiness probe (true without one) and by the startup probe. */
  ready: boolean;
  started: boolean;
  /** Why it is being stopped, while it is. */
  stopping?: string;
}

/** The containers of a pod in the order in which they start. */
export function containersOf(spec: PodSpec): { kind: ContainerKind; container: Container }[] {
  return [
    ...(spec.initContainers ?? []).map((container) => ({
      kind: container.restartPolicy === 'Always' ? ('sidecar' as const) : ('init' as const),
      container,
    })),
    ...spec.containers.map((container) => ({ kind: 'main' as const, container })),
    ...(spec.ephemeralContainers ?? []).map((container) => ({ kind: 'ephemeral' as const, container })),
  ];
}

export function newRecord(kind: ContainerKind, container: Container): ContainerRecord {
  return {
    name: container.name,
    kind,
    image: container.image,
    state: { kind: 'waiting', reason: 'ContainerCreating' },
    restarts: 0,
    backoffMs: 0,
    notBeforeMs: 0,
    ready: false,
    started: false,
  };
}

/** The earlier run becomes the last one; its restart is counted and later ones are put off for longer each time. */
export const backoff = {
  firstMs: 10_000,
  maxMs: 300_000,
  /** A run this long clears the record. */
  forgiveMs: 600_000,
} as const;

/** Marks a record as about to start again after `exit`. */
export function rearm(record: ContainerRecord, exit: Exit): void {
  if (exit.finishedMs - exit.startedMs >= backoff.forgiveMs) record.backoffMs = 0;
  record.last = exit;
  record.restarts++;
  record.notBeforeMs = exit.finishedMs + record.backoffMs;
  record.backoffMs = record.backoffMs === 0 ? backoff.firstMs : Math.min(backoff.maxMs, record.backoffMs * 2);
}
