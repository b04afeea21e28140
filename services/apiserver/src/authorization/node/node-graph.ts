import type { KubeObject } from '@pilothouse/apimachinery';
import type { ObjectAccess, ObjectListener } from '../../security/object-access.ts';
import { resources } from '../../security/object-access.ts';
import { referencedObjects } from './pod-references.ts';

/** Kinds of which a node may read those that its pods need. */
export type GraphKind =
  | 'secret'
  | 'configmap'
  | 'pvc'
  | 'pv'
  | 'volumeattachment'
  | 'serviceaccount'
  | 'resourceclaim'
  | 'pod'
  | 'podcertificaterequest';

/**
 * Which objects which nodes need, through the pods bound to them, the volumes of their claims and attachments. Kept up to date by watching
 * pods, volumes and attachments; an object is needed by a node as long as one edge leads from it.
 */
export class NodeGraph {
  readonly #objects: ObjectAccess;
  /** Object key → source of the edge (a pod or attachment) → node. */
  readonly #edges = new Map<string, Map<string, string>>();
  readonly #bySource = new Map<string, string[]>();
  /** Claim key → keys of what its volume needs. */
  readonly #volumeOfClaim = new Map<string, { readonly volume: string; readonly keys: readonly string[] }>();
  /** Keys of a volume and its secrets → claim. */
  readonly #claimOfKey = new Map<string, Set<string>>();

  constructor(objects: ObjectAccess) {
    this.#objects = objects;
  }

  /** Begins to follow; resolves when the present objects are known. The returned function ends it. */
  async start(): Promise<() => void> {
    const ends: (() => void)[] = [];
    const waits: Promise<void>[] = [];
    const follow = (
      resource: (typeof resources)[keyof typeof resources],
      prefix: string,
      changed: ObjectListener['changed'],
    ): void => {
      waits.push(
        new Promise((resolve) => {
          ends.push(
            this.#objects.cached(resource).subscribe({
              reset: () => this.#forget(prefix),
              changed,
              synced: resolve,
            }),
          );
        }),
      );
    };
    follow(resources.pods, 'pod:', (type, pod) => this.#podChanged(type, pod));
    follow(resources.persistentVolumes, 'pv:', (type, volume) => this.#volumeChanged(type, volume));
    follow(resources.volumeAttachments, 'va:', (type, attachment) =>
      this.#attachmentChanged(type, attachment),
    );
    await Promise.all(waits);
    return () => ends.forEach((end) => end());
  }

  /** Whether something of node `nodeName` needs the object. */
  needs(nodeName: string, kind: GraphKind, namespace: string, name: string): boolean {
    const key = objectKey(kind, namespace, name);
    if (this.#hasEdge(key, nodeName)) return true;
    for (const claim of this.#claimOfKey.get(key) ?? []) if (this.#hasEdge(claim, nodeName)) return true;
    return false;
  }

  #hasEdge(key: string, nodeName: string): boolean {
    for (const node of this.#edges.get(key)?.values() ?? []) if (node === nodeName) return true;
    return false;
  }

  #podChanged(type: string, pod: KubeObject): void {
    const namespace = pod.metadata.namespace ?? '';
    const name = pod.metadata.name ?? '';
    const source = `pod:${namespace}/${name}`;
    this.#dropSource(source);
    const nodeName = (pod['spec']?.nodeName as string | undefined) ?? '';
    if (type === 'DELETED' || nodeName === '') return;
    const keys = [
      objectKey('pod', namespace, name),
      ...referencedObjects(pod).map((reference) => objectKey(reference.kind, namespace, reference.name)),
    ];
    this.#addSource(source, nodeName, keys);
  }

  #attachmentChanged(type: string, attachment: KubeObject): void {
    const name = attachment.metadata.name ?? '';
    const source = `va:${name}`;
    this.#dropSource(source);
    const nodeName = (attachment['spec']?.nodeName as string | undefined) ?? '';
    if (type === 'DELETED' || nodeName === '') return;
    this.#addSource(source, nodeName, [objectKey('volumeattachment', '', name)]);
  }

  #volumeChanged(type: string, volume: KubeObject): void {
    const name = volume.metadata.name ?? '';
    for (const [claim, entry] of this.#volumeOfClaim) if (entry.volume === name) this.#dropVolume(claim);
    const claimRef = volume['spec']?.claimRef as { namespace?: string; name?: string } | undefined;
    if (type === 'DELETED' || claimRef?.name === undefined) return;
    const claim = objectKey('pvc', claimRef.namespace ?? '', claimRef.name);
    const keys = [objectKey('pv', '', name), ...volumeSecrets(volume, claimRef.namespace ?? '')];
    this.#volumeOfClaim.set(claim, { volume: name, keys });
    for (const key of keys) {
      let claims = this.#claimOfKey.get(key);
      if (claims === undefined) this.#claimOfKey.set(key, (claims = new Set()));
      claims.add(claim);
    }
  }

  #dropVolume(claim: string): void {
    for (const key of this.#volumeOfClaim.get(claim)?.keys ?? []) {
      const claims = this.#claimOfKey.get(key);
      claims?.delete(claim);
      if (claims?.size === 0) this.#claimOfKey.delete(key);
    }
    this.#volumeOfClaim.delete(claim);
  }

  #addSource(source: string, nodeName: string, keys: readonly string[]): void {
    this.#bySource.set(source, [...keys]);
    for (const key of keys) {
      let edges = this.#edges.get(key);
      if (edges === undefined) this.#edges.set(key, (edges = new Map()));
      edges.set(source, nodeName);
    }
  }

  #dropSource(source: string): void {
    for (const key of this.#bySource.get(source) ?? []) {
      const edges = this.#edges.get(key);
      edges?.delete(source);
      if (edges?.size === 0) this.#edges.delete(key);
    }
    this.#bySource.delete(source);
  }

  #forget(prefix: string): void {
    if (prefix === 'pv:') for (const claim of [...this.#volumeOfClaim.keys()]) this.#dropVolume(claim);
    for (const source of [...this.#bySource.keys()]) if (source.startsWith(prefix)) this.#dropSource(source);
  }
}

function objectKey(kind: GraphKind, namespace: string, name: string): string {
  return `${kind}:${namespace}/${name}`;
}

/** Keys of the secrets that mounting a volume needs. */
function volumeSecrets(volume: KubeObject, claimNamespace: string): string[] {
  const keys: string[] = [];
  const spec = (volume['spec'] ?? {}) as Record<
    string,
    Record<string, { name?: string; namespace?: string }>
  >;
  for (const source of Object.values(spec)) {
    if (typeof source !== 'object' || source === null) continue;
    for (const [field, reference] of Object.entries(source)) {
      const isSecret = field === 'secretRef' || field.endsWith('SecretRef');
      if (isSecret && reference?.name !== undefined) {
        keys.push(objectKey('secret', reference.namespace ?? claimNamespace, reference.name));
      }
    }
  }
  const azure = spec['azureFile'] as unknown as { secretName?: string; secretNamespace?: string } | undefined;
  if (azure?.secretName !== undefined) {
    keys.push(objectKey('secret', azure.secretNamespace ?? claimNamespace, azure.secretName));
  }
  return keys;
}
