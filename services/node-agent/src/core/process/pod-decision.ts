import type { PodSpec } from '../pod-shape.ts';
import type { ContainerRecord } from './container-record.ts';

/** What is to be done for a pod now. */
export interface PodDecision {
  readonly start: readonly string[];
  /** Running containers that should not run any more. */
  readonly stop: readonly { readonly name: string; readonly reason: string }[];
  /** Wall time at which to decide again without any change. */
  readonly wakeMs: number | undefined;
  /** No container will run again. */
  readonly over: boolean;
}

export interface DecisionInput {
  readonly spec: PodSpec;
  /** In the order of the spec. */
  readonly records: readonly ContainerRecord[];
  readonly nowMs: number;
  /** The pod is being deleted, or has failed as a whole (deadline, refusal). */
  readonly terminating: boolean;
}

/** Whether a container that ended is started again. */
export function startsAgain(record: ContainerRecord, policy: PodSpec['restartPolicy']): boolean {
  if (record.state.kind !== 'exited') return true;
  switch (record.kind) {
    case 'sidecar':
      return true;
    case 'ephemeral':
      return false;
    case 'init':
      return record.state.exitCode !== 0 && policy !== 'Never';
    case 'main':
      return policy === 'OnFailure' ? record.state.exitCode !== 0 : policy !== 'Never';
  }
}

/**
 * Kubelet's order: init containers one after the other (a sidecar counts as done once it has started), then all main containers;
 * sidecars end, the last one first, when the main containers are through.
 */
export function decide(input: DecisionInput): PodDecision {
  const { spec, records, nowMs, terminating } = input;
  const policy = spec.restartPolicy ?? 'Always';
  const start: string[] = [];
  const stop: { name: string; reason: string }[] = [];
  let wakeMs: number | undefined;
  const running = (record: ContainerRecord): boolean => record.state.kind === 'running';
  const ended = (record: ContainerRecord): boolean =>
    record.state.kind === 'exited' && !startsAgain(record, policy);
  const main = records.filter((each) => each.kind === 'main');
  const sidecars = records.filter((each) => each.kind === 'sidecar');
  const failedInit = records.find(
    (each) =>
      each.kind === 'init' && ended(each) && each.state.kind === 'exited' && each.state.exitCode !== 0,
  );
  const mainOver = main.every(ended) || failedInit !== undefined;

  const stopAll = (which: readonly ContainerRecord[], reason: string): void => {
    for (const record of which) if (running(record)) stop.push({ name: record.name, reason });
  };
  if (terminating || mainOver) {
    stopAll(
      records.filter((each) => each.kind !== 'sidecar'),
      terminating ? 'Terminating' : 'PodOver',
    );
    // Sidecars outlive what they serve, and end in the reverse of their order.
    const waiting = records.some(
      (each) => each.kind !== 'sidecar' && each.kind !== 'ephemeral' && running(each),
    );
    if (!waiting) stopAll(sidecars.filter(running).slice(-1), terminating ? 'Terminating' : 'PodOver');
    return { start, stop, wakeMs, over: !records.some(running) };
  }

  const wants = (record: ContainerRecord): void => {
    if (running(record) || !startsAgain(record, policy)) return;
    if (nowMs >= record.notBeforeMs) start.push(record.name);
    else wakeMs = wakeMs === undefined ? record.notBeforeMs : Math.min(wakeMs, record.notBeforeMs);
  };
  let initialized = true;
  for (const record of records.filter((each) => each.kind === 'init' || each.kind === 'sidecar')) {
    wants(record);
    const passed =
      record.kind === 'sidecar'
        ? running(record) && record.started
        : record.state.kind === 'exited' && record.state.exitCode === 0;
    if (!passed) {
      initialized = false;
      break;
    }
  }
  if (initialized || main.some((each) => each.restarts > 0 || each.state.kind !== 'waiting')) {
    for (const record of main) wants(record);
  }
  for (const record of records.filter((each) => each.kind === 'ephemeral')) {
    if (main.some((each) => each.state.kind !== 'waiting')) wants(record);
  }
  return { start: [...new Set(start)], stop, wakeMs, over: false };
}
