import type { KubeObject } from '@pilothouse/apimachinery';
import type {
  Container,
  ContainerState,
  ContainerStatus,
  PodCondition,
  PodSpec,
  PodStatus,
} from '../pod-shape.ts';
import type { ContainerRecord, Exit } from './container-record.ts';
import { containersOf } from './container-record.ts';
import { startsAgain } from './pod-decision.ts';

export interface StatusInput {
  readonly pod: KubeObject;
  readonly records: readonly ContainerRecord[];
  readonly nowMs: number;
  readonly startedMs: number;
  readonly hostIp: string;
  readonly podIp: string;
  /** The volumes and directories are there. */
  readonly prepared: boolean;
  readonly terminating: boolean;
  /** Set when the pod failed as a whole. */
  readonly failure?: { readonly reason: string; readonly message: string };
  /** Wall milliseconds as RFC 3339 with whole seconds. */
  time(ms: number): string;
}

const runtimeName = 'process';

/** The status as kubelet reports it. Conditions that somebody else set (readiness gates, PodScheduled) are left alone. */
export function podStatus(input: StatusInput): PodStatus {
  const { pod, records, hostIp, podIp, prepared } = input;
  const spec = pod['spec'] as PodSpec;
  const specs = new Map(
    containersOf(spec).map(({ kind, container }) => [`${kind}/${container.name}`, container]),
  );
  const statusOf = (record: ContainerRecord): ContainerStatus =>
    containerStatus(record, specs.get(`${record.kind}/${record.name}`), input);
  const init = records.filter((each) => each.kind === 'init' || each.kind === 'sidecar');
  const main = records.filter((each) => each.kind === 'main');
  const ephemeral = records.filter((each) => each.kind === 'ephemeral');
  const phase = phaseOf(input, spec, init, main);
  const initStatuses = init.map(statusOf);
  const statuses = main.map(statusOf);
  const generation = pod.metadata.generation;
  const address = spec.hostNetwork === true ? hostIp : podIp;
  return {
    phase,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(input.failure ?? {}),
    conditions: conditionsOf(input, spec, phase, init, statuses),
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    ...(prepared ? { podIP: address, podIPs: [{ ip: address }] } : {}),
    startTime: input.time(input.startedMs),
    ...(initStatuses.length === 0 ? {} : { initContainerStatuses: initStatuses }),
    containerStatuses: statuses,
    ...(ephemeral.length === 0 ? {} : { ephemeralContainerStatuses: ephemeral.map(statusOf) }),
  };
}

function phaseOf(
  input: StatusInput,
  spec: PodSpec,
  init: readonly ContainerRecord[],
  main: readonly ContainerRecord[],
): PodStatus['phase'] {
  if (input.failure) return 'Failed';
  const policy = spec.restartPolicy ?? 'Always';
  const exitCode = (record: ContainerRecord): number | undefined =>
    record.state.kind === 'exited' ? record.state.exitCode : undefined;
  if (init.some((each) => each.kind === 'init' && (exitCode(each) ?? 0) !== 0 && policy === 'Never'))
    return 'Failed';
  if (main.every((each) => each.state.kind === 'waiting' && each.last === undefined)) return 'Pending';
  const over = main.every(
    (each) => each.state.kind === 'exited' && (input.terminating || !startsAgain(each, policy)),
  );
  if (!over) return 'Running';
  return main.some((each) => exitCode(each) !== 0) ? 'Failed' : 'Succeeded';
}

function terminated(exit: Exit, time: (ms: number) => string): ContainerState {
  return {
    terminated: {
      exitCode: exit.exitCode,
      ...(exit.signal === undefined ? {} : { signal: exit.signal }),
      reason: exit.reason,
      ...(exit.message === undefined || exit.message === '' ? {} : { message: exit.message }),
      startedAt: time(exit.startedMs),
      finishedAt: time(exit.finishedMs),
      containerID: `${runtimeName}://${exit.id}`,
    },
  };
}

function containerStatus(
  record: ContainerRecord,
  container: Container | undefined,
  input: StatusInput,
): ContainerStatus {
  const { nowMs, pod, time } = input;
  const policy = (pod['spec'] as PodSpec).restartPolicy;
  const { state } = record;
  let shown: ContainerState;
  let last: ContainerState = record.last ? terminated(record.last, time) : {};
  if (state.kind === 'running') shown = { running: { startedAt: time(state.startedMs) } };
  else if (state.kind === 'exited') {
    shown = terminated(state, time);
    if (!input.terminating && startsAgain(record, policy) && nowMs < record.notBeforeMs) {
      last = shown;
      const { name, namespace, uid } = pod.metadata;
      const seconds = Math.round((record.notBeforeMs - state.finishedMs) / 1000);
      shown = {
        waiting: {
          reason: 'CrashLoopBackOff',
          message: `back-off ${backoffText(seconds)} restarting failed container=${record.name} pod=${name}_${namespace}(${uid})`,
        },
      };
    }
  } else {
    const { reason, message } = state;
    const creating = reason === 'ContainerCreating' && record.kind !== 'init' && record.kind !== 'sidecar';
    const blocked = creating && initPending(input);
    shown = {
      waiting: {
        reason: blocked ? 'PodInitializing' : reason,
        ...(message === undefined ? {} : { message }),
      },
    };
  }
  const running = state.kind === 'running';
  const id = state.kind === 'waiting' ? record.last?.id : state.id;
  return {
    name: record.name,
    state: shown,
    lastState: last,
    ready:
      record.kind === 'init'
        ? state.kind === 'exited' && state.exitCode === 0
        : running && record.started && record.ready,
    restartCount: record.restarts,
    image: container?.image ?? record.image,
    imageID: id === undefined ? '' : `${runtimeName}://${record.image}`,
    ...(id === undefined ? {} : { containerID: `${runtimeName}://${id}` }),
    started: running && record.started,
  };
}

/** Go's way to write a duration of whole seconds. */
function backoffText(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds % 60}s`;
}

const passed = (record: ContainerRecord): boolean =>
  record.kind === 'sidecar'
    ? record.state.kind === 'running' && record.started
    : record.state.kind === 'exited' && record.state.exitCode === 0;

function initPending(input: StatusInput): boolean {
  return input.records.some((each) => (each.kind === 'init' || each.kind === 'sidecar') && !passed(each));
}

function conditionsOf(
  input: StatusInput,
  spec: PodSpec,
  phase: PodStatus['phase'],
  init: readonly ContainerRecord[],
  statuses: readonly ContainerStatus[],
): PodCondition[] {
  const { pod, nowMs, time, prepared } = input;
  const generation = pod.metadata.generation;
  const existing = (pod['status'] as PodStatus | undefined)?.conditions ?? [];
  const condition = (type: string, ok: boolean, reason = '', message = ''): PodCondition => {
    const status = ok ? 'True' : 'False';
    const old = existing.find((each) => each.type === type);
    return {
      type,
      status,
      lastProbeTime: null,
      lastTransitionTime:
        old?.status === status && old.lastTransitionTime !== undefined ? old.lastTransitionTime : time(nowMs),
      ...(reason === '' ? {} : { reason }),
      ...(message === '' ? {} : { message }),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
  };
  const over = phase === 'Succeeded' || phase === 'Failed';
  const overReason = phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed';
  const unready = statuses.filter((each) => !each.ready).map((each) => each.name);
  const sidecars = init.filter((each) => each.kind === 'sidecar');
  unready.push(
    ...sidecars.filter((each) => each.state.kind !== 'running' || !each.ready).map((each) => each.name),
  );
  const ready = !over && unready.length === 0;
  const reason = over ? overReason : 'ContainersNotReady';
  const message = over ? '' : `containers with unready status: [${unready.join(' ')}]`;
  const incomplete = init.filter((each) => !passed(each)).map((each) => each.name);
  const initialized = phase === 'Succeeded' || phase === 'Running' || incomplete.length === 0;
  const missing = (spec.readinessGates ?? []).filter(
    (gate) => existing.find((each) => each.type === gate.conditionType)?.status !== 'True',
  );
  const running = input.records.some((each) => each.state.kind === 'running');
  const scheduled = existing.find((each) => each.type === 'PodScheduled');
  return [
    condition('PodReadyToStartContainers', prepared && !over && (!input.terminating || running)),
    phase === 'Succeeded'
      ? condition('Initialized', true, 'PodCompleted')
      : condition(
          'Initialized',
          initialized,
          initialized ? '' : 'ContainersNotInitialized',
          initialized ? '' : `containers with incomplete status: [${incomplete.join(' ')}]`,
        ),
    ready && missing.length > 0
      ? condition(
          'Ready',
          false,
          'ReadinessGatesNotReady',
          missing
            .map(
              (gate) => `the status of pod readiness gate "${gate.conditionType}" is not "True", but False`,
            )
            .join(', '),
        )
      : condition('Ready', ready, ready ? '' : reason, ready ? '' : message),
    condition('ContainersReady', ready, ready ? '' : reason, ready ? '' : message),
    scheduled?.status === 'True'
      ? { ...scheduled, ...(generation === undefined ? {} : { observedGeneration: generation }) }
      : condition('PodScheduled', true),
  ];
}
