import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import { Controller, objectKey } from '@pilothouse/client';
import { isNamespaceTerminating } from '../../common/pod-control.ts';
import { isPodTerminal } from '../../common/pods.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

const claimNameAnnotation = 'resource.kubernetes.io/pod-claim-name';
const finalizer = 'resource.kubernetes.io/delete-protection';
const fieldManager = 'ResourceClaimController';

interface PodClaim {
  name: string;
  resourceClaimName?: string;
  resourceClaimTemplateName?: string;
}

interface ClaimStatus {
  name: string;
  resourceClaimName?: string;
}

interface Consumer {
  apiGroup?: string;
  resource: string;
  name: string;
  uid: string;
}

const templated = (pod: KubeObject): PodClaim[] =>
  ((pod['spec'].resourceClaims ?? []) as PodClaim[]).filter(
    (each) => each.resourceClaimTemplateName !== undefined,
  );

const isDone = (pod: KubeObject): boolean => isPodTerminal(pod);

/** Makes claims from pods' templates and gives back what no pod uses any more. Keys are `pod:…` and `claim:…`. */
class ResourceClaimController {
  readonly #context: ControllerContext;
  readonly #pods;
  readonly #claims;
  readonly #templates;
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { informers } = context;
    this.#pods = informers.informer(resources.pods);
    this.#claims = informers.informer(resources.resourceClaims);
    this.#templates = informers.informer(resources.resourceClaimTemplates);
    this.loop = new Controller(loopOptions(context), (key) => {
      const [kind = '', rest = ''] = key.split(/:(.*)/s);
      return kind === 'pod' ? this.#syncPod(rest) : this.#syncClaim(rest);
    });
    const podChanged = (pod: KubeObject): void => {
      if (((pod['spec'].resourceClaims ?? []) as unknown[]).length === 0) return;
      this.loop.queue.add(`pod:${objectKey(pod)}`);
      const names = [
        ...((pod['spec'].resourceClaims ?? []) as PodClaim[]).map((each) => each.resourceClaimName),
        ...((pod['status']?.resourceClaimStatuses ?? []) as ClaimStatus[]).map(
          (each) => each.resourceClaimName,
        ),
      ];
      for (const name of names)
        if (name !== undefined) this.loop.queue.add(`claim:${pod.metadata.namespace}/${name}`);
    };
    this.#pods.addHandler({ onAdd: podChanged, onUpdate: podChanged, onDelete: podChanged });
    const claimChanged = (claim: KubeObject): void => this.loop.queue.add(`claim:${objectKey(claim)}`);
    this.#claims.addHandler({
      onAdd: claimChanged,
      onUpdate: claimChanged,
      onDelete: (claim) => {
        const owner = claim.metadata.ownerReferences?.find((each) => each.kind === 'Pod');
        if (owner) this.loop.queue.add(`pod:${claim.metadata.namespace}/${owner.name}`);
      },
    });
    this.#templates.addHandler({
      onAdd: (template) => {
        for (const pod of this.#pods.lister.list(template.metadata.namespace))
          if (templated(pod).some((each) => each.resourceClaimTemplateName === template.metadata.name))
            this.loop.queue.add(`pod:${objectKey(pod)}`);
      },
    });
  }

  async #syncPod(key: string): Promise<void> {
    const { client, recorder } = this.#context;
    const pod = this.#pods.lister.getByKey(key);
    if (!pod || pod.metadata.deletionTimestamp !== undefined || isDone(pod)) return;
    const old = (pod['status']?.resourceClaimStatuses ?? []) as ClaimStatus[];
    const statuses: ClaimStatus[] = [];
    for (const podClaim of templated(pod)) {
      const known = old.find((each) => each.name === podClaim.name);
      // A claim that was made and deleted is not made again: the pod's devices are gone.
      if (known) {
        statuses.push(known);
        continue;
      }
      try {
        const claim = this.#existing(pod, podClaim) ?? (await this.#create(pod, podClaim));
        statuses.push({ name: podClaim.name, resourceClaimName: claim.metadata.name ?? '' });
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        recorder.event(
          pod,
          'Warning',
          'FailedResourceClaimCreation',
          `PodResourceClaim ${podClaim.name}: ${errorMessage(error)}`,
        );
        throw error;
      }
    }
    if (statuses.length === 0 || canonical(statuses) === canonical(old)) return;
    await client
      .patch(
        resources.pods,
        pod.metadata.name ?? '',
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
          status: { resourceClaimStatuses: statuses },
        },
        {
          type: 'apply',
          namespace: pod.metadata.namespace ?? '',
          subresource: 'status',
          fieldManager,
          force: true,
        },
      )
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound')) throw error;
      });
  }

  #existing(pod: KubeObject, podClaim: PodClaim): KubeObject | undefined {
    return this.#claims.lister
      .list(pod.metadata.namespace)
      .find(
        (claim) =>
          claim.metadata.annotations?.[claimNameAnnotation] === podClaim.name &&
          claim.metadata.ownerReferences?.some((each) => each.uid === pod.metadata.uid) === true,
      );
  }

  async #create(pod: KubeObject, podClaim: PodClaim): Promise<KubeObject> {
    const { client } = this.#context;
    const namespace = pod.metadata.namespace ?? '';
    const templateName = podClaim.resourceClaimTemplateName ?? '';
    const template = this.#templates.lister.get(templateName, namespace);
    if (!template)
      throw new Error(
        `resource claim template "${templateName}": resourceclaimtemplate.resource.k8s.io "${templateName}" not found`,
      );
    const { metadata, spec } = template['spec'] as {
      metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
      spec: object;
    };
    return client.create(resources.resourceClaims, {
      apiVersion: 'resource.k8s.io/v1',
      kind: 'ResourceClaim',
      metadata: {
        generateName: `${pod.metadata.name}-${podClaim.name}-`,
        namespace,
        ...(metadata?.labels === undefined ? {} : { labels: { ...metadata.labels } }),
        annotations: { ...metadata?.annotations, [claimNameAnnotation]: podClaim.name },
        // Without blockOwnerDeletion: the claim needs the pod to be gone before it can go.
        ownerReferences: [
          {
            apiVersion: 'v1',
            kind: 'Pod',
            name: pod.metadata.name ?? '',
            uid: pod.metadata.uid ?? '',
            controller: true,
          },
        ],
      },
      spec: structuredClone(spec),
    });
  }

  async #syncClaim(key: string): Promise<void> {
    const { client } = this.#context;
    const claim = this.#claims.lister.getByKey(key);
    if (!claim) return;
    const namespace = claim.metadata.namespace ?? '';
    const status = (claim['status'] ?? {}) as Record<string, unknown>;
    const consumers = (status['reservedFor'] ?? []) as Consumer[];
    const using: Consumer[] = [];
    for (const consumer of consumers) if (await this.#isUsing(namespace, consumer)) using.push(consumer);
    const finalizers = claim.metadata.finalizers ?? [];
    const free = using.length === 0 && finalizers.includes(finalizer) && status['allocation'] !== undefined;
    let latest = claim;
    if (using.length !== consumers.length || free) {
      const { reservedFor: _reserved, ...rest } = status;
      if (free) delete rest['allocation'];
      latest = await client.update(
        resources.resourceClaims,
        { ...claim, status: { ...rest, ...(using.length === 0 ? {} : { reservedFor: using }) } },
        { subresource: 'status' },
      );
    }
    if (using.length > 0) return;
    if (
      finalizers.includes(finalizer) &&
      (free || (latest.metadata.deletionTimestamp !== undefined && status['allocation'] === undefined))
    ) {
      const { finalizers: _old, ...metadata } = latest.metadata;
      const left = finalizers.filter((each) => each !== finalizer);
      latest = await client.update(resources.resourceClaims, {
        ...latest,
        metadata: { ...metadata, ...(left.length === 0 ? {} : { finalizers: left }) },
      });
    }
    await this.#deleteUnneeded(latest, namespace);
  }

  async #isUsing(namespace: string, consumer: Consumer): Promise<boolean> {
    if (consumer.resource !== 'pods' || (consumer.apiGroup ?? '') !== '') return true;
    let pod = this.#pods.lister.get(consumer.name, namespace);
    if (pod?.metadata.uid !== consumer.uid) {
      try {
        pod = await this.#context.client.get(resources.pods, consumer.name, { namespace });
      } catch (error) {
        if (hasReason(error, 'NotFound')) return false;
        throw error;
      }
    }
    return pod.metadata.uid === consumer.uid && !isDone(pod);
  }

  /** A generated claim goes as soon as its pod has ended; it need not wait for the pod's deletion. */
  async #deleteUnneeded(claim: KubeObject, namespace: string): Promise<void> {
    if (claim.metadata.deletionTimestamp !== undefined) return;
    const owner = claim.metadata.ownerReferences?.find((each) => each.controller === true);
    if (owner?.kind !== 'Pod' || claim.metadata.annotations?.[claimNameAnnotation] === undefined) return;
    const pod = this.#pods.lister.get(owner.name, namespace);
    if (pod?.metadata.uid !== owner.uid || !isDone(pod)) return;
    await this.#context.client
      .delete(resources.resourceClaims, claim.metadata.name ?? '', { namespace })
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound')) throw error;
      });
  }
}

export const createResourceClaimController: ControllerFactory = (context) =>
  new ResourceClaimController(context).loop;
