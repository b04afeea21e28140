import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Clock, Logger } from '@pilothouse/base';
import type { InformerFactory, RestClient } from '@pilothouse/client';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import { AddressPool } from '../core/address-pool.ts';
import { admitPod } from '../core/node-admission.ts';
import type { NodeSettings } from '../core/node-object.ts';
import { nodeAddress, podNetworkPrefix } from '../core/node-object.ts';
import { PodMachine } from '../core/pod-machine.ts';
import type { PodRuntime } from '../core/pod-runtime.ts';
import type { PodStatus } from '../core/pod-shape.ts';
import { limits } from '../limits.ts';

const pods = { group: '', version: 'v1', resource: 'pods' } as const;

interface Tracked {
  readonly machine: PodMachine;
  readonly ip: string;
  readonly uid: string;
  /** The status last written, as text, so that an unchanged one is not written again. */
  written: string;
}

/** Runs the pods that are bound to this node: one {@link PodMachine} each, stepped by changes of the object and by time. */
export class PodManager implements PodRuntime {
  readonly #client: RestClient;
  readonly #clock: Clock;
  readonly #settings: NodeSettings;
  readonly #pool: AddressPool;
  readonly #tracked = new Map<string, Tracked>();
  readonly #controller: Controller;
  readonly #informer;

  constructor(options: {
    client: RestClient;
    informers: InformerFactory;
    clock: Clock;
    logger: Logger;
    settings: NodeSettings;
  }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#settings = options.settings;
    this.#pool = new AddressPool(podNetworkPrefix(options.settings));
    this.#controller = new Controller(
      {
        name: 'pods',
        clock: options.clock,
        logger: options.logger,
        workers: limits.podWorkers,
        baseDelayMs: 50,
        maxDelayMs: 5_000,
      },
      (key) => this.#sync(key),
    );
    this.#informer = options.informers.informer(pods, {
      fieldSelector: `spec.nodeName=${options.settings.name}`,
    });
    const enqueue = (pod: KubeObject): void => this.#controller.queue.add(objectKey(pod));
    this.#informer.addHandler({ onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
  }

  start(): void {
    // Addresses of pods that outlived the last agent are taken before any new one is given out.
    for (const pod of this.#informer.lister.list()) {
      const ip = (pod['status'] as PodStatus | undefined)?.podIP;
      if (ip !== undefined) this.#pool.claim(ip);
    }
    this.#controller.start();
  }

  stop(_endPods: boolean): Promise<void> {
    return this.#controller.stop();
  }

  /** What `/pods` of the agent's own server shows. */
  list(): KubeObject[] {
    return this.#informer.lister.list();
  }

  async #sync(key: string): Promise<{ requeueAfterMs?: number } | void> {
    const pod = this.#informer.lister.getByKey(key);
    let tracked = this.#tracked.get(key);
    if (tracked && tracked.uid !== pod?.metadata.uid) {
      this.#pool.release(tracked.ip);
      this.#tracked.delete(key);
      tracked = undefined;
    }
    if (!pod) return;
    const nowMs = this.#clock.now();
    const status = pod['status'] as PodStatus | undefined;
    const over = status?.phase === 'Succeeded' || status?.phase === 'Failed';
    if (!tracked && over && pod.metadata.deletionTimestamp === undefined) return;
    if (!tracked) this.#tracked.set(key, (tracked = this.#track(pod, nowMs)));
    const step = tracked.machine.step(pod, nowMs);
    const finished = over && pod.metadata.deletionTimestamp !== undefined;
    const text = JSON.stringify(step.status);
    if (!finished && tracked.written !== text) {
      await this.#client.patch(
        pods,
        pod.metadata.name ?? '',
        { metadata: { uid: pod.metadata.uid }, status: step.status },
        {
          type: 'strategic',
          namespace: pod.metadata.namespace ?? '',
          subresource: 'status',
        },
      );
      tracked.written = text;
    }
    if (step.terminated || finished) {
      try {
        await this.#client.delete(pods, pod.metadata.name ?? '', {
          namespace: pod.metadata.namespace ?? '',
          gracePeriodSeconds: 0,
          preconditions: pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid },
        });
      } catch (error) {
        if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
      }
      return;
    }
    return step.wakeMs === undefined ? undefined : { requeueAfterMs: Math.max(1, step.wakeMs - nowMs) };
  }

  #track(pod: KubeObject, nowMs: number): Tracked {
    const status = pod['status'] as PodStatus | undefined;
    const known = status?.podIP;
    const ip =
      known !== undefined && this.#pool.claim(known)
        ? known
        : (this.#pool.allocate() ?? nodeAddress(this.#settings));
    const others = this.#informer.lister
      .list()
      .filter((other) => other.metadata.uid !== pod.metadata.uid && this.#tracked.has(objectKey(other)));
    // A pod that was running before the agent came up has been admitted long ago.
    const rejection =
      status?.startTime === undefined ? admitPod(pod, others, this.#settings.capacity) : undefined;
    const started = status?.startTime === undefined ? nowMs : Date.parse(status.startTime);
    return {
      machine: new PodMachine(
        { hostIp: nodeAddress(this.#settings), podIp: ip, time: secondTime },
        started,
        rejection,
      ),
      ip,
      uid: pod.metadata.uid ?? '',
      written: '',
    };
  }
}
