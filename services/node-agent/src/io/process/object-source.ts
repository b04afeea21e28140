import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { RestClient } from '@pilothouse/client';
import type { PodSpec } from '../../core/pod-shape.ts';
import { containersOf } from '../../core/process/container-record.ts';

/** The objects that a pod refers to, as they were when asked for. */
export interface PodObjects {
  readonly configMaps: ReadonlyMap<string, KubeObject>;
  readonly secrets: ReadonlyMap<string, KubeObject>;
  readonly services: readonly KubeObject[];
  /** Keyed by audience and lifetime. */
  readonly tokens: ReadonlyMap<string, string>;
}

export const tokenKey = (audience: string, seconds: number): string => `${seconds}/${audience}`;

interface CachedToken {
  readonly token: string;
  readonly renewMs: number;
}

/** Reads what pods refer to through the API, as the node: it may read what its own pods name and nothing else. */
export class ObjectSource {
  readonly #client: RestClient;
  readonly #clock: Clock;
  readonly #tokens = new Map<string, Map<string, CachedToken>>();

  constructor(client: RestClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async read(pod: KubeObject, withServices: boolean): Promise<PodObjects> {
    const spec = pod['spec'] as PodSpec;
    const namespace = pod.metadata.namespace ?? '';
    const { configMaps, secrets, tokens } = references(spec);
    const get = async (resource: string, names: ReadonlySet<string>): Promise<Map<string, KubeObject>> => {
      const found = new Map<string, KubeObject>();
      for (const name of names) {
        try {
          found.set(
            name,
            await this.#client.get({ group: '', version: 'v1', resource }, name, { namespace }),
          );
        } catch (error) {
          if (!hasReason(error, 'NotFound') && !hasReason(error, 'Forbidden')) throw error;
        }
      }
      return found;
    };
    const services =
      withServices && spec.enableServiceLinks !== false
        ? (await this.#client.list({ group: '', version: 'v1', resource: 'services' }, { namespace })).items
        : [];
    const issued = new Map<string, string>();
    for (const { audience, seconds } of tokens)
      issued.set(tokenKey(audience, seconds), await this.#token(pod, spec, audience, seconds));
    return {
      configMaps: await get('configmaps', configMaps),
      secrets: await get('secrets', secrets),
      services,
      tokens: issued,
    };
  }

  forget(uid: string): void {
    this.#tokens.delete(uid);
  }

  /** A token bound to the pod, renewed when four fifths of its life are over. */
  async #token(pod: KubeObject, spec: PodSpec, audience: string, seconds: number): Promise<string> {
    const uid = pod.metadata.uid ?? '';
    const key = tokenKey(audience, seconds);
    const ofPod = this.#tokens.get(uid) ?? new Map<string, CachedToken>();
    this.#tokens.set(uid, ofPod);
    const nowMs = this.#clock.now();
    const cached = ofPod.get(key);
    if (cached && nowMs < cached.renewMs) return cached.token;
    const request: KubeObject = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: {},
      spec: {
        audiences: audience === '' ? [] : [audience],
        expirationSeconds: seconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name ?? '', uid },
      },
    };
    const answer = await this.#client.create(
      { group: '', version: 'v1', resource: 'serviceaccounts' },
      request,
      {
        namespace: pod.metadata.namespace ?? '',
        name: spec.serviceAccountName || 'default',
        subresource: 'token',
      },
    );
    const { token } = answer['status'] as { token: string };
    ofPod.set(key, { token, renewMs: nowMs + Math.min(seconds * 800, 86_400_000) });
    return token;
  }
}

/** Names of the ConfigMaps and Secrets, and the tokens, that a pod's containers and volumes use. */
export function references(spec: PodSpec): {
  configMaps: Set<string>;
  secrets: Set<string>;
  tokens: { audience: string; seconds: number }[];
} {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  const tokens: { audience: string; seconds: number }[] = [];
  const add = (set: Set<string>, name: string | undefined): void => {
    if (name !== undefined && name !== '') set.add(name);
  };
  for (const { container } of containersOf(spec)) {
    for (const source of container.envFrom ?? []) {
      add(configMaps, source.configMapRef?.name);
      add(secrets, source.secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add(configMaps, valueFrom?.configMapKeyRef?.name);
      add(secrets, valueFrom?.secretKeyRef?.name);
    }
  }
  for (const volume of spec.volumes ?? []) {
    add(configMaps, volume.configMap?.name);
    add(secrets, volume.secret?.secretName);
    for (const source of volume.projected?.sources ?? []) {
      add(configMaps, source.configMap?.name);
      add(secrets, source.secret?.name);
      if (source.serviceAccountToken)
        tokens.push({
          audience: source.serviceAccountToken.audience ?? '',
          seconds: source.serviceAccountToken.expirationSeconds ?? 3600,
        });
    }
  }
  return { configMaps, secrets, tokens };
}
