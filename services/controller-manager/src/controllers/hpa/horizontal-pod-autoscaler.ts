import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { ReconcileResult, ResourceRef } from '@pilothouse/client';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import type { Condition } from '../../common/conditions.ts';
import { setCondition } from '../../common/conditions.ts';
import { resources } from '../../common/resources.ts';
import { getScale } from '../../common/scales.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import type { MetricSpec, Proposal, Workload } from './metric-evaluator.ts';
import { MetricError, MetricEvaluator } from './metric-evaluator.ts';
import type { Behavior, Recommendation, ScaleEvent } from './scaling-limits.ts';
import { limitReplicas } from './scaling-limits.ts';

const downscaleWindowMs = 300_000;
const memoryMs = 3_600_000;

/** What is remembered of an autoscaler between rounds; lost at a change of leader, as upstream's. */
interface Memory {
  recommendations: Recommendation[];
  scaledUp: ScaleEvent[];
  scaledDown: ScaleEvent[];
}

interface Round extends Workload {
  readonly ref: ResourceRef;
  conditions: Condition[];
}

class HorizontalPodAutoscaler {
  readonly #context: ControllerContext;
  readonly #autoscalers;
  readonly #metrics: MetricEvaluator;
  readonly #memories = new Map<string, Memory>();
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#autoscalers = context.informers.informer(resources.horizontalPodAutoscalers);
    const pods = context.informers.informer(resources.pods);
    this.#metrics = new MetricEvaluator(context.client, pods.lister, context.clock);
    const period = context.settings.hpaSyncPeriodMs;
    this.loop = new Controller(
      // Errors wait for the next round as well: metrics come slowly.
      { ...loopOptions(context), baseDelayMs: period, maxDelayMs: period },
      (key) => this.#sync(key),
    );
    const enqueue = (autoscaler: KubeObject): void => this.loop.queue.addAfter(objectKey(autoscaler), period);
    this.#autoscalers.addHandler({
      onAdd: enqueue,
      onUpdate: enqueue,
      onDelete: (autoscaler) => {
        this.#memories.delete(objectKey(autoscaler));
      },
    });
  }

  async #sync(key: string): Promise<ReconcileResult | void> {
    const autoscaler = this.#autoscalers.lister.getByKey(key);
    if (!autoscaler) return;
    await this.#reconcile(key, autoscaler);
    return { requeueAfterMs: this.#context.settings.hpaSyncPeriodMs };
  }

  async #reconcile(key: string, autoscaler: KubeObject): Promise<void> {
    const { client, recorder, clock } = this.#context;
    const spec = autoscaler['spec'] as {
      scaleTargetRef: { apiVersion?: string; kind: string; name: string };
      minReplicas?: number;
      maxReplicas: number;
      metrics?: MetricSpec[];
      behavior?: Behavior;
    };
    const target = {
      apiVersion: spec.scaleTargetRef.apiVersion ?? 'v1',
      kind: spec.scaleTargetRef.kind,
      name: spec.scaleTargetRef.name,
      namespace: autoscaler.metadata.namespace ?? '',
    };
    const before = (autoscaler['status']?.conditions ?? []) as Condition[];
    let found: { ref: ResourceRef; scale: KubeObject };
    try {
      found = await getScale(client, target);
    } catch (error) {
      const text = errorMessage(error);
      recorder.event(autoscaler, 'Warning', 'FailedGetScale', text);
      await this.#write(autoscaler, {
        conditions: this.#put(
          before,
          'AbleToScale',
          'False',
          'FailedGetScale',
          `the HPA controller was unable to get the target's current scale: ${text}`,
        ),
      });
      throw error;
    }
    const { ref, scale } = found;
    const current = (scale['spec']?.replicas as number | undefined) ?? 0;
    const round: Round = {
      autoscaler,
      ref,
      scale,
      current,
      conditions: this.#put(
        before,
        'AbleToScale',
        'True',
        'SucceededGetScale',
        "the HPA controller was able to get the target's current scale",
      ),
    };
    const memory = this.#memory(key, current);
    const min = spec.minReplicas ?? 1;
    if (current === 0 && min !== 0) {
      round.conditions = this.#put(
        round.conditions,
        'ScalingActive',
        'False',
        'ScalingDisabled',
        'scaling is disabled since the replica count of the target is zero',
      );
      await this.#finish(round, { desired: 0, reason: '', metrics: undefined, memory });
      return;
    }
    if (current > spec.maxReplicas) {
      const reason = 'Current number of replicas above Spec.MaxReplicas';
      await this.#finish(round, { desired: spec.maxReplicas, reason, metrics: undefined, memory });
      return;
    }
    if (current < min) {
      const reason = 'Current number of replicas below Spec.MinReplicas';
      await this.#finish(round, { desired: min, reason, metrics: undefined, memory });
      return;
    }
    const { proposal, statuses } = await this.#evaluate(round, spec.metrics ?? []);
    const nowMs = clock.now();
    const limited = limitReplicas({
      current,
      desired: proposal.replicas,
      min,
      max: spec.maxReplicas,
      nowMs,
      behavior: spec.behavior,
      downscaleWindowMs,
      ...memory,
    });
    memory.recommendations.push({ replicas: proposal.replicas, atMs: nowMs });
    for (const each of limited.conditions)
      round.conditions = this.#put(round.conditions, each.type, each.status, each.reason, each.message);
    const reason = proposal.replicas > current ? `${proposal.name} above target` : 'All metrics below target';
    await this.#finish(round, { desired: limited.replicas, reason, metrics: statuses, memory });
  }

  /** The largest proposal of all metrics. Throws when none gave one, or when one failed and the others would shrink. */
  async #evaluate(
    round: Round,
    specs: readonly MetricSpec[],
  ): Promise<{ proposal: Proposal; statuses: Record<string, unknown>[] }> {
    const { recorder } = this.#context;
    const { autoscaler, current } = round;
    let best: Proposal | undefined;
    const failures: MetricError[] = [];
    const statuses: Record<string, unknown>[] = [];
    for (const metric of specs) {
      try {
        const proposal = await this.#metrics.propose(round, metric);
        statuses.push(proposal.status);
        if (!best || proposal.replicas > best.replicas) best = proposal;
      } catch (error) {
        if (!(error instanceof MetricError)) throw error;
        failures.push(error);
        statuses.push({ type: '' });
        recorder.event(autoscaler, 'Warning', error.reason, error.message);
      }
    }
    const first = failures[0];
    if (!best || (first && best.replicas < current)) {
      if (first)
        round.conditions = this.#put(
          round.conditions,
          'ScalingActive',
          'False',
          first.reason,
          `the HPA was unable to compute the replica count: ${first.message}`,
        );
      const text = `invalid metrics (${failures.length} invalid out of ${specs.length}), first error is: ${first?.summary ?? 'no metrics'}`;
      await this.#write(autoscaler, {
        currentReplicas: current,
        desiredReplicas: (autoscaler['status']?.desiredReplicas as number | undefined) ?? 0,
        currentMetrics: statuses,
        conditions: round.conditions,
      });
      recorder.event(autoscaler, 'Warning', 'FailedComputeMetricsReplicas', text);
      throw new Error(
        `failed to compute desired number of replicas based on listed metrics for ${objectKey(autoscaler)}: ${text}`,
      );
    }
    round.conditions = this.#put(
      round.conditions,
      'ScalingActive',
      'True',
      'ValidMetricFound',
      `the HPA was able to successfully calculate a replica count from ${best.name}`,
    );
    return { proposal: best, statuses };
  }

  async #finish(
    round: Round,
    outcome: {
      desired: number;
      reason: string;
      metrics: Record<string, unknown>[] | undefined;
      memory: Memory;
    },
  ): Promise<void> {
    const { client, recorder, clock } = this.#context;
    const { autoscaler, scale, ref, current } = round;
    const { desired, reason } = outcome;
    let lastScaleTime = autoscaler['status']?.lastScaleTime as string | undefined;
    if (desired !== current) {
      try {
        await client.update(
          ref,
          { ...scale, spec: { ...scale['spec'], replicas: desired } },
          { subresource: 'scale' },
        );
      } catch (error) {
        const text = errorMessage(error);
        recorder.event(
          autoscaler,
          'Warning',
          'FailedRescale',
          `New size: ${desired}; reason: ${reason}; error: ${text}`,
        );
        await this.#write(autoscaler, {
          currentReplicas: current,
          desiredReplicas: (autoscaler['status']?.desiredReplicas as number | undefined) ?? 0,
          conditions: this.#put(
            round.conditions,
            'AbleToScale',
            'False',
            'FailedUpdateScale',
            `the HPA controller was unable to update the target scale: ${text}`,
          ),
        });
        throw error;
      }
      round.conditions = this.#put(
        round.conditions,
        'AbleToScale',
        'True',
        'SucceededRescale',
        `the HPA controller was able to update the target scale to ${desired}`,
      );
      recorder.event(autoscaler, 'Normal', 'SuccessfulRescale', `New size: ${desired}; reason: ${reason}`);
      const atMs = clock.now();
      if (desired > current) outcome.memory.scaledUp.push({ change: desired - current, atMs });
      else outcome.memory.scaledDown.push({ change: current - desired, atMs });
      lastScaleTime = secondTime(atMs);
    }
    await this.#write(autoscaler, {
      ...(lastScaleTime === undefined ? {} : { lastScaleTime }),
      currentReplicas: current,
      desiredReplicas: desired,
      currentMetrics: outcome.metrics ?? null,
      conditions: round.conditions,
    });
  }

  #memory(key: string, current: number): Memory {
    const nowMs = this.#context.clock.now();
    const recent = <T extends { readonly atMs: number }>(list: readonly T[]): T[] =>
      list.filter((each) => nowMs - each.atMs < memoryMs);
    const old = this.#memories.get(key);
    const memory: Memory = old
      ? {
          recommendations: recent(old.recommendations),
          scaledUp: recent(old.scaledUp),
          scaledDown: recent(old.scaledDown),
        }
      : { recommendations: [{ replicas: current, atMs: nowMs }], scaledUp: [], scaledDown: [] };
    this.#memories.set(key, memory);
    return memory;
  }

  #put(
    conditions: readonly Condition[],
    type: string,
    status: string,
    reason: string,
    message: string,
  ): Condition[] {
    const lastTransitionTime = secondTime(this.#context.clock.now());
    return setCondition(conditions, { type, status, lastTransitionTime, reason, message });
  }

  async #write(autoscaler: KubeObject, change: Record<string, unknown>): Promise<void> {
    const old = (autoscaler['status'] ?? {}) as Record<string, unknown>;
    const status = { ...old, ...change };
    if (canonical(status) === canonical(old)) return;
    await this.#context.client
      .update(resources.horizontalPodAutoscalers, { ...autoscaler, status }, { subresource: 'status' })
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound')) throw error;
      });
  }
}

export const createHorizontalPodAutoscaler: ControllerFactory = (context) =>
  new HorizontalPodAutoscaler(context).loop;
