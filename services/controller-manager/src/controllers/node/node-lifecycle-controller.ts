import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { Controller, secondTime } from '@pilothouse/client';
import { podCondition } from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import type { ControllerContext, ControllerFactory, ControlLoop } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import type { Taint } from './taints.ts';
import { noExecuteTaints, noScheduleTaints } from './taints.ts';

interface NodeCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastHeartbeatTime?: string;
  lastTransitionTime?: string;
}

/** What a node last showed of itself, timed by our own clock: its clock may be wrong. */
interface Health {
  heartbeat: string;
  leaseVersion: string;
  seenMs: number;
}

const kubeletConditions = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

/** Turns silence into conditions, conditions into taints, and marks pods of dead nodes not ready. Evicting is the taint eviction controller's. */
class NodeLifecycleController implements ControlLoop {
  readonly #context: ControllerContext;
  readonly #nodes;
  readonly #leases;
  readonly #pods;
  readonly #taints: Controller;
  readonly #health = new Map<string, Health>();
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#nodes = context.informers.informer(resources.nodes);
    this.#leases = context.informers.informer(resources.leases, { namespace: 'kube-node-lease' });
    this.#pods = context.informers.informer(resources.pods);
    this.#pods.addIndex('node', (pod) => [(pod['spec'].nodeName as string | undefined) ?? '']);
    this.#taints = new Controller({ ...loopOptions(context), workers: 8 }, (name) => this.#syncTaints(name));
    const enqueue = (node: KubeObject): void => this.#taints.queue.add(node.metadata.name ?? '');
    this.#nodes.addHandler({
      onAdd: enqueue,
      onUpdate: enqueue,
      onDelete: (node) => this.#health.delete(node.metadata.name ?? ''),
    });
  }

  start(): void {
    this.#taints.start();
    this.#timer = this.#context.clock.setInterval(() => {
      this.#running = this.#running
        .then(() => this.#monitor())
        .catch((error: unknown) =>
          this.#context.logger.warn('Node monitoring failed', { error: errorMessage(error) }),
        );
    }, this.#context.settings.nodeMonitorPeriodMs);
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#running;
    await this.#taints.stop();
  }

  async #syncTaints(name: string): Promise<void> {
    const node = this.#nodes.lister.get(name);
    if (!node) return;
    const taints = noScheduleTaints(
      (node['spec']?.taints ?? []) as Taint[],
      (node['status']?.conditions ?? []) as NodeCondition[],
      node['spec']?.unschedulable === true,
    );
    if (taints) await this.#writeTaints(node, taints);
  }

  /** The resourceVersion makes it a compare-and-swap: a taint that somebody adds meanwhile is not lost. */
  async #writeTaints(node: KubeObject, taints: readonly Taint[]): Promise<void> {
    await this.#context.client
      .patch(
        resources.nodes,
        node.metadata.name ?? '',
        {
          metadata: { resourceVersion: node.metadata.resourceVersion },
          spec: { taints: taints.length === 0 ? null : taints },
        },
        { type: 'merge' },
      )
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound')) throw error;
      });
  }

  async #monitor(): Promise<void> {
    const { clock, settings } = this.#context;
    const nodes = this.#nodes.lister.list();
    const now = clock.monotonic();
    const unhealthy: KubeObject[] = [];
    for (const node of nodes) {
      const name = node.metadata.name ?? '';
      const conditions = (node['status']?.conditions ?? []) as NodeCondition[];
      const ready = conditions.find((each) => each.type === 'Ready');
      const heartbeat = ready?.lastHeartbeatTime ?? '';
      const leaseVersion = this.#leases.lister.get(name, 'kube-node-lease')?.metadata.resourceVersion ?? '';
      let health = this.#health.get(name);
      if (!health || health.heartbeat !== heartbeat || health.leaseVersion !== leaseVersion)
        this.#health.set(name, (health = { heartbeat, leaseVersion, seenMs: now }));
      if (now - health.seenMs > settings.nodeMonitorGracePeriodMs && ready?.status !== 'Unknown') {
        const marked = await this.#markUnknown(node, conditions);
        if (marked) {
          const written = ((marked['status']?.conditions ?? []) as NodeCondition[]).find(
            (each) => each.type === 'Ready',
          );
          health.heartbeat = written?.lastHeartbeatTime ?? '';
        }
      }
      const current = marker(this.#nodes.lister.get(name) ?? node);
      if (current !== undefined && current !== 'True') unhealthy.push(node);
    }
    // When every node seems dead, it is more likely the control plane that is cut off: nobody is evicted.
    const allUnhealthy = nodes.length > 0 && unhealthy.length === nodes.length;
    for (const node of this.#nodes.lister.list()) {
      const ready = marker(node);
      if (ready === undefined || (allUnhealthy && ready !== 'True')) continue;
      const taints = noExecuteTaints((node['spec']?.taints ?? []) as Taint[], ready, secondTime(clock.now()));
      if (taints) await this.#writeTaints(node, taints);
      if (ready !== 'True') await this.#markPodsNotReady(node);
    }
  }

  async #markUnknown(
    node: KubeObject,
    conditions: readonly NodeCondition[],
  ): Promise<KubeObject | undefined> {
    const { client, clock, recorder } = this.#context;
    const now = secondTime(clock.now());
    const wanted = kubeletConditions.map((type) => {
      const old = conditions.find((each) => each.type === type);
      return old
        ? {
            ...old,
            status: 'Unknown',
            reason: 'NodeStatusUnknown',
            message: 'Kubelet stopped posting node status.',
            lastTransitionTime: old.status === 'Unknown' ? (old.lastTransitionTime ?? now) : now,
          }
        : {
            type,
            status: 'Unknown',
            reason: 'NodeStatusNeverUpdated',
            message: 'Kubelet never posted node status.',
            lastHeartbeatTime: node.metadata.creationTimestamp,
            lastTransitionTime: now,
          };
    });
    try {
      const updated = await client.patch(
        resources.nodes,
        node.metadata.name ?? '',
        { status: { conditions: wanted } },
        { type: 'strategic', subresource: 'status' },
      );
      recorder.event(
        node,
        'Normal',
        'NodeNotReady',
        `Node ${node.metadata.name} status is now: NodeNotReady`,
      );
      return updated;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async #markPodsNotReady(node: KubeObject): Promise<void> {
    const { client, clock, logger } = this.#context;
    for (const pod of this.#pods.lister.byIndex('node', node.metadata.name ?? '')) {
      const ready = podCondition(pod, 'Ready');
      if (ready?.status !== 'True') continue;
      await client
        .patch(
          resources.pods,
          pod.metadata.name ?? '',
          {
            status: {
              conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: secondTime(clock.now()) }],
            },
          },
          { type: 'strategic', namespace: pod.metadata.namespace ?? '', subresource: 'status' },
        )
        .catch((error: unknown) =>
          logger.debug('Pod not marked', { pod: pod.metadata.name, error: errorMessage(error) }),
        );
    }
  }
}

/** Status of the Ready condition; undefined when there is none. */
function marker(node: KubeObject): string | undefined {
  return ((node['status']?.conditions ?? []) as NodeCondition[]).find((each) => each.type === 'Ready')
    ?.status;
}

export const createNodeLifecycleController: ControllerFactory = (context) =>
  new NodeLifecycleController(context);
