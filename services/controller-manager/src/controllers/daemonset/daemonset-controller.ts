import type { KubeObject } from '@pilothouse/apimachinery';
import { labelSelectorOf } from '@pilothouse/apimachinery';
import type { ReconcileResult } from '@pilothouse/client';
import { Controller, objectKey } from '@pilothouse/client';
import type { Revisions } from '../../common/controller-revisions.ts';
import { hashLabels, syncRevisions, truncateRevisions } from '../../common/controller-revisions.ts';
import { Expectations } from '../../common/expectations.ts';
import { scaledValue } from '../../common/int-or-percent.ts';
import { claim, controllerOf, newControllerRef } from '../../common/ownership.ts';
import { isNamespaceTerminating, PodControl, podFromTemplate, slowStart } from '../../common/pod-control.ts';
import { isPodAvailable, isPodReady, podPhase, untilAvailableMs } from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { nodeFit, withDaemonTolerations } from './node-fit.ts';

const kind = { apiVersion: 'apps/v1', kind: 'DaemonSet' } as const;
const hashLabel = hashLabels.DaemonSet;
const generationAnnotation = 'deprecated.daemonset.template.generation';

/** The node a daemon pod is meant for: where it runs, or what its affinity names while it waits for the scheduler. */
function targetNode(pod: KubeObject): string {
  const bound = pod['spec'].nodeName as string | undefined;
  if (bound !== undefined && bound !== '') return bound;
  const terms = pod['spec'].affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
    ?.nodeSelectorTerms as { matchFields?: { key: string; values?: string[] }[] }[] | undefined;
  for (const term of terms ?? [])
    for (const field of term.matchFields ?? [])
      if (field.key === 'metadata.name') return field.values?.[0] ?? '';
  return '';
}

class DaemonSetController {
  readonly #context: ControllerContext;
  readonly #sets;
  readonly #pods;
  readonly #nodes;
  readonly #revisions;
  readonly #expectations: Expectations;
  readonly #control: PodControl;
  /** Failed daemon pods are replaced after a back-off per node, else a broken one would be made anew for ever. */
  readonly #backoff = new Map<string, { delayMs: number; untilMs: number }>();
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#expectations = new Expectations(context.clock);
    this.#control = new PodControl(context.client, context.recorder);
    this.#sets = context.informers.informer(resources.daemonSets);
    this.#pods = context.informers.informer(resources.pods);
    this.#nodes = context.informers.informer(resources.nodes);
    this.#revisions = context.informers.informer(resources.controllerRevisions);
    this.loop = new Controller(loopOptions(context), (key) => this.#sync(key));
    const enqueue = (set: KubeObject): void => this.loop.queue.add(objectKey(set));
    this.#sets.addHandler({
      onAdd: enqueue,
      onUpdate: enqueue,
      onDelete: (set) => this.#expectations.forget(objectKey(set)),
    });
    const podChanged = (pod: KubeObject, what: 'added' | 'changed' | 'deleted'): void => {
      const owner = controllerOf(pod);
      if (owner?.kind === 'DaemonSet') {
        const key = `${pod.metadata.namespace}/${owner.name}`;
        if (what === 'added' && pod.metadata.deletionTimestamp === undefined)
          this.#expectations.creationObserved(key);
        if (what === 'deleted' || pod.metadata.deletionTimestamp !== undefined)
          this.#expectations.deletionObserved(key, objectKey(pod));
        this.loop.queue.add(key);
      } else if (!owner && what !== 'deleted') {
        for (const set of this.#sets.lister.list(pod.metadata.namespace))
          if (labelSelectorOf(set['spec'].selector).matches(pod.metadata.labels ?? {})) enqueue(set);
      }
    };
    this.#pods.addHandler({
      onAdd: (pod) => podChanged(pod, 'added'),
      onUpdate: (pod, old) => {
        if (controllerOf(old)?.uid !== controllerOf(pod)?.uid) podChanged(old, 'changed');
        podChanged(pod, 'changed');
      },
      onDelete: (pod) => podChanged(pod, 'deleted'),
    });
    const all = (): void => this.#sets.lister.list().forEach(enqueue);
    this.#nodes.addHandler({
      onAdd: all,
      onUpdate: (node, old) => {
        if (
          canonical([node.metadata.labels, node['spec']?.taints, node['spec']?.unschedulable]) !==
          canonical([old.metadata.labels, old['spec']?.taints, old['spec']?.unschedulable])
        )
          all();
      },
      onDelete: all,
    });
    const revisionChanged = (revision: KubeObject): void => {
      const owner = controllerOf(revision);
      if (owner?.kind === 'DaemonSet') this.loop.queue.add(`${revision.metadata.namespace}/${owner.name}`);
    };
    this.#revisions.addHandler({ onDelete: revisionChanged });
  }

  async #sync(key: string): Promise<ReconcileResult | void> {
    const { client, clock } = this.#context;
    const set = this.#sets.lister.getByKey(key);
    if (!set) return;
    const claimOptions = { client, ownerRef: resources.daemonSets, selector: set['spec'].selector };
    const pods = await claim(set, kind, this.#pods.lister.list(set.metadata.namespace), {
      ...claimOptions,
      childRef: resources.pods,
    });
    if (set.metadata.deletionTimestamp !== undefined) return;
    const known = await claim(set, kind, this.#revisions.lister.list(set.metadata.namespace), {
      ...claimOptions,
      childRef: resources.controllerRevisions,
    });
    const revisions = await syncRevisions(
      client,
      set,
      kind,
      known,
      (set['status']?.collisionCount as number | undefined) ?? 0,
    );
    const hash = revisions.current.metadata.labels?.[hashLabel] ?? '';
    const nodes = this.#nodes.lister.list();
    const byNode = new Map<string, KubeObject[]>();
    for (const pod of pods) {
      const name = targetNode(pod);
      byNode.set(name, [...(byNode.get(name) ?? []), pod]);
    }
    let failure: unknown;
    let wakeMs: number | undefined;
    if (this.#expectations.satisfied(key)) {
      const managed = await this.#manage(key, set, nodes, byNode, hash);
      failure = managed.error;
      wakeMs = managed.wakeMs;
      if (
        failure === undefined &&
        this.#expectations.satisfied(key) &&
        set['spec'].updateStrategy?.type !== 'OnDelete'
      )
        await this.#rollingUpdate(key, set, nodes, byNode, hash);
    }
    const live = new Set(
      revisions.all
        .filter(
          (each) =>
            each === revisions.current ||
            pods.some((pod) => pod.metadata.labels?.[hashLabel] === each.metadata.labels?.[hashLabel]),
        )
        .map((each) => each.metadata.name ?? ''),
    );
    await truncateRevisions(
      client,
      revisions.all,
      live,
      (set['spec'].revisionHistoryLimit as number | undefined) ?? 10,
    );
    await this.#writeStatus(set, nodes, byNode, hash, revisions);
    if (failure !== undefined && !isNamespaceTerminating(failure)) throw failure;
    const minReady = (set['spec'].minReadySeconds as number | undefined) ?? 0;
    const waits = [...pods.map((pod) => untilAvailableMs(pod, minReady, clock.now())), wakeMs].filter(
      (each) => each !== undefined,
    );
    return waits.length > 0 ? { requeueAfterMs: Math.min(...waits) } : undefined;
  }

  async #manage(
    key: string,
    set: KubeObject,
    nodes: readonly KubeObject[],
    byNode: ReadonlyMap<string, KubeObject[]>,
    hash: string,
  ): Promise<{ error: unknown; wakeMs: number | undefined }> {
    const { clock } = this.#context;
    const missing: string[] = [];
    const surplus: KubeObject[] = [];
    let wakeMs: number | undefined;
    const surge = this.#limits(set, nodes).maxSurge > 0;
    for (const node of nodes) {
      const name = node.metadata.name ?? '';
      const there = byNode.get(name) ?? [];
      const fit = nodeFit(set['spec'].template, node);
      const alive: KubeObject[] = [];
      if (!fit.shouldContinue) {
        surplus.push(...there.filter((pod) => pod.metadata.deletionTimestamp === undefined));
        continue;
      }
      for (const pod of there) {
        if (pod.metadata.deletionTimestamp !== undefined) {
          // With surge the next pod does not wait for the old one to end.
          if (!surge) alive.push(pod);
        } else if (podPhase(pod) === 'Failed') {
          const backoffKey = `${set.metadata.uid}/${name}`;
          const now = clock.monotonic();
          const backoff = this.#backoff.get(backoffKey);
          if (backoff && now < backoff.untilMs) {
            wakeMs = Math.min(wakeMs ?? Infinity, backoff.untilMs - now);
            alive.push(pod);
            continue;
          }
          const delayMs = Math.min(900_000, (backoff?.delayMs ?? 500) * 2);
          this.#backoff.set(backoffKey, { delayMs, untilMs: now + delayMs });
          this.#context.recorder.event(
            set,
            'Warning',
            'FailedDaemonPod',
            `Found failed daemon pod ${pod.metadata.namespace}/${pod.metadata.name} on node ${name}, will try to kill it`,
          );
          surplus.push(pod);
        } else if (podPhase(pod) === 'Succeeded') {
          this.#context.recorder.event(
            set,
            'Normal',
            'SucceededDaemonPod',
            `Found succeeded daemon pod ${pod.metadata.namespace}/${pod.metadata.name} on node ${name}, will try to delete it`,
          );
          surplus.push(pod);
        } else alive.push(pod);
      }
      if (fit.shouldRun && alive.length === 0 && !surplus.some((pod) => there.includes(pod)))
        missing.push(name);
      if (alive.length > 1 && !surge) {
        const [, ...extra] = [...alive].sort(
          (a, b) =>
            Number(isPodReady(b)) - Number(isPodReady(a)) ||
            ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1),
        );
        surplus.push(...extra.filter((pod) => pod.metadata.deletionTimestamp === undefined));
      }
    }
    const error = await this.#write(key, set, missing, surplus, hash);
    return { error, wakeMs };
  }

  async #write(
    key: string,
    set: KubeObject,
    create: readonly string[],
    remove: readonly KubeObject[],
    hash: string,
  ): Promise<unknown> {
    let failure: unknown;
    if (create.length > 0) {
      this.#expectations.expectCreations(key, create.length);
      const ownerRef = newControllerRef(set, kind);
      const { succeeded, error } = await slowStart(create.length, async (index) => {
        await this.#control.create(this.#pod(set, ownerRef, create[index] as string, hash), set);
      });
      for (let count = create.length - succeeded; count > 0; count--)
        this.#expectations.creationObserved(key);
      failure = error;
    }
    this.#expectations.expectDeletions(key, remove.map(objectKey));
    for (const pod of remove) {
      try {
        await this.#control.delete(pod, set);
      } catch (error) {
        this.#expectations.deletionObserved(key, objectKey(pod));
        failure ??= error;
      }
    }
    return failure;
  }

  #pod(
    set: KubeObject,
    ownerRef: ReturnType<typeof newControllerRef>,
    nodeName: string,
    hash: string,
  ): KubeObject {
    const pod = podFromTemplate(set['spec'].template, set, ownerRef);
    const generation =
      set.metadata.annotations?.[generationAnnotation] ?? String(set['spec'].templateGeneration ?? '');
    pod.metadata.labels = {
      ...pod.metadata.labels,
      [hashLabel]: hash,
      ...(generation === '' ? {} : { 'pod-template-generation': generation }),
    };
    const spec = pod['spec'] as Record<string, unknown>;
    spec['tolerations'] = withDaemonTolerations(spec);
    const matchFields = [{ key: 'metadata.name', operator: 'In', values: [nodeName] }];
    const affinity = structuredClone(
      (spec['affinity'] ?? {}) as {
        nodeAffinity?: {
          requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms: Record<string, unknown>[] };
        };
      },
    );
    affinity.nodeAffinity ??= {};
    // The template's own terms have chosen the node already.
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {
      nodeSelectorTerms: [{ matchFields }],
    };
    spec['affinity'] = affinity;
    return pod;
  }

  #limits(
    set: KubeObject,
    nodes: readonly KubeObject[],
  ): { maxSurge: number; maxUnavailable: number; desired: number } {
    const desired = nodes.filter((node) => nodeFit(set['spec'].template, node).shouldRun).length;
    const update = set['spec'].updateStrategy?.rollingUpdate ?? {};
    if (set['spec'].updateStrategy?.type === 'OnDelete') return { maxSurge: 0, maxUnavailable: 0, desired };
    const maxSurge = scaledValue(update.maxSurge ?? 0, desired, 'up');
    let maxUnavailable = scaledValue(update.maxUnavailable ?? (maxSurge > 0 ? 0 : 1), desired, 'up');
    if (maxUnavailable === 0 && maxSurge === 0) maxUnavailable = 1;
    return { maxSurge, maxUnavailable, desired };
  }

  async #rollingUpdate(
    key: string,
    set: KubeObject,
    nodes: readonly KubeObject[],
    byNode: ReadonlyMap<string, KubeObject[]>,
    hash: string,
  ): Promise<void> {
    const { clock } = this.#context;
    const { maxSurge, maxUnavailable } = this.#limits(set, nodes);
    const minReady = (set['spec'].minReadySeconds as number | undefined) ?? 0;
    const isNew = (pod: KubeObject): boolean => pod.metadata.labels?.[hashLabel] === hash;
    const available = (pod: KubeObject): boolean => isPodAvailable(pod, minReady, clock.now());
    const create: string[] = [];
    const remove: KubeObject[] = [];
    let unavailable = 0;
    let surging = 0;
    const candidates: KubeObject[] = [];
    const free: KubeObject[] = [];
    for (const node of nodes) {
      if (!nodeFit(set['spec'].template, node).shouldRun) continue;
      const there = (byNode.get(node.metadata.name ?? '') ?? []).filter(
        (pod) => pod.metadata.deletionTimestamp === undefined,
      );
      const old = there.find((pod) => !isNew(pod));
      const fresh = there.find(isNew);
      if (maxSurge > 0) {
        if (old && fresh) {
          surging++;
          if (available(fresh)) remove.push(old);
        } else if (old) {
          if (available(old)) candidates.push(old);
          else free.push(old);
        }
        continue;
      }
      if (fresh) {
        if (!available(fresh)) unavailable++;
      } else if (old) {
        if (!available(old)) {
          free.push(old);
          unavailable++;
        } else candidates.push(old);
      } else unavailable++;
    }
    if (maxSurge > 0) {
      for (const pod of [...free, ...candidates].slice(0, Math.max(0, maxSurge - surging)))
        create.push(targetNode(pod));
    } else remove.push(...free, ...candidates.slice(0, Math.max(0, maxUnavailable - unavailable)));
    if (create.length > 0 || remove.length > 0) {
      const error = await this.#write(key, set, create, remove, hash);
      if (error !== undefined) throw error;
    }
  }

  async #writeStatus(
    set: KubeObject,
    nodes: readonly KubeObject[],
    byNode: ReadonlyMap<string, KubeObject[]>,
    hash: string,
    revisions: Revisions,
  ): Promise<void> {
    const { client, clock } = this.#context;
    const minReady = (set['spec'].minReadySeconds as number | undefined) ?? 0;
    const numbers = { desired: 0, current: 0, misscheduled: 0, ready: 0, updated: 0, available: 0 };
    for (const node of nodes) {
      const there = byNode.get(node.metadata.name ?? '') ?? [];
      const fit = nodeFit(set['spec'].template, node);
      // A pod that may stay is wanted, though a new one would not come here.
      if (fit.shouldRun || (fit.shouldContinue && there.length > 0)) {
        numbers.desired++;
        if (there.length === 0) continue;
        numbers.current++;
        const pod = [...there].sort((a, b) =>
          (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1,
        )[0] as KubeObject;
        if (isPodReady(pod)) {
          numbers.ready++;
          if (isPodAvailable(pod, minReady, clock.now())) numbers.available++;
        }
        if (pod.metadata.labels?.[hashLabel] === hash) numbers.updated++;
      } else if (there.length > 0) numbers.misscheduled++;
    }
    const unavailable = numbers.desired - numbers.available;
    const old = (set['status'] ?? {}) as Record<string, unknown>;
    const status: Record<string, unknown> = {
      currentNumberScheduled: numbers.current,
      numberMisscheduled: numbers.misscheduled,
      desiredNumberScheduled: numbers.desired,
      numberReady: numbers.ready,
      observedGeneration: set.metadata.generation ?? 0,
      ...(numbers.updated === 0 ? {} : { updatedNumberScheduled: numbers.updated }),
      ...(numbers.available === 0 ? {} : { numberAvailable: numbers.available }),
      ...(unavailable === 0 ? {} : { numberUnavailable: unavailable }),
      ...(revisions.collisionCount === 0 && old['collisionCount'] === undefined
        ? {}
        : { collisionCount: revisions.collisionCount }),
      ...(old['conditions'] === undefined ? {} : { conditions: old['conditions'] }),
    };
    if (canonical(status) !== canonical(old))
      await client.update(resources.daemonSets, { ...set, status }, { subresource: 'status' });
  }
}

export const createDaemonSetController: ControllerFactory = (context) =>
  new DaemonSetController(context).loop;
