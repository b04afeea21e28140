import type { KubeObject } from '@pilothouse/apimachinery';
import { findCondition, hasReason } from '@pilothouse/apimachinery';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import type { RestClient } from '@pilothouse/client';
import { secondTime } from '@pilothouse/client';
import type { ClusterView } from '../core/framework.ts';
import type { PodInfo } from '../core/pod-info.ts';
import type { PreemptionCandidate } from '../core/preemption.ts';
import type { VolumeDecision } from '../core/plugins/volumes.ts';
import { selectedNodeAnnotation } from '../core/plugins/volumes.ts';
import type { EventSink } from './event-sink.ts';
import { refs } from './resources.ts';

interface PodCondition {
  type?: string;
  status?: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string | null;
}

/** Everything the scheduler writes. */
export class PodWriter {
  readonly #client: RestClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #events: EventSink;
  readonly #schedulerName: string;
  constructor(options: {
    client: RestClient;
    clock: Clock;
    logger: Logger;
    events: EventSink;
    schedulerName: string;
  }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#events = options.events;
    this.#schedulerName = options.schedulerName;
  }

  async bind(pod: PodInfo, nodeName: string): Promise<void> {
    await this.#client.create(
      refs.pods,
      {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name: pod.name, namespace: pod.namespace, uid: pod.uid },
        target: { kind: 'Node', name: nodeName },
      },
      { namespace: pod.namespace, name: pod.name, subresource: 'binding' },
    );
    this.#events.record(pod.pod, {
      type: 'Normal',
      reason: 'Scheduled',
      action: 'Binding',
      note: `Successfully assigned ${pod.namespace}/${pod.name} to ${nodeName}`,
    });
  }

  /** Writes the choice of volumes and waits until all claims are bound. */
  async bindVolumes(
    cluster: ClusterView,
    nodeName: string,
    decisions: readonly VolumeDecision[],
    timeoutMs: number,
  ): Promise<void> {
    for (const { claim, volume } of decisions) {
      const { name = '', namespace = '', uid = '' } = claim.metadata;
      if (volume === undefined) {
        const patch = { metadata: { annotations: { [selectedNodeAnnotation]: nodeName } } };
        await this.#client.patch(refs.claims, name, patch, { type: 'merge', namespace });
      } else {
        const claimRef = { kind: 'PersistentVolumeClaim', apiVersion: 'v1', namespace, name, uid };
        const { resourceVersion } = volume.metadata;
        const patch = {
          metadata: { resourceVersion, annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' } },
          spec: { claimRef },
        };
        await this.#client.patch(refs.volumes, volume.metadata.name ?? '', patch, { type: 'merge' });
      }
    }
    const deadline = this.#clock.monotonic() + timeoutMs;
    for (const { claim } of decisions) {
      const { name = '', namespace = '' } = claim.metadata;
      for (;;) {
        const current = cluster.claim(namespace, name);
        if (current === undefined) throw new Error(`persistentvolumeclaim "${name}" not found`);
        if (current['status']?.phase === 'Bound') break;
        // The provisioner could not use the node and says so by taking the mark away.
        if (this.#clock.monotonic() > deadline) throw new Error('timed out waiting for the condition');
        await sleep(this.#clock, 100);
      }
    }
  }

  /** The event and the PodScheduled condition of a failed attempt. `nominatedNodeName` undefined leaves the field. */
  async reportFailure(
    pod: PodInfo,
    reason: 'Unschedulable' | 'SchedulerError',
    message: string,
    nominatedNodeName: string | undefined,
  ): Promise<void> {
    this.#events.record(pod.pod, {
      type: 'Warning',
      reason: 'FailedScheduling',
      action: 'Scheduling',
      note: message,
    });
    const status = pod.pod['status'] ?? {};
    const old = findCondition(status.conditions as PodCondition[] | undefined, 'PodScheduled');
    const sameCondition = old?.status === 'False' && old.reason === reason && old.message === message;
    const sameNomination =
      nominatedNodeName === undefined || nominatedNodeName === (status.nominatedNodeName ?? '');
    if (sameCondition && sameNomination) return;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason,
      message,
      lastProbeTime: null,
      lastTransitionTime: old?.status === 'False' ? old.lastTransitionTime : secondTime(this.#clock.now()),
      ...(pod.pod.metadata.generation === undefined
        ? {}
        : { observedGeneration: pod.pod.metadata.generation }),
    };
    await this.#patchStatus(pod, {
      ...withCondition(pod, condition),
      ...(sameNomination ? {} : { nominatedNodeName: nominatedNodeName === '' ? null : nominatedNodeName }),
    });
  }

  async clearNomination(pod: PodInfo): Promise<void> {
    await this.#patchStatus(pod, { nominatedNodeName: null });
  }

  async #patchStatus(pod: PodInfo, status: object): Promise<void> {
    try {
      await this.#client.patch(
        refs.pods,
        pod.name,
        { metadata: { uid: pod.uid }, status },
        { type: 'strategic', namespace: pod.namespace, subresource: 'status' },
      );
    } catch (error) {
      if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict')) return;
      this.#logger.warn('Pod status not written', { pod: pod.key, error: errorMessage(error) });
    }
  }

  /** Evicts the victims of a preemption. */
  async evict(pod: PodInfo, candidate: PreemptionCandidate): Promise<void> {
    const results = candidate.victims.map(async (victim) => {
      if (victim.terminating) return;
      const condition = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'PreemptionByScheduler',
        message: `${this.#schedulerName}: preempting to accommodate a higher priority pod`,
        lastProbeTime: null,
        lastTransitionTime: secondTime(this.#clock.now()),
        ...(victim.pod.metadata.generation === undefined
          ? {}
          : { observedGeneration: victim.pod.metadata.generation }),
      };
      await this.#patchStatus(victim, withCondition(victim, condition));
      try {
        await this.#client.delete(refs.pods, victim.name, {
          namespace: victim.namespace,
          preconditions: { uid: victim.uid },
        });
      } catch (error) {
        if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
      }
      this.#events.record(victim.pod, {
        type: 'Normal',
        reason: 'Preempted',
        action: 'Preempting',
        note: `Preempted by pod ${pod.uid} on node ${candidate.nodeName}`,
        related: pod.pod,
      });
    });
    await Promise.all(results);
  }
}

/** The parts of a node that decide where pods fit; heartbeats are none of them. */
export function schedulingRelevant(node: KubeObject): string {
  const spec = node['spec'] ?? {};
  const status = node['status'] ?? {};
  return JSON.stringify([node.metadata.labels, spec.taints, spec.unschedulable, status.allocatable]);
}

/** A status patch that sets one condition and keeps the order of the others. */
function withCondition(pod: PodInfo, condition: { readonly type: string }): object {
  const types = ((pod.pod['status']?.conditions ?? []) as PodCondition[]).map(({ type = '' }) => ({ type }));
  if (!types.some(({ type }) => type === condition.type)) types.push({ type: condition.type });
  return { '$setElementOrder/conditions': types, conditions: [condition] };
}
