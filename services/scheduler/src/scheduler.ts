import type { KubeObject } from '@pilothouse/apimachinery';
import { deepEqual, hasReason } from '@pilothouse/apimachinery';
import type { Clock, Logger, Random, Timer } from '@pilothouse/base';
import { deferred, errorMessage, sleep } from '@pilothouse/base';
import type { Transport } from '@pilothouse/client';
import { InformerFactory, LeaderElector, RestClient } from '@pilothouse/client';
import type { ComponentAccess, FileWatcher, TlsPolicy } from '@pilothouse/host';
import { Metrics, startComponentServer } from '@pilothouse/host';
import { SchedulerCache } from './core/cache.ts';
import { defaultProfile } from './core/default-profile.ts';
import type { ClusterEvent, ClusterView } from './core/framework.ts';
import { Nominator } from './core/nominator.ts';
import type { PodInfo } from './core/pod-info.ts';
import { podInfoOf } from './core/pod-info.ts';
import type { Profile } from './core/profile.ts';
import type { Placement } from './core/scheduling-algorithm.ts';
import { SchedulingAlgorithm } from './core/scheduling-algorithm.ts';
import type { QueuedPod, QueueLimits } from './core/scheduling-queue.ts';
import { SchedulingQueue } from './core/scheduling-queue.ts';
import type { ClusterInformers } from './io/cluster-informers.ts';
import { clusterInformers, clusterView } from './io/cluster-informers.ts';
import { EventSink } from './io/event-sink.ts';
import { PodWriter, schedulingRelevant } from './io/pod-writer.ts';
import { SchedulerMetrics } from './io/scheduler-metrics.ts';
import { schedulerLimits } from './limits.ts';

export interface SchedulerOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Pods whose spec.schedulerName has one of these are placed. Default: upstream's default profile. */
  readonly profiles?: readonly Profile[];
  /** How long pods wait after failed attempts, and at most for an event that may help. Defaults 1 s, 10 s, 5 min. */
  readonly queue?: QueueLimits;
  /** Name of this host, told in events. */
  readonly host?: string;
  /** Absent: schedules without election. Times in milliseconds. */
  readonly leaderElection?: {
    readonly identity: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly leaseDurationMs?: number;
    readonly renewDeadlineMs?: number;
    readonly retryPeriodMs?: number;
  };
  /** Health and metrics server; absent: none. PEM texts or files for TLS. */
  readonly server?: {
    readonly address: string;
    readonly port: number;
    readonly cert?: string;
    readonly key?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
    /** Follows the files. */
    readonly watcher?: FileWatcher;
    readonly policy?: TlsPolicy;
    /** Who may read; absent: everybody. */
    readonly access?: ComponentAccess;
  };
  /** Where the scheduler's metrics go, beside those of the process. Default: its own. */
  readonly metrics?: Metrics;
}

export interface Scheduler {
  /** Of the health server, when there is one. */
  readonly port: number | undefined;
  readonly isLeader: boolean;
  readonly hasSynced: boolean;
  metrics(): string;
  close(): Promise<void>;
}

/** Starts a scheduler: watches the cluster, and places pods while it leads. Resolves once it listens. */
export async function startScheduler(options: SchedulerOptions): Promise<Scheduler> {
  const service = new SchedulerService(options);
  await service.start();
  return service;
}

/** More attempts are one label, so that a pod that is never placed makes no new series. */
const attemptsLabelMax = 16;

/** What places the pods of one profile. */
interface Lane {
  readonly profile: Profile;
  readonly algorithm: SchedulingAlgorithm;
  readonly writer: PodWriter;
}

class SchedulerService implements Scheduler {
  readonly #options: SchedulerOptions;
  readonly #factory: InformerFactory;
  readonly #informers: ClusterInformers;
  readonly #cluster: ClusterView;
  readonly #cache = new SchedulerCache();
  readonly #nominator = new Nominator();
  readonly #queue: SchedulingQueue;
  /** By spec.schedulerName. */
  readonly #lanes = new Map<string, Lane>();
  readonly #elector: LeaderElector | undefined;
  readonly #metrics: SchedulerMetrics;
  #server: { port: number; close(): Promise<void> } | undefined;
  #active = false;
  #synced = false;
  #closed = false;
  readonly #stopped = deferred<void>();
  #bindings = 0;
  #wake: (() => void) | undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const { clock, random, logger } = options;
    const client = new RestClient(options.transport, {
      clock,
      userAgent: 'kube-scheduler/v1.36.3 (pilothouse)',
    });
    this.#factory = new InformerFactory({ client, clock, random, logger });
    this.#informers = clusterInformers(this.#factory);
    this.#cluster = clusterView(this.#informers);
    const host = options.host ?? 'localhost';
    for (const profile of options.profiles ?? [defaultProfile()]) {
      const { schedulerName } = profile;
      const events = new EventSink({
        client,
        clock,
        logger,
        controller: schedulerName,
        instance: `${schedulerName}-${host}`,
      });
      this.#lanes.set(schedulerName, {
        profile,
        algorithm: new SchedulingAlgorithm({
          cache: this.#cache,
          nominator: this.#nominator,
          cluster: this.#cluster,
          profile,
          random,
        }),
        writer: new PodWriter({ client, clock, logger, events, schedulerName }),
      });
    }
    this.#queue = new SchedulingQueue((pod) => this.#laneOf(pod)?.profile, options.queue);
    const election = options.leaderElection;
    if (election !== undefined) {
      const { namespace = 'kube-system', name = 'kube-scheduler', ...rest } = election;
      this.#elector = new LeaderElector({
        client,
        clock,
        random,
        logger,
        namespace,
        name,
        ...rest,
        onStartedLeading: () => this.#setActive(true),
        onStoppedLeading: () => this.#setActive(false),
      });
    }
    this.#metrics = new SchedulerMetrics(options.metrics ?? new Metrics(), {
      queue: () => this.#queue.counts,
      cache: () => ({
        nodes: this.#cache.nodes().length,
        pods: this.#cache.podCount,
        assumed_pods: this.#cache.assumedCount,
      }),
      ...(election === undefined
        ? {}
        : { lease: election.name ?? 'kube-scheduler', isLeader: () => this.isLeader }),
    });
    this.#addHandlers();
  }

  get port(): number | undefined {
    return this.#server?.port;
  }
  get isLeader(): boolean {
    return this.#active;
  }
  get hasSynced(): boolean {
    return this.#synced;
  }
  metrics(): string {
    return this.#metrics.render();
  }

  async start(): Promise<void> {
    const { server } = this.#options;
    if (server !== undefined) {
      this.#server = await startComponentServer({
        ...server,
        isReady: () => this.#synced,
        metrics: () => this.metrics(),
      });
    }
    this.#loop = this.#run().catch((error: unknown) =>
      this.#options.logger.error('The scheduling loop ended', { error: errorMessage(error) }),
    );
    if (this.#elector === undefined) this.#setActive(true);
    else this.#elector.start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopped.resolve();
    this.#wakeUp();
    await this.#elector?.stop();
    // An informer that waits out a failure cannot be hurried; it ends by itself.
    await Promise.race([this.#factory.stop(), sleep(this.#options.clock, 1_000)]);
    await this.#loop;
    await this.#server?.close();
  }

  #laneOf(pod: PodInfo): Lane | undefined {
    return this.#lanes.get((pod.pod['spec']?.schedulerName as string | undefined) ?? '');
  }

  #setActive(active: boolean): void {
    this.#active = active;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  // ---- what happens in the cluster ----

  #addHandlers(): void {
    const { pods, nodes } = this.#informers;
    pods.addHandler({
      onAdd: (pod) => this.#onPod(pod, undefined),
      onUpdate: (pod, old) => this.#onPod(pod, old),
      onDelete: (pod) => this.#onPodGone(pod),
    });
    nodes.addHandler({
      onAdd: (node) => {
        this.#cache.setNode(node);
        this.#emit('Node', 'add', node);
      },
      onUpdate: (node, old) => {
        this.#cache.setNode(node);
        if (schedulingRelevant(node) !== schedulingRelevant(old)) this.#emit('Node', 'update', node, old);
      },
      onDelete: (node) => {
        this.#cache.removeNode(node.metadata.name ?? '');
        this.#emit('Node', 'delete', undefined, node);
      },
    });
    const others: [ClusterEvent['resource'], keyof ClusterInformers][] = [
      ['Namespace', 'namespaces'],
      ['Service', 'services'],
      ['PersistentVolume', 'volumes'],
      ['PersistentVolumeClaim', 'claims'],
      ['StorageClass', 'storageClasses'],
    ];
    for (const [resource, informer] of others) {
      this.#informers[informer].addHandler({
        onAdd: (object) => this.#emit(resource, 'add', object),
        onUpdate: (object, old) => this.#emit(resource, 'update', object, old),
        onDelete: (object) => this.#emit(resource, 'delete', undefined, object),
      });
    }
  }

  #emit(
    resource: ClusterEvent['resource'],
    action: ClusterEvent['action'],
    object: KubeObject | undefined,
    old?: KubeObject,
  ): void {
    this.#queue.moveOnEvent({ resource, action, object, old }, this.#options.clock.monotonic());
    this.#wakeUp();
  }

  #onPod(pod: KubeObject, old: KubeObject | undefined): void {
    const info = podInfoOf(pod);
    if (isAssigned(pod)) {
      const known = old !== undefined && isAssigned(old);
      this.#cache.setPod(pod);
      this.#queue.remove(info.uid);
      this.#nominator.remove(info.uid);
      if (!known) this.#emit('AssignedPod', 'add', pod);
      else if (podChangeMatters(pod, old)) this.#emit('AssignedPod', 'update', pod, old);
      return;
    }
    if (this.#laneOf(info) === undefined) return;
    const nominated = (pod['status']?.nominatedNodeName as string | undefined) ?? '';
    if (nominated !== '' && !this.#cache.isAssumed(info.uid)) this.#nominator.add(info, nominated);
    if (info.terminating) {
      this.#queue.remove(info.uid);
      return;
    }
    // An assumed pod is being bound; what its update says will come again when it is assigned or forgotten.
    if (this.#cache.isAssumed(info.uid)) return;
    this.#queue.update(info, this.#options.clock.monotonic());
    if (old !== undefined && podChangeMatters(pod, old)) this.#emit('UnscheduledPod', 'update', pod, old);
    this.#wakeUp();
  }

  #onPodGone(pod: KubeObject): void {
    const { uid } = podInfoOf(pod);
    const nominated = this.#nominator.nodeOf(uid) !== '';
    this.#queue.remove(uid);
    this.#nominator.remove(uid);
    const counted = this.#cache.has(uid);
    this.#cache.removePod(uid);
    if (counted || nominated) this.#emit('AssignedPod', 'delete', undefined, pod);
  }

  // ---- the loop ----

  async #run(): Promise<void> {
    await Promise.race([
      this.#factory.startAndSync().then(() => (this.#synced = true)),
      this.#stopped.promise,
    ]);
    let sliceStart = this.#options.clock.monotonic();
    while (!this.#closed) {
      const now = this.#options.clock.monotonic();
      const nextMs = this.#queue.tick(now);
      const blocked = !this.#active || this.#bindings >= schedulerLimits.bindingsInFlightMax;
      const queued = blocked ? undefined : this.#queue.pop();
      if (queued === undefined) {
        await this.#pause(Math.min(nextMs ?? schedulerLimits.queueTickMs, schedulerLimits.queueTickMs));
        sliceStart = this.#options.clock.monotonic();
        continue;
      }
      this.#attempt(queued);
      if (this.#options.clock.monotonic() - sliceStart >= schedulerLimits.sliceMs) {
        await new Promise((resolve) => setImmediate(resolve));
        sliceStart = this.#options.clock.monotonic();
      }
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer: Timer = this.#options.clock.setTimeout(() => this.#wakeUp(), delayMs);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #attempt(queued: QueuedPod): void {
    const { clock, logger } = this.#options;
    const { pod } = queued;
    if (pod.terminating || this.#cache.has(pod.uid)) return;
    const lane = this.#laneOf(pod);
    if (lane === undefined) return;
    const started = clock.monotonic();
    let placement: Placement;
    try {
      placement = lane.algorithm.schedule(pod);
    } catch (error) {
      logger.error('Scheduling failed', { pod: pod.key, error: errorMessage(error) });
      this.#metrics.countAttempt({ profile: lane.profile.schedulerName, result: 'error' });
      this.#queue.requeue(queued, new Set(), clock.monotonic());
      void lane.writer.reportFailure(pod, 'SchedulerError', errorMessage(error), undefined);
      return;
    }
    this.#metrics.observeAlgorithm((clock.monotonic() - started) / 1000);
    if (placement.kind === 'placed') this.#bindInBackground(lane, queued, placement, started);
    else this.#notPlaced(lane, queued, placement, started);
  }

  #notPlaced(
    { profile, writer }: Lane,
    queued: QueuedPod,
    placement: Placement & { kind: 'unschedulable' },
    started: number,
  ): void {
    const { clock, logger } = this.#options;
    const { pod } = queued;
    this.#metrics.countAttempt({ profile: profile.schedulerName, result: 'unschedulable' });
    this.#metrics.observeAttempt((clock.monotonic() - started) / 1000, {
      profile: profile.schedulerName,
      result: 'unschedulable',
    });
    const { preemption, nominatedNodeName } = placement;
    if (nominatedNodeName !== undefined) this.#nominator.add(pod, nominatedNodeName);
    this.#queue.requeue(queued, placement.unschedulablePlugins, clock.monotonic());
    let work = Promise.resolve();
    if (preemption !== undefined) {
      this.#metrics.countPreemption();
      this.#metrics.observeVictims(preemption.victims.length);
      logger.info('Preempting', {
        pod: pod.key,
        node: preemption.nodeName,
        victims: preemption.victims.map(({ key }) => key),
      });
      const displaced = [...this.#nominator.podsFor(preemption.nodeName)].filter(
        (other) => other.priority < pod.priority,
      );
      for (const other of displaced) this.#nominator.remove(other.uid);
      work = writer.evict(pod, preemption);
      for (const other of displaced) work = work.then(() => writer.clearNomination(other));
    }
    work
      .then(() => writer.reportFailure(pod, 'Unschedulable', placement.message, nominatedNodeName))
      .catch((error: unknown) =>
        logger.warn('Failed attempt not reported', { pod: pod.key, error: errorMessage(error) }),
      );
  }

  #bindInBackground(
    lane: Lane,
    queued: QueuedPod,
    placement: Placement & { kind: 'placed' },
    started: number,
  ): void {
    const { clock } = this.#options;
    const { pod } = queued;
    this.#cache.assume(pod, placement.nodeName);
    this.#nominator.remove(pod.uid);
    this.#bindings++;
    this.#bind(lane, queued, placement)
      .then(() => {
        this.#metrics.countAttempt({ profile: lane.profile.schedulerName, result: 'scheduled' });
        this.#metrics.observeAttempt((clock.monotonic() - started) / 1000, {
          profile: lane.profile.schedulerName,
          result: 'scheduled',
        });
        this.#metrics.observeAttempts(queued.attempts + 1);
        this.#metrics.observeScheduled((clock.monotonic() - queued.since) / 1000, {
          attempts: String(Math.min(queued.attempts + 1, attemptsLabelMax)),
        });
      })
      .catch((error: unknown) => this.#bindFailed(lane, queued, placement, error))
      .finally(() => {
        this.#bindings--;
        this.#wakeUp();
      });
  }

  async #bind(
    { profile, writer }: Lane,
    queued: QueuedPod,
    placement: Placement & { kind: 'placed' },
  ): Promise<void> {
    if (placement.volumes.length > 0)
      await writer.bindVolumes(
        this.#cluster,
        placement.nodeName,
        placement.volumes,
        profile.volumeBindTimeoutMs,
      );
    await writer.bind(queued.pod, placement.nodeName);
  }

  #bindFailed(
    { profile, writer }: Lane,
    queued: QueuedPod,
    placement: Placement & { kind: 'placed' },
    error: unknown,
  ): void {
    const { clock, logger } = this.#options;
    const { pod } = queued;
    const stillAssumed = this.#cache.isAssumed(pod.uid);
    this.#cache.forget(pod.uid);
    // Gone, or bound after all and only the answer was lost.
    if (hasReason(error, 'NotFound') || !stillAssumed || this.#closed) return;
    logger.warn('Binding failed', { pod: pod.key, node: placement.nodeName, error: errorMessage(error) });
    this.#metrics.countAttempt({ profile: profile.schedulerName, result: 'error' });
    // The room that was held for it is free again.
    this.#emit('AssignedPod', 'delete', undefined, pod.pod);
    const current = this.#informers.pods.lister.get(pod.name, pod.namespace);
    if (current === undefined || current.metadata.uid !== pod.uid || isAssigned(current)) return;
    const latest: PodInfo = podInfoOf(current);
    this.#queue.requeue({ ...queued, pod: latest }, new Set(), clock.monotonic());
    void writer.reportFailure(
      latest,
      'SchedulerError',
      `binding rejected: ${errorMessage(error)}`,
      undefined,
    );
  }
}

function isAssigned(pod: KubeObject): boolean {
  return (pod['spec']?.nodeName ?? '') !== '';
}

/** Kubelets write status often; only these changes can let another pod in. */
function podChangeMatters(pod: KubeObject, old: KubeObject): boolean {
  return (
    pod.metadata.deletionTimestamp !== old.metadata.deletionTimestamp ||
    !deepEqual(pod.metadata.labels, old.metadata.labels) ||
    !deepEqual(pod['spec'], old['spec'])
  );
}
