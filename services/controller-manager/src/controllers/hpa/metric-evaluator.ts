import type { KubeObject } from '@pilothouse/apimachinery';
import { canonicalQuantity, parseLabelSelector, quantityMilliValue } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { Lister, RestClient } from '@pilothouse/client';
import { isPodReady } from '../../common/pods.ts';
import type { MetricIdentifier } from './other-metrics.ts';
import { externalMilli, objectMilli, podMetric } from './other-metrics.ts';
import { groupPods, replicaCount, sharedReplicaCount } from './replica-count.ts';
import { podRequestMilli, podUsage } from './resource-metrics.ts';

interface ResourceMetric {
  readonly name: string;
  readonly container?: string;
  readonly target: { type: string; averageUtilization?: number; averageValue?: string };
}

interface SharedTarget {
  readonly value?: string;
  readonly averageValue?: string;
}

export interface MetricSpec {
  readonly type: string;
  readonly resource?: ResourceMetric;
  readonly containerResource?: ResourceMetric;
  readonly pods?: { metric: MetricIdentifier; target: SharedTarget };
  readonly object?: {
    metric: MetricIdentifier;
    target: SharedTarget;
    describedObject: { apiVersion?: string; kind: string; name: string };
  };
  readonly external?: { metric: MetricIdentifier; target: SharedTarget };
}

export interface Proposal {
  readonly replicas: number;
  /** What the metric is called in conditions and events. */
  readonly name: string;
  readonly status: Record<string, unknown>;
}

/** A metric that gave no number: `reason` for the condition and the event, `first` for the summary. */
export class MetricError extends Error {
  readonly reason: string;
  readonly summary: string;

  constructor(reason: string, message: string, summary: string) {
    super(message);
    this.reason = reason;
    this.summary = summary;
  }
}

const milliText = (milli: number): string => canonicalQuantity(`${milli}m`);

/** What is scaled, as this round sees it. */
export interface Workload {
  readonly autoscaler: KubeObject;
  readonly scale: KubeObject;
  readonly current: number;
}

/** Turns the metrics of an autoscaler into numbers of replicas. */
export class MetricEvaluator {
  readonly #client: RestClient;
  readonly #pods: Lister;
  readonly #clock: Clock;

  constructor(client: RestClient, pods: Lister, clock: Clock) {
    this.#client = client;
    this.#pods = pods;
    this.#clock = clock;
  }

  /** The size that one metric asks for. Throws MetricError when it gives no number. */
  async propose(round: Workload, metric: MetricSpec): Promise<Proposal> {
    switch (metric.type) {
      case 'Resource':
        return this.#proposeByResource(round, metric.resource as ResourceMetric, 'Resource');
      case 'ContainerResource':
        return this.#proposeByResource(
          round,
          metric.containerResource as ResourceMetric,
          'ContainerResource',
        );
      case 'Pods':
        return this.#proposeByPods(round, metric.pods as NonNullable<MetricSpec['pods']>);
      case 'Object': {
        const {
          metric: identifier,
          target,
          describedObject,
        } = metric.object as NonNullable<MetricSpec['object']>;
        const status = { type: 'Object', object: { metric: identifier, describedObject } };
        return this.#proposeByShare(round, 'Object', identifier, target, status, (namespace) =>
          objectMilli(this.#client, namespace, describedObject, identifier),
        );
      }
      case 'External': {
        const { metric: identifier, target } = metric.external as NonNullable<MetricSpec['external']>;
        const status = { type: 'External', external: { metric: identifier } };
        return this.#proposeByShare(round, 'External', identifier, target, status, (namespace) =>
          externalMilli(this.#client, namespace, identifier),
        );
      }
      default:
        throw new Error(`unknown metric source type "${metric.type}"`);
    }
  }

  #podsOf(round: Workload): { pods: KubeObject[]; selector: string; namespace: string } {
    const namespace = round.autoscaler.metadata.namespace ?? '';
    const selector = (round.scale['status']?.selector as string | undefined) ?? '';
    if (selector === '') throw new Error('selector is required');
    const matcher = parseLabelSelector(selector);
    const pods = this.#pods.list(namespace).filter((pod) => matcher.matches(pod.metadata.labels ?? {}));
    return { pods, selector, namespace };
  }

  async #proposeByPods(
    round: Workload,
    { metric, target }: { metric: MetricIdentifier; target: SharedTarget },
  ): Promise<Proposal> {
    try {
      const { pods, selector, namespace } = this.#podsOf(round);
      const usage = await podMetric(this.#client, namespace, selector, metric);
      const count = replicaCount(round.current, groupPods(pods, usage, '', this.#clock.now()), usage, {
        value: quantityMilliValue(target.averageValue ?? '0'),
      });
      return {
        replicas: count.replicas,
        name: `pods metric ${metric.name}`,
        status: { type: 'Pods', pods: { metric, current: { averageValue: milliText(count.averageMilli) } } },
      };
    } catch (error) {
      const text = errorMessage(error);
      throw new MetricError('FailedGetPodsMetric', text, `failed to get pods metric value: ${text}`);
    }
  }

  /** A metric of one object, or of something outside of the cluster. */
  async #proposeByShare(
    round: Workload,
    type: 'Object' | 'External',
    metric: MetricIdentifier,
    target: SharedTarget,
    status: Record<string, unknown>,
    read: (namespace: string) => Promise<number>,
  ): Promise<Proposal> {
    try {
      const { pods, namespace } = this.#podsOf(round);
      const milli = await read(namespace);
      const ready = pods.filter(isPodReady).length;
      const replicas = sharedReplicaCount(round.current, ready, milli, {
        ...(target.value === undefined ? {} : { value: quantityMilliValue(target.value) }),
        ...(target.averageValue === undefined
          ? {}
          : { averageValue: quantityMilliValue(target.averageValue) }),
      });
      const current =
        target.averageValue === undefined
          ? { value: milliText(milli) }
          : { averageValue: milliText(Math.ceil(milli / Math.max(1, round.current))) };
      const member = type === 'Object' ? 'object' : 'external';
      return {
        replicas,
        name: `${member} metric ${metric.name}`,
        status: { ...status, [member]: { ...(status[member] as object), current } },
      };
    } catch (error) {
      const text = errorMessage(error);
      throw new MetricError(
        `FailedGet${type}Metric`,
        text,
        type === 'Object'
          ? `failed to get object metric value: ${text}`
          : `failed to get ${metric.name} external metric value: failed to get ${metric.name} external metric: ${text}`,
      );
    }
  }

  async #proposeByResource(
    round: Workload,
    metric: ResourceMetric,
    type: 'Resource' | 'ContainerResource',
  ): Promise<Proposal> {
    const client = this.#client;
    const clock = this.#clock;
    const { name, container, target } = metric;
    const byUtilization = target.averageUtilization !== undefined;
    try {
      const { pods, selector, namespace } = this.#podsOf(round);
      const usage = await podUsage(client, namespace, selector, name, container);
      if (pods.length === 0) throw new Error('no pods returned by selector while calculating replica count');
      const groups = groupPods(pods, usage, name, clock.now());
      const requests = byUtilization
        ? new Map(pods.map((pod) => [pod.metadata.name ?? '', podRequestMilli(pod, name, container)]))
        : undefined;
      const count = replicaCount(round.current, groups, usage, {
        value: target.averageUtilization ?? quantityMilliValue(target.averageValue ?? '0'),
        ...(requests === undefined ? {} : { requests }),
      });
      const now = {
        ...(count.utilization === undefined ? {} : { averageUtilization: count.utilization }),
        averageValue: milliText(count.averageMilli),
      };
      const member = type === 'Resource' ? 'resource' : 'containerResource';
      return {
        replicas: count.replicas,
        name: `${name} ${type === 'Resource' ? 'resource' : 'container resource'}${byUtilization ? ' utilization (percentage of request)' : ''}`,
        status: {
          type,
          [member]: { name, ...(container === undefined ? {} : { container }), current: now },
        },
      };
    } catch (error) {
      const text = `failed to get ${name} ${byUtilization ? 'utilization' : 'usage'}: ${errorMessage(error)}`;
      throw new MetricError(
        `FailedGet${type}Metric`,
        text,
        `failed to get ${name} ${type === 'Resource' ? 'resource' : 'container'} metric value: ${text}`,
      );
    }
  }
}
