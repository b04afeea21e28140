import type { KubeObject } from '@pilothouse/apimachinery';
import { limits } from '../limits.ts';
import type {
  Container,
  ContainerState,
  ContainerStatus,
  PodCondition,
  PodSpec,
  PodStatus,
} from './pod-shape.ts';
import type { Behaviour } from './workload-script.ts';
import { annotatedBehaviour, behaviourOf, imageProblem, simulatedRunAnnotation } from './workload-script.ts';

/** One container's life so far. Times are wall milliseconds. */
interface ContainerRun {
  readonly container: Container;
  readonly isInit: boolean;
  readonly isSidecar: boolean;
  image: string;
  phase: 'waiting' | 'running' | 'terminated' | 'backoff' | 'imageBackoff';
  startedMs: number;
  finishedMs: number;
  exitCode: number;
  restarts: number;
  backoffMs: number;
  resumeMs: number;
  last: ContainerState;
  sequence: number;
}

export interface PodEnvironment {
  readonly hostIp: string;
  readonly podIp: string;
  /** Formats wall milliseconds as RFC 3339 with whole seconds. */
  time(ms: number): string;
}

export interface PodStep {
  readonly status: PodStatus;
  /** When to look again without any outside change; undefined: never. */
  readonly wakeMs: number | undefined;
  /** Everything has ended and the object may be removed. */
  readonly terminated: boolean;
}

/** Why the node refuses a pod that was bound to it; the pod fails. */
export interface Rejection {
  readonly reason: string;
  readonly message: string;
}

/**
 * The life of one pod on a simulated runtime, as a pure machine: `step` is told the pod's object and the time and answers with
 * the status to report. It follows kubelet's rules for init containers, sidecars, restart policy, crash back-off, deadlines,
 * readiness and termination; what a process would do is guessed from its command line.
 */
export class PodMachine {
  readonly #environment: PodEnvironment;
  readonly #rejection: Rejection | undefined;
  #annotated: Behaviour | undefined;
  readonly #admittedMs: number;
  readonly #runs = new Map<string, ContainerRun>();
  #terminatingSinceMs: number | undefined;
  #deadlineExceeded = false;
  #sequence = 0;
  readonly #conditions = new Map<string, PodCondition>();

  constructor(environment: PodEnvironment, nowMs: number, rejection?: Rejection) {
    this.#environment = environment;
    this.#admittedMs = nowMs;
    this.#rejection = rejection;
  }

  step(pod: KubeObject, nowMs: number): PodStep {
    const spec = pod['spec'] as PodSpec;
    if (this.#rejection) {
      return {
        status: this.#rejectedStatus(pod, this.#rejection),
        wakeMs: undefined,
        terminated: pod.metadata.deletionTimestamp !== undefined,
      };
    }
    this.#annotated = annotatedBehaviour(pod.metadata.annotations?.[simulatedRunAnnotation]);
    this.#reconcileContainers(spec);
    const runs = [...this.#runs.values()];
    let wakeMs: number | undefined;
    const wakeAt = (ms: number): void => {
      wakeMs = wakeMs === undefined ? ms : Math.min(wakeMs, ms);
    };

    if (pod.metadata.deletionTimestamp !== undefined) this.#terminatingSinceMs ??= nowMs;
    if (spec.activeDeadlineSeconds !== undefined && !this.#deadlineExceeded && !this.#finished(spec, runs)) {
      const deadlineMs = this.#admittedMs + spec.activeDeadlineSeconds * 1000;
      if (nowMs >= deadlineMs) this.#deadlineExceeded = true;
      else wakeAt(deadlineMs);
    }
    if (this.#terminatingSinceMs !== undefined) {
      const graceMs =
        (pod.metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30) * 1000;
      const endMs = this.#terminatingSinceMs + Math.min(graceMs, limits.terminationMs);
      if (nowMs < endMs) wakeAt(endMs);
      else this.#endAll(runs, nowMs, 0);
    } else if (this.#deadlineExceeded) this.#endAll(runs, nowMs, 137);
    else this.#advance(spec, runs, nowMs, wakeAt);

    const stopped = runs.every((run) => run.phase !== 'running');
    return {
      status: this.#status(pod, spec, runs, nowMs, wakeAt),
      wakeMs,
      terminated:
        this.#terminatingSinceMs !== undefined &&
        stopped &&
        nowMs >=
          this.#terminatingSinceMs +
            Math.min(limits.terminationMs, 1000 * (pod.metadata.deletionGracePeriodSeconds ?? 30)),
    };
  }

  /** New containers (ephemeral ones aside) cannot appear; a changed image restarts its container. */
  #reconcileContainers(spec: PodSpec): void {
    const enter = (container: Container, isInit: boolean): void => {
      const key = `${isInit ? 'i' : 'c'}/${container.name}`;
      const run = this.#runs.get(key);
      if (!run) {
        this.#runs.set(key, {
          container,
          isInit,
          isSidecar: isInit && container.restartPolicy === 'Always',
          image: container.image,
          phase: 'waiting',
          startedMs: 0,
          finishedMs: 0,
          exitCode: 0,
          restarts: 0,
          backoffMs: limits.crashBackoffMinMs,
          resumeMs: 0,
          last: {},
          sequence: ++this.#sequence,
        });
      } else if (run.image !== container.image) {
        if (run.phase === 'running') {
          run.last = terminatedState(this.#environment, run, 0, run.startedMs, 'Completed');
          run.restarts++;
        }
        run.image = container.image;
        run.phase = 'waiting';
        run.resumeMs = 0;
        run.sequence = ++this.#sequence;
      }
    };
    for (const container of spec.initContainers ?? []) enter(container, true);
    for (const container of spec.containers) enter(container, false);
  }

  #behaviour(run: ContainerRun): Behaviour {
    if (this.#annotated && !run.isSidecar) return this.#annotated;
    return behaviourOf(run.image, run.container.command, run.container.args);
  }

  #advance(spec: PodSpec, runs: readonly ContainerRun[], nowMs: number, wakeAt: (ms: number) => void): void {
    const policy = spec.restartPolicy ?? 'Always';
    const readyAtMs = this.#admittedMs + limits.startMs;
    if (nowMs < readyAtMs) {
      wakeAt(readyAtMs);
      return;
    }
    let initialized = true;
    for (const run of runs.filter((each) => each.isInit)) {
      if (!initialized) break;
      this.#advanceOne(
        run,
        run.isSidecar ? 'Always' : policy === 'Never' ? 'Never' : 'OnFailure',
        nowMs,
        wakeAt,
      );
      if (run.isSidecar) initialized = run.phase === 'running';
      else initialized = run.phase === 'terminated' && run.exitCode === 0;
    }
    if (!initialized) return;
    const main = runs.filter((each) => !each.isInit);
    for (const run of main) this.#advanceOne(run, policy, nowMs, wakeAt);
    if (main.every((run) => run.phase === 'terminated'))
      this.#endAll(
        runs.filter((run) => run.isSidecar),
        nowMs,
        0,
      );
  }

  #advanceOne(
    run: ContainerRun,
    policy: 'Always' | 'OnFailure' | 'Never',
    nowMs: number,
    wakeAt: (ms: number) => void,
  ): void {
    if (
      run.phase === 'waiting' ||
      ((run.phase === 'backoff' || run.phase === 'imageBackoff') && nowMs >= run.resumeMs)
    ) {
      if (imageProblem(run.image)) {
        run.resumeMs = nowMs + run.backoffMs;
        if (run.phase !== 'waiting') run.backoffMs = Math.min(limits.crashBackoffMaxMs, run.backoffMs * 2);
        run.phase = 'imageBackoff';
        wakeAt(run.resumeMs);
        return;
      }
      if (run.phase === 'backoff') run.restarts++;
      run.phase = 'running';
      run.startedMs = nowMs;
    }
    if (run.phase === 'running') {
      const behaviour = this.#behaviour(run);
      if (behaviour.kind === 'runs') return;
      // Even a command that does nothing takes a moment; without it a restart loop would be seen as never having run.
      const endMs = run.startedMs + Math.max(behaviour.afterMs, 50);
      if (nowMs < endMs) {
        wakeAt(endMs);
        return;
      }
      run.finishedMs = nowMs;
      run.exitCode = behaviour.exitCode;
      run.phase = 'terminated';
      const again = policy === 'Always' || (policy === 'OnFailure' && run.exitCode !== 0);
      if (!again) return;
      run.last = terminatedState(this.#environment, run, run.exitCode, run.finishedMs);
      run.phase = 'backoff';
      run.resumeMs = nowMs + (run.restarts === 0 ? 1000 : run.backoffMs);
      if (run.restarts > 0) run.backoffMs = Math.min(limits.crashBackoffMaxMs, run.backoffMs * 2);
    }
    if (run.phase === 'backoff' || run.phase === 'imageBackoff') wakeAt(run.resumeMs);
  }

  #endAll(runs: readonly ContainerRun[], nowMs: number, exitCode: number): void {
    for (const run of runs) {
      if (run.phase !== 'running') continue;
      run.phase = 'terminated';
      run.finishedMs = nowMs;
      run.exitCode = exitCode;
    }
  }

  #finished(spec: PodSpec, runs: readonly ContainerRun[]): boolean {
    return (
      spec.containers.length > 0 &&
      runs.filter((run) => !run.isInit).every((run) => run.phase === 'terminated')
    );
  }

  #status(
    pod: KubeObject,
    spec: PodSpec,
    runs: readonly ContainerRun[],
    nowMs: number,
    wakeAt: (ms: number) => void,
  ): PodStatus {
    const { hostIp, podIp, time } = this.#environment;
    const init = runs.filter((run) => run.isInit);
    const main = runs.filter((run) => !run.isInit);
    const initialized = init.every((run) =>
      run.isSidecar ? run.phase !== 'waiting' : run.phase === 'terminated' && run.exitCode === 0,
    );
    const initFailed = init.some((run) => !run.isSidecar && run.phase === 'terminated' && run.exitCode !== 0);
    const started = nowMs >= this.#admittedMs + limits.startMs;
    const terminating = this.#terminatingSinceMs !== undefined;
    let phase: PodStatus['phase'];
    if (this.#deadlineExceeded || (initFailed && spec.restartPolicy === 'Never')) phase = 'Failed';
    else if (
      !started ||
      !initialized ||
      main.every((run) => run.phase === 'waiting' || run.phase === 'imageBackoff')
    )
      phase = 'Pending';
    else if (main.every((run) => run.phase === 'terminated'))
      phase = main.some((run) => run.exitCode !== 0) ? 'Failed' : 'Succeeded';
    else phase = 'Running';

    const statusOf = (run: ContainerRun): ContainerStatus => {
      const isReady = this.#isReady(run, nowMs, wakeAt) && !(terminating && run.phase !== 'running');
      const state = this.#stateOf(run, initialized, started);
      return {
        name: run.container.name,
        state,
        lastState: run.last,
        ready: run.isInit && !run.isSidecar ? run.phase === 'terminated' && run.exitCode === 0 : isReady,
        restartCount: run.restarts,
        image: run.image,
        imageID: run.phase === 'waiting' || run.phase === 'imageBackoff' ? '' : `simulated://${run.image}`,
        ...(run.startedMs === 0 ? {} : { containerID: containerId(pod, run) }),
        started: run.phase === 'running',
      };
    };
    const initContainerStatuses = init.map(statusOf);
    const containerStatuses = main.map(statusOf);
    const over = phase === 'Succeeded' || phase === 'Failed';
    const containersReady = !over && containerStatuses.every((each) => each.ready) && initialized && started;
    const unready = containerStatuses.filter((each) => !each.ready).map((each) => each.name);
    const gates = spec.readinessGates ?? [];
    const foreign = ((pod['status'] as PodStatus | undefined)?.conditions ?? []) as PodCondition[];
    const missingGates = gates.filter(
      (gate) => foreign.find((each) => each.type === gate.conditionType)?.status !== 'True',
    );
    const generation = pod.metadata.generation;
    const condition = (type: string, ok: boolean, reason = '', message = ''): PodCondition => {
      const status = ok ? 'True' : 'False';
      const old = this.#conditions.get(type);
      const made: PodCondition = {
        type,
        status,
        lastProbeTime: null,
        lastTransitionTime: old?.status === status ? (old.lastTransitionTime as string) : time(nowMs),
        ...(reason === '' ? {} : { reason }),
        ...(message === '' ? {} : { message }),
        ...(generation === undefined ? {} : { observedGeneration: generation }),
      };
      this.#conditions.set(type, made);
      return made;
    };
    const notReadyReason =
      phase === 'Succeeded' ? 'PodCompleted' : phase === 'Failed' ? 'PodFailed' : 'ContainersNotReady';
    const notReadyText =
      phase === 'Succeeded' || phase === 'Failed'
        ? ''
        : `containers with unready status: [${unready.join(' ')}]`;
    const incomplete = init
      .filter(
        (run) =>
          !(run.isSidecar ? run.phase === 'running' : run.phase === 'terminated' && run.exitCode === 0),
      )
      .map((run) => run.container.name);
    const initOk = (initialized && started) || phase === 'Succeeded';
    const conditions = [
      condition(
        'PodReadyToStartContainers',
        started && !over && !(terminating && main.every((run) => run.phase !== 'running')),
      ),
      phase === 'Succeeded'
        ? condition('Initialized', true, 'PodCompleted')
        : condition(
            'Initialized',
            initOk || init.length === 0,
            initOk || init.length === 0 ? '' : 'ContainersNotInitialized',
            initOk || init.length === 0 ? '' : `containers with incomplete status: [${incomplete.join(' ')}]`,
          ),
      containersReady && missingGates.length > 0
        ? condition(
            'Ready',
            false,
            'ReadinessGatesNotReady',
            missingGates
              .map(
                (gate) => `the status of pod readiness gate "${gate.conditionType}" is not "True", but False`,
              )
              .join(', '),
          )
        : condition(
            'Ready',
            containersReady,
            containersReady ? '' : notReadyReason,
            containersReady ? '' : notReadyText,
          ),
      condition(
        'ContainersReady',
        containersReady,
        containersReady ? '' : notReadyReason,
        containersReady ? '' : notReadyText,
      ),
    ];
    const scheduled = foreign.find((each) => each.type === 'PodScheduled');
    conditions.push(
      scheduled?.status === 'True'
        ? { ...scheduled, ...(generation === undefined ? {} : { observedGeneration: generation }) }
        : condition('PodScheduled', true),
    );
    return {
      phase,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      ...(this.#deadlineExceeded
        ? {
            reason: 'DeadlineExceeded',
            message: 'Pod was active on the node longer than the specified deadline',
          }
        : {}),
      conditions,
      hostIP: hostIp,
      hostIPs: [{ ip: hostIp }],
      ...(started
        ? { podIP: spec.hostNetwork ? hostIp : podIp, podIPs: [{ ip: spec.hostNetwork ? hostIp : podIp }] }
        : {}),
      startTime: time(this.#admittedMs),
      ...(init.length === 0 ? {} : { initContainerStatuses }),
      containerStatuses,
    };
  }

  #isReady(run: ContainerRun, nowMs: number, wakeAt: (ms: number) => void): boolean {
    if (run.phase !== 'running') return false;
    const delayS = Math.max(
      run.container.readinessProbe?.initialDelaySeconds ?? 0,
      run.container.startupProbe?.initialDelaySeconds ?? 0,
    );
    const readyMs = run.startedMs + delayS * 1000;
    if (nowMs >= readyMs) return true;
    wakeAt(readyMs);
    return false;
  }

  #stateOf(run: ContainerRun, initialized: boolean, started: boolean): ContainerState {
    const { time } = this.#environment;
    switch (run.phase) {
      case 'running':
        return { running: { startedAt: time(run.startedMs) } };
      case 'terminated':
        return terminatedState(this.#environment, run, run.exitCode, run.finishedMs);
      case 'backoff':
        // The first restart comes at once upstream; the terminated state is what an observer sees in between.
        if (run.restarts === 0) return run.last;
        return {
          waiting: {
            reason: 'CrashLoopBackOff',
            message: `back-off ${run.backoffMs / 2000}s restarting failed container=${run.container.name}`,
          },
        };
      case 'imageBackoff': {
        const problem = imageProblem(run.image);
        const backingOff = run.backoffMs > limits.crashBackoffMinMs && problem?.reason === 'ErrImagePull';
        return {
          waiting: {
            reason: backingOff ? 'ImagePullBackOff' : (problem?.reason ?? 'ErrImagePull'),
            message: backingOff ? `Back-off pulling image "${run.image}"` : (problem?.message ?? ''),
          },
        };
      }
      case 'waiting':
        return {
          waiting: {
            reason:
              !run.isInit && !initialized
                ? 'PodInitializing'
                : started && run.isInit
                  ? 'PodInitializing'
                  : 'ContainerCreating',
          },
        };
    }
  }

  #rejectedStatus(pod: KubeObject, rejection: Rejection): PodStatus {
    const existing = ((pod['status'] as PodStatus | undefined)?.conditions ?? []) as PodCondition[];
    return {
      phase: 'Failed',
      ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
      reason: rejection.reason,
      message: rejection.message,
      conditions: existing,
      startTime: this.#environment.time(this.#admittedMs),
    };
  }
}

function terminatedState(
  environment: PodEnvironment,
  run: ContainerRun,
  exitCode: number,
  finishedMs: number,
  reason?: string,
): ContainerState {
  return {
    terminated: {
      exitCode,
      reason: reason ?? (exitCode === 0 ? 'Completed' : 'Error'),
      startedAt: environment.time(run.startedMs),
      finishedAt: environment.time(finishedMs),
    },
  };
}

/** Stable for one run of one container: the pod's uid, the container and how often it was started. */
function containerId(pod: KubeObject, run: ContainerRun): string {
  return `simulated://${(pod.metadata.uid ?? '').replaceAll('-', '')}${run.isInit ? 'i' : 'c'}${run.container.name}${run.restarts}`;
}
