import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Clock, Logger } from '@pilothouse/base';
import type { EventRecorder, Informer, InformerFactory, RestClient } from '@pilothouse/client';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import { AddressPool } from '../../core/address-pool.ts';
import { admitPod } from '../../core/node-admission.ts';
import type { PodRuntime } from '../../core/pod-runtime.ts';
import type { PodStatus } from '../../core/pod-shape.ts';
import { limits } from '../../limits.ts';
import type { ContainerRunner, RunnerSettings } from './container-runner.ts';
import type { ObjectSource } from './object-source.ts';
import type { PodDirectories } from './pod-directory.ts';
import { PodWorker } from './pod-worker.ts';

const pods = { group: '', version: 'v1', resource: 'pods' } as const;

export interface ProcessPodsOptions {
  readonly client: RestClient;
  readonly informers: InformerFactory;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventRecorder;
  readonly runner: ContainerRunner;
  readonly settings: RunnerSettings;
  readonly source: ObjectSource;
  readonly directories: PodDirectories;
  /** First three numbers of the pods' addresses, of the loopback network. */
  readonly podNetwork: string;
}

/** Runs the pods that are bound to this node as processes of the host. */
export class ProcessPods implements PodRuntime {
  readonly #options: ProcessPodsOptions;
  readonly #pool: AddressPool;
  readonly #workers = new Map<string, PodWorker>();
  readonly #written = new Map<string, string>();
  readonly #rejected = new Map<string, PodStatus>();
  readonly #controller: Controller;
  readonly #informer: Informer;

  constructor(options: ProcessPodsOptions) {
    this.#options = options;
    this.#pool = new AddressPool(options.podNetwork);
    this.#controller = new Controller(
      {
        name: 'pods',
        clock: options.clock,
        logger: options.logger,
        workers: limits.podWorkers,
        baseDelayMs: 100,
        maxDelayMs: 5_000,
      },
      (key) => this.#sync(key),
    );
    this.#informer = options.informers.informer(pods, {
      fieldSelector: `spec.nodeName=${options.settings.nodeName}`,
    });
    const enqueue = (pod: KubeObject): void => this.#controller.queue.add(objectKey(pod));
    this.#informer.addHandler({ onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
  }

  start(): void {
    const { directories } = this.#options;
    const known = new Map(this.list().map((pod) => [pod.metadata.uid ?? '', pod]));
    for (const uid of directories.list()) {
      const saved = directories.load(uid);
      const pod = known.get(uid);
      if (saved && pod) {
        this.#pool.claim(saved.podIp);
        this.#workers.set(objectKey(pod), this.#worker(pod, saved.podIp, saved));
      } else this.#sweep(uid);
    }
    this.#controller.start();
  }

  async stop(endPods: boolean): Promise<void> {
    await this.#controller.stop();
    if (endPods)
      await Promise.all([...this.#workers.values()].map((worker) => worker.kill(limits.shutdownGraceMs)));
    for (const worker of this.#workers.values()) worker.release();
  }

  list(): KubeObject[] {
    return this.#informer.lister.list();
  }

  /** Undefined: this node does not run it. */
  find(namespace: string, name: string, uid?: string): PodWorker | undefined {
    const worker = this.#workers.get(`${namespace}/${name}`);
    return uid === undefined || worker?.uid === uid ? worker : undefined;
  }

  workers(): readonly PodWorker[] {
    return [...this.#workers.values()];
  }

  /** A pod that was deleted while no agent ran. */
  #sweep(uid: string): void {
    const { directories, runner } = this.#options;
    for (const record of directories.load(uid)?.records ?? []) {
      if (record.state.kind === 'running')
        runner.adopt(uid, record.name, record.state, record.restarts).killWhenFound();
    }
    directories.remove(uid);
  }

  #worker(pod: KubeObject, ip: string, saved?: Parameters<PodDirectories['save']>[0]): PodWorker {
    const { clock, logger, events, runner, settings, source, directories } = this.#options;
    return new PodWorker(
      pod,
      ip,
      {
        clock,
        logger,
        events,
        runner,
        settings,
        source,
        directories,
        wake: () => this.#controller.queue.add(objectKey(pod)),
      },
      saved,
    );
  }

  async #sync(key: string): Promise<{ requeueAfterMs?: number } | void> {
    const pod = this.#informer.lister.getByKey(key);
    const worker = this.#workers.get(key);
    if (worker && worker.uid !== pod?.metadata.uid) {
      // Removed by force, or replaced by another of the same name.
      this.#workers.delete(key);
      await worker.kill(limits.shutdownGraceMs);
      this.#forget(worker.uid, worker.podIp);
    }
    if (!pod) return;
    const status = pod['status'] as PodStatus | undefined;
    const deleting = pod.metadata.deletionTimestamp !== undefined;
    const finished = status?.phase === 'Succeeded' || status?.phase === 'Failed';
    if (!this.#workers.has(key) && finished) {
      if (deleting) await this.#deleteObject(pod);
      return;
    }
    const current = this.#workers.get(key) ?? this.#admit(key, pod);
    if (!current) {
      await this.#writeStatus(pod, this.#rejected.get(pod.metadata.uid ?? '') as PodStatus);
      if (deleting) await this.#deleteObject(pod);
      return;
    }
    const step = await current.sync(pod);
    await this.#writeStatus(pod, step.status);
    if (step.over && deleting) {
      await this.#deleteObject(pod);
      this.#workers.delete(key);
      this.#forget(current.uid, current.podIp);
      return;
    }
    return step.wakeMs === undefined
      ? undefined
      : { requeueAfterMs: Math.max(1, step.wakeMs - this.#options.clock.now()) };
  }

  #admit(key: string, pod: KubeObject): PodWorker | undefined {
    const { settings, clock } = this.#options;
    const uid = pod.metadata.uid ?? '';
    if (this.#rejected.has(uid)) return undefined;
    const others = [...this.#workers.values()].map((each) => each.pod);
    const rejection = admitPod(pod, others, settings.allocatable);
    const ip = rejection ? undefined : this.#pool.allocate();
    if (ip === undefined) {
      this.#rejected.set(uid, {
        phase: 'Failed',
        reason: rejection?.reason ?? 'OutOfAddresses',
        message: rejection?.message ?? 'Pod was rejected: Node has no free pod address',
        conditions: (pod['status'] as PodStatus | undefined)?.conditions ?? [],
        startTime: secondTime(clock.now()),
      });
      return undefined;
    }
    const worker = this.#worker(pod, ip);
    this.#workers.set(key, worker);
    return worker;
  }

  #forget(uid: string, ip: string): void {
    this.#pool.release(ip);
    this.#written.delete(uid);
    this.#rejected.delete(uid);
    this.#options.source.forget(uid);
    this.#options.directories.remove(uid);
  }

  async #writeStatus(pod: KubeObject, status: PodStatus): Promise<void> {
    const uid = pod.metadata.uid ?? '';
    const text = JSON.stringify(status);
    if (this.#written.get(uid) === text) return;
    try {
      await this.#options.client.patch(
        pods,
        pod.metadata.name ?? '',
        { metadata: { uid }, status },
        { type: 'strategic', namespace: pod.metadata.namespace ?? '', subresource: 'status' },
      );
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
    this.#written.set(uid, text);
  }

  async #deleteObject(pod: KubeObject): Promise<void> {
    try {
      await this.#options.client.delete(pods, pod.metadata.name ?? '', {
        namespace: pod.metadata.namespace ?? '',
        gracePeriodSeconds: 0,
        preconditions: pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid },
      });
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
  }
}
