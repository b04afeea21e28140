import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason, labelSelectorOf } from '@pilothouse/apimachinery';
import type { ReconcileResult } from '@pilothouse/client';
import { Controller, objectKey, secondTime } from '@pilothouse/client';
import type { Condition } from '../../common/conditions.ts';
import { findCondition } from '../../common/conditions.ts';
import { claim, controllerOf, newControllerRef } from '../../common/ownership.ts';
import { isPodTerminal } from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import { canonical, templateHash } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import {
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  newReplicaSetAnnotations,
  revisionAnnotation,
  revisionOf,
} from './annotations.ts';
import { deploymentStatus, isComplete, isProgressing, timeout } from './progress.ts';
import { ReplicaSetScaler } from './replica-set-scaler.ts';
import {
  byCreation,
  isRollingUpdate,
  newSetReplicas,
  replicasOf,
  rollingLimits,
  statusNumber,
} from './rolling-update.ts';

const kind = { apiVersion: 'apps/v1', kind: 'Deployment' } as const;
const hashLabel = 'pod-template-hash';

/** The template without the label that only replica sets carry: two templates are the same revision when these texts are equal. */
function templateText(template: KubeObject): string {
  const { [hashLabel]: _hash, ...labels } = (template.metadata?.labels ?? {}) as Record<string, string>;
  return canonical({ ...template, metadata: { ...template.metadata, labels, creationTimestamp: undefined } });
}

class DeploymentController {
  readonly #context: ControllerContext;
  readonly #deployments;
  readonly #sets;
  readonly #pods;
  readonly #scaler: ReplicaSetScaler;
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#scaler = new ReplicaSetScaler(context.client, context.recorder);
    this.#deployments = context.informers.informer(resources.deployments);
    this.#sets = context.informers.informer(resources.replicaSets);
    this.#pods = context.informers.informer(resources.pods);
    this.loop = new Controller(loopOptions(context), (key) => this.#sync(key));
    const enqueue = (deployment: KubeObject): void => this.loop.queue.add(objectKey(deployment));
    this.#deployments.addHandler({ onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
    const setChanged = (set: KubeObject): void => {
      const owner = controllerOf(set);
      if (owner?.kind === 'Deployment') this.loop.queue.add(`${set.metadata.namespace}/${owner.name}`);
      else if (!owner) {
        for (const deployment of this.#deployments.lister.list(set.metadata.namespace)) {
          if (labelSelectorOf(deployment['spec'].selector).matches(set.metadata.labels ?? {}))
            enqueue(deployment);
        }
      }
    };
    this.#sets.addHandler({
      onAdd: setChanged,
      onUpdate: (set, old) => {
        if (controllerOf(old)?.uid !== controllerOf(set)?.uid) setChanged(old);
        setChanged(set);
      },
      onDelete: setChanged,
    });
    // A Recreate rollout goes on when the last old pod is gone.
    this.#pods.addHandler({
      onDelete: (pod) => {
        const set = controllerOf(pod);
        if (set?.kind !== 'ReplicaSet') return;
        const owner = this.#sets.lister.get(set.name, pod.metadata.namespace);
        const deployment = owner && controllerOf(owner);
        if (deployment) this.loop.queue.add(`${pod.metadata.namespace}/${deployment.name}`);
      },
    });
  }

  async #sync(key: string): Promise<ReconcileResult | void> {
    const { client, recorder } = this.#context;
    const cached = this.#deployments.lister.getByKey(key);
    if (!cached) return;
    let deployment: KubeObject = structuredClone(cached);
    const selector = deployment['spec'].selector ?? {};
    if (
      Object.keys(selector.matchLabels ?? {}).length === 0 &&
      (selector.matchExpressions ?? []).length === 0
    ) {
      recorder.event(
        deployment,
        'Warning',
        'SelectingAll',
        'This deployment is selecting all pods. A non-empty selector is required.',
      );
      return;
    }
    const sets = await claim(deployment, kind, this.#sets.lister.list(deployment.metadata.namespace), {
      client,
      ownerRef: resources.deployments,
      childRef: resources.replicaSets,
      selector,
    });
    sets.sort(byCreation);
    if (deployment.metadata.deletionTimestamp !== undefined) {
      await this.#writeStatus(deployment, sets, this.#find(deployment, sets));
      return;
    }
    deployment = await this.#pausedCondition(deployment);
    if (deployment['spec'].paused === true || this.#isScaling(deployment, sets)) {
      const newest = await this.#newest(deployment, sets, false);
      await this.#scaler.scale(deployment, newest, this.#old(sets, newest));
      if (deployment['spec'].paused === true) await this.#cleanUp(deployment, this.#old(sets, newest));
      await this.#writeStatus(deployment, this.#with(sets, newest), newest);
      return;
    }
    return isRollingUpdate(deployment) ? this.#roll(deployment, sets) : this.#recreate(deployment, sets);
  }

  #find(deployment: KubeObject, sets: readonly KubeObject[]): KubeObject | undefined {
    const text = templateText(deployment['spec'].template);
    return sets.find((set) => templateText(set['spec'].template) === text);
  }

  #old(sets: readonly KubeObject[], newest: KubeObject | undefined): KubeObject[] {
    return sets.filter((set) => set.metadata.uid !== newest?.metadata.uid);
  }

  #with(sets: readonly KubeObject[], newest: KubeObject | undefined): KubeObject[] {
    return newest ? [...this.#old(sets, newest), newest] : [...sets];
  }

  #isScaling(deployment: KubeObject, sets: readonly KubeObject[]): boolean {
    return sets.some((set) => {
      const desired = set.metadata.annotations?.[desiredReplicasAnnotation];
      return replicasOf(set) > 0 && desired !== undefined && Number(desired) !== replicasOf(deployment);
    });
  }

  async #pausedCondition(deployment: KubeObject): Promise<KubeObject> {
    if (deployment['spec'].progressDeadlineSeconds === undefined) return deployment;
    const conditions = (deployment['status']?.conditions ?? []) as Condition[];
    const current = findCondition(conditions, 'Progressing');
    if (current?.reason === 'ProgressDeadlineExceeded') return deployment;
    const isPaused = current?.reason === 'DeploymentPaused';
    const paused = deployment['spec'].paused === true;
    if (paused === isPaused) return deployment;
    const condition = this.#condition(
      'Progressing',
      'Unknown',
      paused ? 'DeploymentPaused' : 'DeploymentResumed',
      paused ? 'Deployment is paused' : 'Deployment is resumed',
    );
    return this.#context.client.update(
      resources.deployments,
      { ...deployment, status: { ...deployment['status'], conditions: putCondition(conditions, condition) } },
      { subresource: 'status' },
    );
  }

  #condition(type: string, status: string, reason: string, message: string): Condition {
    const now = secondTime(this.#context.clock.now());
    return { type, status, lastUpdateTime: now, lastTransitionTime: now, reason, message };
  }

  /** The replica set of the current template, with its annotations brought up to date; made when missing and `create`. */
  async #newest(
    deployment: KubeObject,
    sets: readonly KubeObject[],
    create: boolean,
  ): Promise<KubeObject | undefined> {
    const { client, recorder } = this.#context;
    const existing = this.#find(deployment, sets);
    const revision = Math.max(0, ...this.#old(sets, existing).map(revisionOf)) + 1;
    if (existing) {
      const annotations = newReplicaSetAnnotations(
        deployment,
        existing.metadata.annotations ?? {},
        revision,
        false,
      );
      const minReadySeconds = deployment['spec'].minReadySeconds as number | undefined;
      if (
        canonical(annotations) !== canonical(existing.metadata.annotations ?? {}) ||
        (existing['spec'].minReadySeconds ?? 0) !== (minReadySeconds ?? 0)
      ) {
        return client.update(resources.replicaSets, {
          ...existing,
          metadata: { ...existing.metadata, annotations },
          spec: { ...existing['spec'], ...(minReadySeconds === undefined ? {} : { minReadySeconds }) },
        });
      }
      await this.#setRevision(deployment, annotations[revisionAnnotation] ?? '', existing, false);
      return existing;
    }
    if (!create) return undefined;
    const hash = templateHash(
      deployment['spec'].template,
      deployment['status']?.collisionCount as number | undefined,
    );
    const template = structuredClone(deployment['spec'].template);
    template.metadata = { ...template.metadata, labels: { ...template.metadata?.labels, [hashLabel]: hash } };
    const replicas = newSetReplicas(deployment, sets, undefined);
    const maxSurge = rollingLimits(deployment).maxSurge;
    const wanted: KubeObject = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${deployment.metadata.name}-${hash}`,
        namespace: deployment.metadata.namespace ?? '',
        labels: template.metadata.labels,
        ownerReferences: [newControllerRef(deployment, kind)],
        annotations: {
          ...newReplicaSetAnnotations(deployment, {}, revision, true),
          [desiredReplicasAnnotation]: String(replicasOf(deployment)),
          [maxReplicasAnnotation]: String(replicasOf(deployment) + maxSurge),
        },
      },
      spec: {
        replicas,
        ...(deployment['spec'].minReadySeconds === undefined
          ? {}
          : { minReadySeconds: deployment['spec'].minReadySeconds }),
        selector: {
          ...deployment['spec'].selector,
          matchLabels: { ...deployment['spec'].selector.matchLabels, [hashLabel]: hash },
        },
        template,
      },
    };
    let created: KubeObject;
    let fresh = true;
    try {
      created = await client.create(resources.replicaSets, wanted);
    } catch (error) {
      if (hasReason(error, 'AlreadyExists')) {
        const found = await client.get(resources.replicaSets, wanted.metadata.name ?? '', {
          namespace: deployment.metadata.namespace ?? '',
        });
        if (
          controllerOf(found)?.uid !== deployment.metadata.uid ||
          templateText(found['spec'].template) !== templateText(deployment['spec'].template)
        ) {
          // Two templates with one hash: remember the collision, and the next pass makes another name.
          await client.update(
            resources.deployments,
            {
              ...deployment,
              status: {
                ...deployment['status'],
                collisionCount: ((deployment['status']?.collisionCount as number | undefined) ?? 0) + 1,
              },
            },
            { subresource: 'status' },
          );
          throw error;
        }
        created = found;
        fresh = false;
      } else {
        const conditions = (deployment['status']?.conditions ?? []) as Condition[];
        const failed = this.#condition(
          'Progressing',
          'False',
          'ReplicaSetCreateError',
          `Failed to create new replica set "${wanted.metadata.name}": ${(error as Error).message}`,
        );
        await client
          .update(
            resources.deployments,
            {
              ...deployment,
              status: { ...deployment['status'], conditions: putCondition(conditions, failed) },
            },
            { subresource: 'status' },
          )
          .catch(() => undefined);
        throw error;
      }
    }
    if (fresh && replicas > 0) {
      recorder.event(
        deployment,
        'Normal',
        'ScalingReplicaSet',
        `Scaled up replica set ${created.metadata.name} from 0 to ${replicas}`,
      );
    }
    await this.#setRevision(deployment, String(revision), created, fresh);
    return created;
  }

  /** Writes the revision to the Deployment, and the condition that tells how the newest replica set came about. Mutates `deployment` to what was stored. */
  async #setRevision(
    deployment: KubeObject,
    revision: string,
    newest: KubeObject,
    created: boolean,
  ): Promise<void> {
    const conditions = (deployment['status']?.conditions ?? []) as Condition[];
    let next = conditions;
    if (deployment['spec'].progressDeadlineSeconds !== undefined) {
      if (created)
        next = putCondition(
          conditions,
          this.#condition(
            'Progressing',
            'True',
            'NewReplicaSetCreated',
            `Created new replica set "${newest.metadata.name}"`,
          ),
        );
      else if (!findCondition(conditions, 'Progressing')) {
        next = putCondition(
          conditions,
          this.#condition(
            'Progressing',
            'True',
            'FoundNewReplicaSet',
            `Found new replica set "${newest.metadata.name}"`,
          ),
        );
      }
    }
    if (deployment.metadata.annotations?.[revisionAnnotation] === revision && next === conditions) return;
    const stored = await this.#context.client.update(
      resources.deployments,
      {
        ...deployment,
        metadata: {
          ...deployment.metadata,
          annotations: { ...deployment.metadata.annotations, [revisionAnnotation]: revision },
        },
        status: { ...deployment['status'], ...(next.length === 0 ? {} : { conditions: next }) },
      },
      { subresource: 'status' },
    );
    Object.assign(deployment, stored);
  }

  async #roll(deployment: KubeObject, sets: readonly KubeObject[]): Promise<ReconcileResult | void> {
    const newest = (await this.#newest(deployment, sets, true)) as KubeObject;
    const old = this.#old(sets, newest);
    const all = [...old, newest];
    const wanted = replicasOf(deployment);
    const size = replicasOf(newest);
    if (size > wanted) {
      await this.#scaler.scaleSet(deployment, newest, wanted);
      return this.#writeStatus(deployment, all, newest);
    }
    const next = size === wanted ? size : newSetReplicas(deployment, all, newest);
    if (next !== size) {
      await this.#scaler.scaleSet(deployment, newest, next);
      return this.#writeStatus(deployment, all, newest);
    }
    if (await this.#scaler.scaleDownOld(deployment, old, newest))
      return this.#writeStatus(deployment, all, newest);
    if (isComplete(deployment, deployment['status'] ?? {})) await this.#cleanUp(deployment, old);
    return this.#writeStatus(deployment, all, newest);
  }

  async #recreate(deployment: KubeObject, sets: readonly KubeObject[]): Promise<ReconcileResult | void> {
    let newest = await this.#newest(deployment, sets, false);
    const old = this.#old(sets, newest);
    let scaled = false;
    for (const set of old) {
      if (replicasOf(set) === 0) continue;
      await this.#scaler.scaleSet(deployment, set, 0);
      scaled = true;
    }
    const oldUids = new Set(old.map((set) => set.metadata.uid));
    const oldRuns = this.#pods.lister
      .list(deployment.metadata.namespace)
      .some((pod) => oldUids.has(controllerOf(pod)?.uid) && !isPodTerminal(pod));
    if (scaled || oldRuns) return this.#writeStatus(deployment, this.#with(sets, newest), newest);
    newest ??= (await this.#newest(deployment, sets, true)) as KubeObject;
    if (replicasOf(newest) !== replicasOf(deployment))
      newest = await this.#scaler.scaleSet(deployment, newest, replicasOf(deployment));
    if (isComplete(deployment, deployment['status'] ?? {})) await this.#cleanUp(deployment, old);
    return this.#writeStatus(deployment, this.#with(sets, newest), newest);
  }

  /** Old replica sets beyond the history limit, oldest revision first. */
  async #cleanUp(deployment: KubeObject, old: readonly KubeObject[]): Promise<void> {
    const limit = deployment['spec'].revisionHistoryLimit as number | undefined;
    if (limit === undefined) return;
    const alive = old
      .filter((set) => set.metadata.deletionTimestamp === undefined)
      .sort((a, b) => revisionOf(a) - revisionOf(b) || byCreation(a, b));
    for (const set of alive.slice(0, Math.max(0, alive.length - limit))) {
      const busy =
        statusNumber(set, 'replicas') !== 0 ||
        replicasOf(set) !== 0 ||
        (set.metadata.generation ?? 0) > statusNumber(set, 'observedGeneration');
      if (busy) continue;
      await this.#context.client
        .delete(resources.replicaSets, set.metadata.name ?? '', { namespace: set.metadata.namespace ?? '' })
        .catch((error: unknown) => {
          if (!hasReason(error, 'NotFound')) throw error;
        });
    }
  }

  async #writeStatus(
    deployment: KubeObject,
    all: readonly KubeObject[],
    newest: KubeObject | undefined,
  ): Promise<ReconcileResult | void> {
    const { client, clock } = this.#context;
    const nowMs = clock.now();
    const now = secondTime(nowMs);
    const status = deploymentStatus(deployment, all, newest, now);
    const old = (deployment['status'] ?? {}) as Record<string, unknown>;
    let conditions = (status['conditions'] as Condition[]).filter((each) => each.type !== 'ReplicaFailure');
    const hasDeadline = deployment['spec'].progressDeadlineSeconds !== undefined;
    const current = findCondition(conditions, 'Progressing');
    if (!hasDeadline) conditions = conditions.filter((each) => each.type !== 'Progressing');
    else if (
      !(status['replicas'] === status['updatedReplicas'] && current?.reason === 'NewReplicaSetAvailable') &&
      deployment.metadata.deletionTimestamp === undefined
    ) {
      const what = newest
        ? `ReplicaSet "${newest.metadata.name}"`
        : `Deployment "${deployment.metadata.name}"`;
      if (isComplete(deployment, status)) {
        conditions = putCondition(
          conditions,
          this.#condition(
            'Progressing',
            'True',
            'NewReplicaSetAvailable',
            `${what} has successfully progressed.`,
          ),
        );
      } else if (isProgressing(old, status)) {
        const made = this.#condition('Progressing', 'True', 'ReplicaSetUpdated', `${what} is progressing.`);
        if (current?.status === 'True' && current.lastTransitionTime !== undefined)
          made.lastTransitionTime = current.lastTransitionTime;
        conditions = [...conditions.filter((each) => each.type !== 'Progressing'), made];
      } else if (timeout(deployment, status, nowMs) <= 0) {
        conditions = putCondition(
          conditions,
          this.#condition(
            'Progressing',
            'False',
            'ProgressDeadlineExceeded',
            `${what} has timed out progressing.`,
          ),
        );
      }
    }
    const failure = all.flatMap((set) =>
      ((set['status']?.conditions ?? []) as Condition[]).filter((each) => each.type === 'ReplicaFailure'),
    )[0];
    if (failure)
      conditions = putCondition(conditions, {
        ...failure,
        lastUpdateTime: now,
        lastTransitionTime: failure.lastTransitionTime ?? now,
      });
    const next: Record<string, unknown> = { ...status, conditions };
    if (conditions.length === 0) delete next['conditions'];
    if (canonical(next) !== canonical(old))
      await client.update(resources.deployments, { ...deployment, status: next }, { subresource: 'status' });
    const leftMs = hasDeadline && !isComplete(deployment, next) ? timeout(deployment, next, nowMs) : Infinity;
    return Number.isFinite(leftMs) && leftMs > 0 ? { requeueAfterMs: leftMs + 1000 } : undefined;
  }
}

/** Puts a condition unless one with the same status and reason is there; the transition time stays while the status does. */
function putCondition(conditions: readonly Condition[], condition: Condition): Condition[] {
  const current = findCondition(conditions, condition.type);
  if (current?.status === condition.status && current.reason === condition.reason)
    return conditions as Condition[];
  const made =
    current?.status === condition.status && current.lastTransitionTime !== undefined
      ? { ...condition, lastTransitionTime: current.lastTransitionTime }
      : condition;
  return [...conditions.filter((each) => each.type !== condition.type), made];
}

export const createDeploymentController: ControllerFactory = (context) =>
  new DeploymentController(context).loop;
