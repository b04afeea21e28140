import type { KubeObject } from '@pilothouse/apimachinery';
import { parseQuantity } from '@pilothouse/apimachinery';
import type { Amounts } from '@pilothouse/api/quota';
import { addAmounts, scopesMatch, usageOf } from '@pilothouse/api/quota';
import type { Timer } from '@pilothouse/base';
import type { Informer, ResourceRef } from '@pilothouse/client';
import { Controller, objectKey } from '@pilothouse/client';
import { discoverResources } from '../../common/discovery.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory, ControlLoop } from '../../context.ts';
import { loopOptions } from '../../context.ts';

/** Resources whose own fields are counted, not only their number. */
const weighed: readonly ResourceRef[] = [
  resources.pods,
  resources.services,
  resources.persistentVolumeClaims,
];
/** Kinds with a plain name of their own in quotas. */
const counted: readonly ResourceRef[] = [
  resources.configMaps,
  resources.secrets,
  resources.replicationControllers,
  resources.resourceQuotas,
];

/**
 * Counts what each quota's namespace holds and writes it to the quota's status. Admission adds to the status as objects are created;
 * this controller brings it down again when they go, and repairs what a crash left between the two.
 */
class ResourceQuotaController implements ControlLoop {
  readonly #context: ControllerContext;
  readonly #quotas;
  readonly #watched = new Map<string, Informer>();
  readonly #loop: Controller;
  #timer: Timer | undefined;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#quotas = context.informers.informer(resources.resourceQuotas);
    this.#loop = new Controller(loopOptions(context), (key) => this.#sync(key));
    const enqueue = (quota: KubeObject): void => this.#loop.queue.add(objectKey(quota));
    this.#quotas.addHandler({
      onAdd: enqueue,
      // Admission writes the status for objects that are not stored yet: counting again at that moment would undo the charge.
      onUpdate: (quota) => {
        if (canonical(quota['spec']?.hard ?? {}) !== canonical(quota['status']?.hard ?? {})) enqueue(quota);
      },
    });
    for (const ref of [...weighed, ...counted]) this.#watch(ref);
  }

  start(): void {
    this.#loop.start();
    this.#timer = this.#context.clock.setInterval(() => {
      for (const quota of this.#quotas.lister.list()) this.#loop.queue.add(objectKey(quota));
    }, this.#context.settings.resourceQuotaSyncPeriodMs);
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#loop.stop();
  }

  #watch(ref: ResourceRef): Informer {
    const key = `${ref.group}/${ref.resource}`;
    let informer = this.#watched.get(key);
    if (informer) return informer;
    informer = this.#context.informers.informer(
      ref,
      weighed.includes(ref) || ref === resources.resourceQuotas ? {} : { metadataOnly: true },
    );
    this.#watched.set(key, informer);
    const changed = (object: KubeObject): void => {
      for (const quota of this.#quotas.lister.list(object.metadata.namespace))
        this.#loop.queue.addAfter(objectKey(quota), 20);
    };
    informer.addHandler({
      // New objects were charged by admission.
      onUpdate: (object, old) => {
        if (
          weighed.includes(ref) &&
          usageText(ref, object, this.#context.clock.now()) !== usageText(ref, old, this.#context.clock.now())
        )
          changed(object);
      },
      onDelete: changed,
    });
    return informer;
  }

  async #sync(key: string): Promise<void> {
    const quota = this.#quotas.lister.getByKey(key);
    if (!quota) return;
    const hard = (quota['spec']?.hard ?? {}) as Record<string, string>;
    const total: Amounts = new Map();
    for (const ref of await this.#refsFor(Object.keys(hard))) {
      const informer = this.#watch(ref);
      informer.start();
      await informer.waitForSync();
      for (const object of informer.lister.list(quota.metadata.namespace)) {
        if (scopesMatch(quota, ref.resource, object))
          addAmounts(total, usageOf(ref, object, this.#context.clock.now()));
      }
    }
    const used: Record<string, string> = {};
    for (const name of Object.keys(hard)) {
      const amount = total.get(name);
      used[name] = amount === undefined ? '0' : amount.toString();
    }
    const status = { hard, used };
    const old = (quota['status'] ?? {}) as { hard?: unknown; used?: Record<string, string> };
    if (canonical(old.hard ?? {}) === canonical(hard) && sameAmounts(old.used ?? {}, used)) return;
    await this.#context.client.update(
      resources.resourceQuotas,
      { ...quota, status },
      { subresource: 'status' },
    );
  }

  /** The resources whose objects a quota of these names needs to see. */
  async #refsFor(names: readonly string[]): Promise<ResourceRef[]> {
    const refs = new Map<string, ResourceRef>();
    const add = (ref: ResourceRef): void => void refs.set(`${ref.group}/${ref.resource}`, ref);
    for (const name of names) {
      if (name.startsWith('count/')) {
        const [resource = '', ...group] = name.slice('count/'.length).split('.');
        const known = [...weighed, ...counted].find(
          (each) => each.resource === resource && each.group === group.join('.'),
        );
        if (known) add(known);
        else {
          const { resources: found } = await discoverResources(this.#context.client);
          const match = found.find(
            (each) =>
              each.ref.resource === resource &&
              each.ref.group === group.join('.') &&
              each.verbs.includes('watch'),
          );
          if (match) add(match.ref);
        }
        continue;
      }
      const plain = counted.find((each) => each.resource === name);
      if (plain) add(plain);
      else if (name.startsWith('services')) add(resources.services);
      else if (
        name === 'persistentvolumeclaims' ||
        name === 'requests.storage' ||
        name.includes('.storageclass.storage.k8s.io/')
      )
        add(resources.persistentVolumeClaims);
      else add(resources.pods);
    }
    return [...refs.values()];
  }
}

function sameAmounts(
  left: Readonly<Record<string, string>>,
  right: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(right);
  return (
    names.length === Object.keys(left).length &&
    names.every(
      (name) =>
        left[name] !== undefined &&
        parseQuantity(left[name]).compare(parseQuantity(right[name] as string)) === 0,
    )
  );
}

function usageText(ref: ResourceRef, object: KubeObject, nowMs: number): string {
  return [...usageOf(ref, object, nowMs)].map(([name, amount]) => `${name}=${amount.toString()}`).join();
}

export const createResourceQuotaController: ControllerFactory = (context) =>
  new ResourceQuotaController(context);
