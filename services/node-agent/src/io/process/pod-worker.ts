import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { EventRecorder } from '@pilothouse/client';
import { secondTime } from '@pilothouse/client';
import type { Container, PodSpec, PodStatus } from '../../core/pod-shape.ts';
import type { ContainerKind, ContainerRecord, Exit } from '../../core/process/container-record.ts';
import { backoff, containersOf, newRecord, rearm } from '../../core/process/container-record.ts';
import { ConfigError } from '../../core/process/environment.ts';
import { decide, startsAgain } from '../../core/process/pod-decision.ts';
import { podStatus } from '../../core/process/pod-status.ts';
import { VolumeError } from '../../core/process/volume-files.ts';
import type { ContainerProcess } from './container-process.ts';
import type { ContainerRunner, RunnerSettings, Surroundings } from './container-runner.ts';
import { ImageError } from './image-store.ts';
import type { ObjectSource, PodObjects } from './object-source.ts';
import { tokenKey } from './object-source.ts';
import type { PodDirectories, SavedPod } from './pod-directory.ts';
import type { RunningEvents } from './running-container.ts';
import { RunningContainer } from './running-container.ts';
import { readTerminationMessage } from './termination-message.ts';
import { prepareVolumes } from './volume-manager.ts';
import { SpawnError } from './spawned.ts';

export interface PodWorkerDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventRecorder;
  readonly runner: ContainerRunner;
  readonly settings: RunnerSettings;
  readonly source: ObjectSource;
  readonly directories: PodDirectories;
  /** Asks for another {@link PodWorker.sync}. */
  wake(): void;
}

/** Volumes from the API are brought up to date this often. */
const refreshMs = 60_000;
const volumeRetryMs = 2_000;
const pullBackoffMaxMs = 300_000;
const startError = 128;

export interface WorkerStep {
  readonly status: PodStatus;
  readonly wakeMs: number | undefined;
  /** Everything has ended; the object may go. */
  readonly over: boolean;
}

/** One pod and its processes. `sync` is called by one caller at a time. */
export class PodWorker {
  readonly uid: string;
  readonly podIp: string;
  readonly startedMs: number;
  readonly #deps: PodWorkerDependencies;
  #pod: KubeObject;
  #records: ContainerRecord[];
  readonly #running = new Map<string, RunningContainer>();
  #objects: PodObjects | undefined;
  #preparedMs: number | undefined;
  #failure: { reason: string; message: string } | undefined;
  #killing = false;

  constructor(pod: KubeObject, podIp: string, deps: PodWorkerDependencies, saved?: SavedPod) {
    this.#pod = pod;
    this.#deps = deps;
    this.uid = pod.metadata.uid ?? '';
    this.podIp = podIp;
    this.startedMs = saved?.startedMs ?? deps.clock.now();
    this.#records = saved ? saved.records.map((record) => ({ ...record })) : [];
    if (saved) this.#adopt();
  }

  get pod(): KubeObject {
    return this.#pod;
  }

  get records(): readonly ContainerRecord[] {
    return this.#records;
  }

  running(name: string): RunningContainer | undefined {
    return this.#running.get(name);
  }

  /** Containers of an earlier agent that still run, or have ended meanwhile. */
  #adopt(): void {
    const specs = new Map(
      containersOf(this.#pod['spec'] as PodSpec).map(({ container }) => [container.name, container]),
    );
    for (const record of this.#records) {
      const { state } = record;
      const container = specs.get(record.name);
      if (state.kind !== 'running' || !container) continue;
      delete record.stopping;
      const process = this.#deps.runner.adopt(this.uid, record.name, state, record.restarts);
      void this.#adoptOne(record, container, process);
    }
  }

  async #adoptOne(record: ContainerRecord, container: Container, process: ContainerProcess): Promise<void> {
    this.#watchExit(record, container, process);
    try {
      const surroundings = this.#surroundings(container, await this.#readObjects());
      if (record.state.kind === 'running') this.#attend(record, container, process, surroundings, false);
    } catch (error) {
      this.#deps.logger.warn('Adopted container has no surroundings', {
        container: record.name,
        error: errorMessage(error),
      });
    }
  }

  async sync(pod: KubeObject): Promise<WorkerStep> {
    const { clock } = this.#deps;
    this.#pod = pod;
    const spec = pod['spec'] as PodSpec;
    const nowMs = clock.now();
    const deleting = pod.metadata.deletionTimestamp !== undefined;
    let wakeMs: number | undefined;
    const wakeAt = (ms: number): void => {
      wakeMs = wakeMs === undefined ? ms : Math.min(wakeMs, ms);
    };
    this.#reconcile(spec);
    if (spec.activeDeadlineSeconds !== undefined && !this.#failure && !this.#isOver(spec)) {
      const deadlineMs = this.startedMs + spec.activeDeadlineSeconds * 1000;
      if (nowMs >= deadlineMs)
        this.#failure = {
          reason: 'DeadlineExceeded',
          message: 'Pod was active on the node longer than the specified deadline',
        };
      else wakeAt(deadlineMs);
    }
    const terminating = deleting || this.#failure !== undefined;
    if (!terminating && (this.#preparedMs === undefined || nowMs - this.#preparedMs >= refreshMs)) {
      if (await this.#prepare()) wakeAt(clock.now() + refreshMs);
      else wakeAt(clock.now() + volumeRetryMs);
    } else if (!terminating && this.#preparedMs !== undefined) wakeAt(this.#preparedMs + refreshMs);

    const decision = decide({ spec, records: this.#records, nowMs: clock.now(), terminating });
    for (const { name, reason } of decision.stop) this.#stop(name, reason, this.#graceMs());
    if (this.#preparedMs !== undefined && !terminating) {
      for (const name of decision.start) {
        const record = this.#records.find((each) => each.name === name) as ContainerRecord;
        await this.#start(record, wakeAt);
        // The next in order is decided on by another look: an init container may have ended meanwhile.
        wakeAt(clock.now() + 1);
      }
    }
    if (decision.wakeMs !== undefined) wakeAt(decision.wakeMs);
    this.#save();
    return {
      status: this.#status(terminating),
      wakeMs,
      over: decision.over && (!deleting || this.#running.size === 0),
    };
  }

  /** The agent goes, the processes stay. */
  release(): void {
    for (const running of this.#running.values()) running.release();
    this.#save();
  }

  /** Ends every process within `graceMs`. */
  async kill(graceMs: number): Promise<void> {
    this.#killing = true;
    await Promise.all([...this.#running.values()].map((each) => each.stop(graceMs)));
    this.#save();
  }

  #status(terminating: boolean): PodStatus {
    const { settings, clock } = this.#deps;
    return podStatus({
      pod: this.#pod,
      records: this.#records,
      nowMs: clock.now(),
      startedMs: this.startedMs,
      hostIp: settings.hostIp,
      podIp: this.podIp,
      prepared: this.#preparedMs !== undefined || this.#records.some((each) => each.state.kind !== 'waiting'),
      terminating,
      ...(this.#failure ? { failure: this.#failure } : {}),
      time: secondTime,
    });
  }

  #isOver(spec: PodSpec): boolean {
    const main = this.#records.filter((each) => each.kind === 'main');
    return main.every((each) => each.state.kind === 'exited' && !startsAgain(each, spec.restartPolicy));
  }

  /** New containers (ephemeral ones come late) get records; a changed image ends the container, which then starts anew. */
  #reconcile(spec: PodSpec): void {
    const wanted = containersOf(spec);
    const known = (kind: ContainerKind, name: string): ContainerRecord | undefined =>
      this.#records.find((each) => each.kind === kind && each.name === name);
    this.#records = wanted.map(({ kind, container }) => {
      const record = known(kind, container.name) ?? newRecord(kind, container);
      if (record.image !== container.image) {
        record.image = container.image;
        if (record.state.kind === 'running') this.#stop(record.name, 'Changed', this.#graceMs());
        else record.notBeforeMs = 0;
      }
      return record;
    });
  }

  #graceMs(): number {
    const spec = this.#pod['spec'] as PodSpec;
    return 1000 * (this.#pod.metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30);
  }

  async #readObjects(): Promise<PodObjects> {
    this.#objects = await this.#deps.source.read(this.#pod, true);
    return this.#objects;
  }

  async #prepare(): Promise<boolean> {
    const { settings, directories, events, clock } = this.#deps;
    try {
      const objects = await this.#readObjects();
      prepareVolumes(
        this.uid,
        {
          pod: this.#pod,
          podIp: this.podIp,
          hostIp: settings.hostIp,
          nodeName: settings.nodeName,
          allocatable: settings.allocatable,
          configMap: (name) => objects.configMaps.get(name),
          secret: (name) => objects.secrets.get(name),
          token: (audience, seconds) => objects.tokens.get(tokenKey(audience, seconds)),
        },
        directories,
      );
      this.#preparedMs = clock.now();
      return true;
    } catch (error) {
      const message =
        error instanceof VolumeError
          ? error.message
          : `Unable to read the pod's objects: ${errorMessage(error)}`;
      events.event(this.#pod, 'Warning', 'FailedMount', message);
      // A pod that has run goes on with what it had.
      if (this.#preparedMs !== undefined) this.#preparedMs = clock.now();
      return false;
    }
  }

  #surroundings(container: Container, objects: PodObjects): Surroundings {
    const target = containersOf(this.#pod['spec'] as PodSpec).find(
      ({ container: each }) => each.name === container.targetContainerName,
    )?.container;
    return this.#deps.runner.surroundings(this.#pod, container, this.podIp, objects, target);
  }

  async #start(record: ContainerRecord, wakeAt: (ms: number) => void): Promise<void> {
    const { clock, events, runner } = this.#deps;
    const container = containersOf(this.#pod['spec'] as PodSpec).find(
      (each) => each.kind === record.kind && each.container.name === record.name,
    )?.container as Container;
    const target = this.#about(record);
    let surroundings: Surroundings;
    try {
      // A start sees the newest ConfigMaps and Secrets.
      surroundings = this.#surroundings(container, await this.#readObjects());
    } catch (error) {
      const message = errorMessage(error);
      const again =
        record.backoffMs === 0 ? backoff.firstMs : Math.min(pullBackoffMaxMs, record.backoffMs * 2);
      if (error instanceof ImageError) {
        const repeated = record.state.kind === 'waiting' && record.state.reason !== 'ContainerCreating';
        const reason = error.reason === 'ErrImagePull' && repeated ? 'ImagePullBackOff' : error.reason;
        record.state = {
          kind: 'waiting',
          reason,
          message:
            reason === 'ImagePullBackOff'
              ? `Back-off pulling image "${container.image}": ${message}`
              : message,
        };
        events.event(target, 'Warning', 'Failed', `Failed to pull image "${container.image}": ${message}`);
        record.backoffMs = again;
        record.notBeforeMs = clock.now() + again;
      } else {
        const reason = error instanceof ConfigError ? 'CreateContainerConfigError' : 'CreateContainerError';
        record.state = { kind: 'waiting', reason, message };
        events.event(target, 'Warning', 'Failed', `Error: ${message}`);
        record.notBeforeMs = clock.now() + volumeRetryMs;
      }
      wakeAt(record.notBeforeMs);
      return;
    }
    if (record.state.kind === 'exited') rearm(record, exitOf(record.state));
    else if (record.backoffMs !== 0) record.backoffMs = 0;
    record.ready = false;
    record.started = false;
    delete record.stopping;
    events.event(
      target,
      'Normal',
      'Pulled',
      surroundings.image === ''
        ? `Container image "${container.image}" stands for the host itself`
        : `Container image "${container.image}" is the directory ${surroundings.image}`,
    );
    try {
      const process = await runner.start(this.#pod, container, surroundings, record.restarts);
      record.state = { kind: 'running', id: process.id, pid: process.pid, startedMs: process.startedMs };
      this.#save();
      events.event(target, 'Normal', 'Created', 'Container created');
      events.event(target, 'Normal', 'Started', 'Container started');
      this.#watchExit(record, container, process);
      this.#attend(record, container, process, surroundings, true);
    } catch (error) {
      if (!(error instanceof SpawnError)) throw error;
      const nowMs = clock.now();
      record.state = {
        kind: 'exited',
        id: `failed-${this.uid}-${record.name}-${record.restarts}`,
        startedMs: nowMs,
        finishedMs: nowMs,
        exitCode: startError,
        reason: 'StartError',
        message: `failed to start container "${record.name}": ${error.message}`,
      };
      record.notBeforeMs = nowMs + record.backoffMs;
      events.event(target, 'Warning', 'Failed', `Error: ${record.state.message}`);
    }
  }

  #attend(
    record: ContainerRecord,
    container: Container,
    process: ContainerProcess,
    surroundings: Surroundings,
    fresh: boolean,
  ): void {
    const running = new RunningContainer({
      process,
      container,
      surroundings,
      podIp: (this.#pod['spec'] as PodSpec).hostNetwork === true ? this.#deps.settings.hostIp : this.podIp,
      clock: this.#deps.clock,
      events: this.#eventsOf(record, container),
    });
    this.#running.set(record.name, running);
    void running.begin(fresh);
  }

  #eventsOf(record: ContainerRecord, container: Container): RunningEvents {
    const { events, wake } = this.#deps;
    const target = this.#about(record);
    return {
      onStarted: () => {
        record.started = true;
        wake();
      },
      onReady: (ready) => {
        record.ready = ready;
        wake();
      },
      onUnhealthy: (_kind, message) => events.event(target, 'Warning', 'Unhealthy', message),
      onFailed: (kind) => {
        const probe = kind === 'startup' ? container.startupProbe : container.livenessProbe;
        events.event(
          target,
          'Normal',
          'Killing',
          `Container ${record.name} failed ${kind} probe, will be restarted`,
        );
        const seconds = probe?.terminationGracePeriodSeconds;
        this.#stop(record.name, 'Unhealthy', seconds === undefined ? this.#graceMs() : seconds * 1000);
      },
      onPostStartFailed: (message) => {
        events.event(target, 'Warning', 'FailedPostStartHook', `PostStartHook failed: ${message}`);
        this.#stop(record.name, 'FailedPostStartHook', this.#graceMs());
      },
      onPreStopFailed: (message) =>
        events.event(target, 'Warning', 'FailedPreStopHook', `PreStopHook failed: ${message}`),
    };
  }

  #stop(name: string, reason: string, graceMs: number): void {
    const running = this.#running.get(name);
    const record = this.#records.find((each) => each.name === name);
    if (!running || !record) return;
    if (record.stopping === undefined) {
      record.stopping = reason;
      if (reason === 'Terminating' || reason === 'Changed')
        this.#deps.events.event(this.#about(record), 'Normal', 'Killing', `Stopping container ${name}`);
    }
    void running.stop(graceMs);
  }

  #watchExit(record: ContainerRecord, container: Container, process: ContainerProcess): void {
    void process.exited.then((exit) => {
      const { clock, wake } = this.#deps;
      this.#running.delete(record.name);
      if (record.state.kind !== 'running' || record.state.id !== process.id) return;
      const message = readTerminationMessage(
        container,
        this.#deps.directories.container(this.uid, record.name),
        this.#deps.directories.logFile(this.uid, record.name, record.restarts),
        exit.exitCode !== 0,
      );
      const lost = exit.lost === true;
      record.state = {
        kind: 'exited',
        id: process.id,
        startedMs: process.startedMs,
        finishedMs: exit.finishedMs,
        exitCode: exit.exitCode,
        ...(exit.signal === undefined ? {} : { signal: exit.signal }),
        reason: lost ? 'ContainerStatusUnknown' : exit.exitCode === 0 ? 'Completed' : 'Error',
        message: lost ? 'The container could not be located when the pod was terminated' : message,
      };
      record.ready = false;
      record.started = false;
      const ran = exit.finishedMs - process.startedMs;
      if (ran >= backoff.forgiveMs) record.backoffMs = 0;
      const spec = this.#pod['spec'] as PodSpec;
      record.notBeforeMs = record.stopping === 'Changed' ? 0 : exit.finishedMs + record.backoffMs;
      if (startsAgain(record, spec.restartPolicy) && record.notBeforeMs > clock.now() && !this.#killing)
        this.#deps.events.event(
          this.#about(record),
          'Warning',
          'BackOff',
          `Back-off restarting failed container ${record.name} in pod ${this.#pod.metadata.name}_${this.#pod.metadata.namespace}(${this.uid})`,
        );
      if (!this.#killing) wake();
    });
  }

  #about(record: ContainerRecord): Parameters<EventRecorder['event']>[0] {
    const list =
      record.kind === 'main'
        ? 'containers'
        : record.kind === 'ephemeral'
          ? 'ephemeralContainers'
          : 'initContainers';
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: this.#pod.metadata,
      fieldPath: `spec.${list}{${record.name}}`,
    };
  }

  #save(): void {
    const { name = '', namespace = '' } = this.#pod.metadata;
    this.#deps.directories.save({
      uid: this.uid,
      namespace,
      name,
      podIp: this.podIp,
      startedMs: this.startedMs,
      records: this.#records,
    });
  }
}

function exitOf(state: { kind: 'exited' } & Exit): Exit {
  const { kind: _kind, ...exit } = state;
  return exit;
}
