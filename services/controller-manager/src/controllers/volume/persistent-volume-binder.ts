import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { ReconcileResult, ResourceRef } from '@pilothouse/client';
import { Controller, objectKey } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerContext, ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import {
  bindCompleted,
  boundByController,
  claimBoundTo,
  hasAnnotation,
  provisionedBy,
  unboundVolume,
  volumeBoundTo,
  withAnnotations,
} from './binding.ts';
import { findVolume, isVolumeFor, mismatch, storageClassOf } from './volume-matching.ts';

/** Claims that wait are looked at again, as upstream's resync does: their events tell that nothing has changed. */
const resyncMs = 15_000;
const selectedNode = 'volume.kubernetes.io/selected-node';

interface ClaimReport {
  readonly phase: 'Pending' | 'Bound' | 'Lost';
  readonly volume?: KubeObject;
  readonly event?: readonly [type: 'Normal' | 'Warning', reason: string, message: string];
}

/** Binds claims to volumes and follows what becomes of both. Keys are `claim:namespace/name` and `volume:name`, worked one at a time. */
class PersistentVolumeBinder {
  readonly #context: ControllerContext;
  readonly #volumes;
  readonly #claims;
  readonly #classes;
  readonly #pods;
  /** What was written and the caches may not show yet; without it one volume could be promised twice. */
  readonly #written = new Map<string, KubeObject>();
  readonly loop: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { informers } = context;
    this.#volumes = informers.informer(resources.persistentVolumes);
    this.#claims = informers.informer(resources.persistentVolumeClaims);
    this.#classes = informers.informer(resources.storageClasses);
    this.#pods = informers.informer(resources.pods);
    this.loop = new Controller({ ...loopOptions(context), workers: 1 }, (key) => {
      const [kind = '', rest = ''] = key.split(/:(.*)/s);
      return kind === 'claim' ? this.#syncClaim(rest) : this.#syncVolume(rest);
    });
    const claimKey = (claim: KubeObject): void => this.loop.queue.add(`claim:${objectKey(claim)}`);
    const volumeKey = (volume: KubeObject): void => this.loop.queue.add(`volume:${volume.metadata.name}`);
    const ofVolume = (volume: KubeObject): void => {
      const ref = volume['spec'].claimRef as { namespace?: string; name?: string } | undefined;
      if (ref) this.loop.queue.add(`claim:${ref.namespace}/${ref.name}`);
    };
    this.#claims.addHandler({
      onAdd: claimKey,
      onUpdate: claimKey,
      onDelete: (claim) => {
        this.#written.delete(`claim:${objectKey(claim)}`);
        if (claim['spec'].volumeName !== undefined)
          this.loop.queue.add(`volume:${claim['spec'].volumeName as string}`);
      },
    });
    this.#volumes.addHandler({
      onAdd: (volume) => {
        volumeKey(volume);
        ofVolume(volume);
      },
      onUpdate: (volume, old) => {
        volumeKey(volume);
        ofVolume(volume);
        if (volume['status']?.phase === 'Available' && old['status']?.phase !== 'Available')
          this.#wakeClaims(storageClassOf(volume));
      },
      onDelete: (volume) => {
        this.#written.delete(`volume:${volume.metadata.name}`);
        ofVolume(volume);
      },
    });
    this.#classes.addHandler({ onAdd: (each) => this.#wakeClaims(each.metadata.name ?? '') });
  }

  #wakeClaims(className: string): void {
    for (const claim of this.#claims.lister.list())
      if (claim['status']?.phase !== 'Bound' && storageClassOf(claim) === className)
        this.loop.queue.add(`claim:${objectKey(claim)}`);
  }

  #newest(kind: 'claim' | 'volume', cached: KubeObject): KubeObject {
    const key = `${kind}:${objectKey(cached)}`;
    const written = this.#written.get(key);
    if (!written) return cached;
    if (
      written.metadata.uid === cached.metadata.uid &&
      Number(written.metadata.resourceVersion) > Number(cached.metadata.resourceVersion)
    )
      return written;
    this.#written.delete(key);
    return cached;
  }

  #claim(key: string): KubeObject | undefined {
    const cached = this.#claims.lister.getByKey(key);
    return cached && this.#newest('claim', cached);
  }

  #volume(name: string): KubeObject | undefined {
    const cached = this.#volumes.lister.get(name);
    return cached && this.#newest('volume', cached);
  }

  async #write(
    kind: 'claim' | 'volume',
    ref: ResourceRef,
    object: KubeObject,
    subresource?: string,
  ): Promise<KubeObject> {
    const written = await this.#context.client.update(ref, object, {
      ...(subresource === undefined ? {} : { subresource }),
    });
    this.#written.set(`${kind}:${objectKey(written)}`, written);
    return written;
  }

  async #syncClaim(key: string): Promise<ReconcileResult | void> {
    const claim = this.#claim(key);
    if (!claim) return;
    if (hasAnnotation(claim, bindCompleted)) {
      await this.#syncBoundClaim(claim);
      return;
    }
    if ((claim['spec'].volumeName ?? '') !== '') {
      await this.#syncChosenVolume(claim, claim['spec'].volumeName as string);
      return;
    }
    const storageClass = this.#classes.lister.get(storageClassOf(claim));
    const delayed =
      storageClass?.['volumeBindingMode'] === 'WaitForFirstConsumer' && !hasAnnotation(claim, selectedNode);
    const volumes = this.#volumes.lister.list().map((each) => this.#newest('volume', each));
    const volume = findVolume(claim, volumes, storageClass?.['volumeBindingMode'] === 'WaitForFirstConsumer');
    if (volume) {
      await this.#bind(claim, volume);
      return;
    }
    if (delayed) this.#tellWaiting(claim);
    else if (storageClassOf(claim) !== '') await this.#provision(claim, storageClass);
    else
      this.#context.recorder.event(
        claim,
        'Normal',
        'FailedBinding',
        'no persistent volumes available for this claim and no storage class is set',
      );
    const fresh = this.#claim(key);
    if (fresh) await this.#report(fresh, { phase: 'Pending' });
    return { requeueAfterMs: resyncMs };
  }

  #tellWaiting(claim: KubeObject): void {
    const pod = this.#pods.lister
      .list(claim.metadata.namespace)
      .find(
        (each) =>
          (each['spec'].nodeName ?? '') === '' &&
          ((each['spec'].volumes ?? []) as { persistentVolumeClaim?: { claimName?: string } }[]).some(
            (volume) => volume.persistentVolumeClaim?.claimName === claim.metadata.name,
          ),
      );
    if (pod)
      this.#context.recorder.event(
        claim,
        'Normal',
        'WaitForPodScheduled',
        `waiting for pod ${pod.metadata.name} to be scheduled`,
      );
    else
      this.#context.recorder.event(
        claim,
        'Normal',
        'WaitForFirstConsumer',
        'waiting for first consumer to be created before binding',
      );
  }

  /** Volumes are made by whoever runs the class's provisioner; the claim is marked for it. */
  async #provision(claim: KubeObject, storageClass: KubeObject | undefined): Promise<void> {
    const { recorder } = this.#context;
    if (!storageClass) {
      recorder.event(
        claim,
        'Warning',
        'ProvisioningFailed',
        `storageclass.storage.k8s.io "${storageClassOf(claim)}" not found`,
      );
      return;
    }
    const provisioner = storageClass['provisioner'] as string;
    if (provisioner.startsWith('kubernetes.io/')) {
      recorder.event(claim, 'Warning', 'ProvisioningFailed', `no volume plugin matched name: ${provisioner}`);
      return;
    }
    const marks = {
      'volume.beta.kubernetes.io/storage-provisioner': provisioner,
      'volume.kubernetes.io/storage-provisioner': provisioner,
    };
    if (Object.keys(marks).some((name) => claim.metadata.annotations?.[name] !== provisioner))
      await this.#write('claim', resources.persistentVolumeClaims, withAnnotations(claim, marks));
    recorder.event(
      claim,
      'Normal',
      'ExternalProvisioning',
      `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
    );
  }

  async #syncChosenVolume(claim: KubeObject, name: string): Promise<void> {
    const volume = this.#volume(name);
    if (!volume) return this.#report(claim, { phase: 'Pending' });
    if (volume['spec'].claimRef === undefined) {
      const problem = mismatch(volume, claim);
      if (problem === undefined) return this.#bind(claim, volume);
      this.#context.recorder.event(
        claim,
        'Warning',
        'VolumeMismatch',
        `Cannot bind to requested volume "${name}": ${problem}`,
      );
      return this.#report(claim, { phase: 'Pending' });
    }
    if (isVolumeFor(volume, claim)) return this.#bind(claim, volume);
    if (hasAnnotation(claim, boundByController))
      throw new Error(
        `invalid binding of claim "${objectKey(claim)}" to volume "${name}": volume already claimed by "${volume['spec'].claimRef.namespace}/${volume['spec'].claimRef.name}"`,
      );
    return this.#report(claim, {
      phase: 'Pending',
      event: ['Warning', 'FailedBinding', `volume "${name}" already bound to a different claim.`],
    });
  }

  async #syncBoundClaim(claim: KubeObject): Promise<void> {
    const name = (claim['spec'].volumeName ?? '') as string;
    const lost = (reason: string, message: string): Promise<void> =>
      this.#report(claim, { phase: 'Lost', event: ['Warning', reason, message] });
    if (name === '')
      return lost(
        'ClaimLost',
        'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!',
      );
    const volume = this.#volume(name);
    if (!volume)
      return lost('ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
    const ref = volume['spec'].claimRef as { uid?: string } | undefined;
    if (ref === undefined || ref.uid === claim.metadata.uid) return this.#bind(claim, volume);
    return lost('ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly');
  }

  /** Four writes, each of which may be the last one that happened; the next sync goes on from there. */
  async #bind(claim: KubeObject, volume: KubeObject): Promise<void> {
    const boundVolume = volumeBoundTo(volume, claim);
    const freshVolume = boundVolume
      ? await this.#write('volume', resources.persistentVolumes, boundVolume)
      : volume;
    await this.#reportVolume(freshVolume, 'Bound');
    const boundClaim = claimBoundTo(claim, volume);
    const freshClaim = boundClaim
      ? await this.#write('claim', resources.persistentVolumeClaims, boundClaim)
      : claim;
    await this.#report(freshClaim, { phase: 'Bound', volume });
  }

  async #report(claim: KubeObject, { phase, volume, event }: ClaimReport): Promise<void> {
    const old = (claim['status'] ?? {}) as Record<string, unknown>;
    const { accessModes: _modes, capacity: _capacity, ...rest } = old;
    const status: Record<string, unknown> = { ...rest, phase };
    if (volume) {
      status['accessModes'] = volume['spec'].accessModes;
      // A bound claim's capacity belongs to whoever resizes it.
      status['capacity'] =
        old['phase'] === 'Bound' && old['capacity'] !== undefined
          ? old['capacity']
          : { storage: volume['spec'].capacity?.storage };
      const attributes = volume['spec'].volumeAttributesClassName as string | undefined;
      if (old['phase'] !== 'Bound' && attributes !== undefined)
        status['currentVolumeAttributesClassName'] = attributes;
    }
    if (canonical(status) === canonical(old)) return;
    const written = await this.#write(
      'claim',
      resources.persistentVolumeClaims,
      { ...claim, status },
      'status',
    );
    if (event) this.#context.recorder.event(written, ...event);
  }

  async #reportVolume(volume: KubeObject, phase: string, message?: string): Promise<KubeObject> {
    const old = (volume['status'] ?? {}) as { phase?: string; message?: string };
    if (old.phase === phase && old.message === message) return volume;
    const { message: _message, ...rest } = old;
    return this.#write(
      'volume',
      resources.persistentVolumes,
      { ...volume, status: { ...rest, phase, ...(message === undefined ? {} : { message }) } },
      'status',
    );
  }

  async #syncVolume(name: string): Promise<void> {
    const volume = this.#volume(name);
    if (!volume) return;
    const ref = volume['spec'].claimRef as { namespace: string; name: string; uid?: string } | undefined;
    if (ref === undefined || (ref.uid ?? '') === '') {
      await this.#reportVolume(volume, 'Available');
      return;
    }
    let claim = this.#claim(`${ref.namespace}/${ref.name}`);
    if (claim?.metadata.uid !== ref.uid) claim = await this.#liveClaim(ref);
    if (!claim) {
      await this.#release(volume);
      return;
    }
    const wanted = (claim['spec'].volumeName ?? '') as string;
    if (wanted === '') {
      this.loop.queue.add(`claim:${objectKey(claim)}`);
    } else if (wanted === name) await this.#reportVolume(volume, 'Bound');
    else if (
      hasAnnotation(volume, provisionedBy) &&
      volume['spec'].persistentVolumeReclaimPolicy === 'Delete'
    )
      await this.#release(volume);
    else {
      const freed = await this.#write('volume', resources.persistentVolumes, unboundVolume(volume));
      await this.#reportVolume(freed, 'Available');
    }
  }

  /** Data is at stake: that a claim is gone is asked of the API, not of a cache that may lag. */
  async #liveClaim(ref: { namespace: string; name: string; uid?: string }): Promise<KubeObject | undefined> {
    try {
      const claim = await this.#context.client.get(resources.persistentVolumeClaims, ref.name, {
        namespace: ref.namespace,
      });
      return claim.metadata.uid === ref.uid ? claim : undefined;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async #release(volume: KubeObject): Promise<void> {
    const phase = volume['status']?.phase as string | undefined;
    const released =
      phase === 'Released' || phase === 'Failed' ? volume : await this.#reportVolume(volume, 'Released');
    const policy = volume['spec'].persistentVolumeReclaimPolicy as string | undefined;
    // Provisioned volumes are deleted by their provisioner.
    if (policy === undefined || policy === 'Retain' || hasAnnotation(volume, provisionedBy)) return;
    if (phase === 'Failed') return;
    const [reason, message] =
      policy === 'Recycle'
        ? ['VolumeFailedRecycle', 'No recycler plugin found for the volume!']
        : ['VolumeFailedDelete', undeletable(volume)];
    const failed = await this.#reportVolume(released, 'Failed', message);
    this.#context.recorder.event(failed, 'Warning', reason as string, message as string);
  }
}

/** Why a volume that nobody provisioned cannot be deleted; upstream's words. */
function undeletable(volume: KubeObject): string {
  const path = volume['spec'].hostPath?.path as string | undefined;
  return path === undefined
    ? `error getting deleter volume plugin for volume "${volume.metadata.name}": no deletable volume plugin matched`
    : `host_path deleter only supports /tmp/.+ but received provided ${path}`;
}

export const createPersistentVolumeBinder: ControllerFactory = (context) =>
  new PersistentVolumeBinder(context).loop;
