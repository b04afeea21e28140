import type { KubeObject, OwnerReference } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { EventRecorder, RestClient } from '@pilothouse/client';
import { resources } from './resources.ts';

interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string>; finalizers?: string[] };
  spec?: Record<string, unknown>;
}

/** A pod made from a template, owned by `owner`. */
export function podFromTemplate(
  template: PodTemplate,
  owner: KubeObject,
  ownerRef: OwnerReference,
  generateName?: string,
): KubeObject {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(generateName === undefined
        ? { generateName: `${owner.metadata.name}-` }
        : generateName === ''
          ? {}
          : { generateName }),
      ...(owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace }),
      ...(labels === undefined ? {} : { labels: { ...labels } }),
      ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
      ...(finalizers === undefined ? {} : { finalizers: [...finalizers] }),
      ownerReferences: [ownerRef],
    },
    spec: structuredClone(template.spec ?? {}),
  };
}

/** Creates and deletes pods for an owner and tells of it in events, as upstream's RealPodControl. */
export class PodControl {
  readonly #client: RestClient;
  readonly #recorder: EventRecorder;

  constructor(client: RestClient, recorder: EventRecorder) {
    this.#client = client;
    this.#recorder = recorder;
  }

  async create(pod: KubeObject, owner: KubeObject): Promise<KubeObject> {
    try {
      const created = await this.#client.create(resources.pods, pod, {
        namespace: owner.metadata.namespace ?? '',
      });
      this.#recorder.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`);
      return created;
    } catch (error) {
      // While the namespace goes away every creation fails; that is no news.
      if (!isNamespaceTerminating(error))
        this.#recorder.event(owner, 'Warning', 'FailedCreate', `Error creating: ${errorMessage(error)}`);
      throw error;
    }
  }

  /** A pod that is gone already is a success. */
  async delete(pod: KubeObject, owner: KubeObject): Promise<void> {
    const name = pod.metadata.name ?? '';
    try {
      await this.#client.delete(resources.pods, name, {
        namespace: pod.metadata.namespace ?? '',
        ...(pod.metadata.uid === undefined ? {} : { preconditions: { uid: pod.metadata.uid } }),
      });
      this.#recorder.event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
    } catch (error) {
      if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict')) return;
      this.#recorder.event(owner, 'Warning', 'FailedDelete', `Error deleting: ${errorMessage(error)}`);
      throw error;
    }
  }
}

export function isNamespaceTerminating(error: unknown): boolean {
  return hasReason(error, 'Forbidden') && /because it is being terminated/.test(errorMessage(error));
}

/**
 * Runs `work` `count` times in batches of 1, 2, 4 …: when the first fails (a quota, a broken template) the API is not asked a
 * thousand times in vain. Gives the number that succeeded and the first error.
 */
export async function slowStart(
  count: number,
  work: (index: number) => Promise<void>,
): Promise<{ succeeded: number; error: unknown }> {
  let succeeded = 0;
  let next = 0;
  for (let size = 1; next < count; size *= 2) {
    const batch = Math.min(size, count - next);
    const results = await Promise.allSettled(
      Array.from({ length: batch }, (_, offset) => work(next + offset)),
    );
    next += batch;
    succeeded += results.filter((each) => each.status === 'fulfilled').length;
    const failed = results.find((each) => each.status === 'rejected');
    if (failed) return { succeeded, error: failed.reason };
  }
  return { succeeded, error: undefined };
}
