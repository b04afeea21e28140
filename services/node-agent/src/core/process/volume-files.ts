import type { KubeObject } from '@pilothouse/apimachinery';
import type { DownwardFile, KeyToPath, ProjectedSource, Volume } from '../pod-shape.ts';
import { podField, resourceField } from './environment.ts';

export interface VolumeFile {
  /** Relative, with `/`; checked to stay inside the volume. */
  readonly path: string;
  readonly data: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
}

/** A volume cannot be made; the pod waits and an event says why. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
}

export interface VolumeInput {
  readonly pod: KubeObject;
  readonly podIp: string;
  readonly hostIp: string;
  readonly nodeName: string;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly configMap: (name: string) => KubeObject | undefined;
  readonly secret: (name: string) => KubeObject | undefined;
  /** Asks for a token; the answer comes from a cache that renews in time. */
  readonly token: (audience: string, expirationSeconds: number) => string | undefined;
}

/** Volumes whose content the agent writes. */
export const isWritten = (volume: Volume): boolean =>
  (volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected) !== undefined;

/** The files of such a volume. Throws VolumeError. */
export function volumeFiles(volume: Volume, input: VolumeInput): VolumeFile[] {
  if (volume.configMap) {
    const { name = '', items, optional, defaultMode = 0o644 } = volume.configMap;
    return mapFiles(
      'configmap',
      name,
      configMapData(input.configMap(name)),
      items,
      optional,
      defaultMode,
      input,
    );
  }
  if (volume.secret) {
    const { secretName = '', items, optional, defaultMode = 0o644 } = volume.secret;
    return mapFiles(
      'secret',
      secretName,
      secretData(input.secret(secretName)),
      items,
      optional,
      defaultMode,
      input,
    );
  }
  if (volume.downwardAPI)
    return downwardFiles(volume.downwardAPI.items, volume.downwardAPI.defaultMode ?? 0o644, input);
  const { sources = [], defaultMode = 0o644 } = volume.projected ?? {};
  return sources.flatMap((source) => projectedFiles(source, defaultMode, input));
}

function projectedFiles(source: ProjectedSource, mode: number, input: VolumeInput): VolumeFile[] {
  if (source.configMap) {
    const { name = '', items, optional } = source.configMap;
    return mapFiles('configmap', name, configMapData(input.configMap(name)), items, optional, mode, input);
  }
  if (source.secret) {
    const { name = '', items, optional } = source.secret;
    return mapFiles('secret', name, secretData(input.secret(name)), items, optional, mode, input);
  }
  if (source.downwardAPI) return downwardFiles(source.downwardAPI.items, mode, input);
  if (source.serviceAccountToken) {
    const { path, audience = '', expirationSeconds = 3600 } = source.serviceAccountToken;
    const token = input.token(audience, expirationSeconds);
    if (token === undefined) throw new VolumeError('failed to fetch token');
    return [{ path: safePath(path), data: Buffer.from(token), mode: 0o600 }];
  }
  return [];
}

/** Values of a ConfigMap, text and binary; undefined when there is no object. */
export function configMapData(object: KubeObject | undefined): Record<string, Buffer> | undefined {
  if (!object) return undefined;
  const data: Record<string, Buffer> = {};
  for (const [key, value] of Object.entries((object['data'] ?? {}) as Record<string, string>))
    data[key] = Buffer.from(value);
  for (const [key, value] of Object.entries((object['binaryData'] ?? {}) as Record<string, string>))
    data[key] = Buffer.from(value, 'base64');
  return data;
}

export function secretData(object: KubeObject | undefined): Record<string, Buffer> | undefined {
  if (!object) return undefined;
  const data: Record<string, Buffer> = {};
  for (const [key, value] of Object.entries((object['data'] ?? {}) as Record<string, string>))
    data[key] = Buffer.from(value, 'base64');
  return data;
}

function mapFiles(
  kind: string,
  name: string,
  data: Record<string, Buffer> | undefined,
  items: KeyToPath[] | undefined,
  optional: boolean | undefined,
  mode: number,
  input: VolumeInput,
): VolumeFile[] {
  if (!data) {
    if (optional === true) return [];
    throw new VolumeError(`${kind} "${name}" not found`);
  }
  if (!items || items.length === 0)
    return Object.entries(data).map(([key, value]) => ({ path: safePath(key), data: value, mode }));
  return items.flatMap((item) => {
    const value = data[item.key];
    if (value === undefined) {
      if (optional === true) return [];
      throw new VolumeError(
        `references non-existent ${kind === 'secret' ? 'secret' : 'config'} key: ${item.key} (pod ${input.pod.metadata.name})`,
      );
    }
    return [{ path: safePath(item.path), data: value, mode: item.mode ?? mode }];
  });
}

function downwardFiles(items: DownwardFile[] | undefined, mode: number, input: VolumeInput): VolumeFile[] {
  return (items ?? []).map((item) => {
    const text = item.fieldRef
      ? podField(input, item.fieldRef.fieldPath)
      : item.resourceFieldRef
        ? resourceField(input, item.resourceFieldRef)
        : '';
    return { path: safePath(item.path), data: Buffer.from(text), mode: item.mode ?? mode };
  });
}

/** Validation keeps such paths out already; the agent writes files as its own user and trusts nobody. */
export function safePath(path: string): string {
  const parts = path.split('/');
  if (path === '' || path.startsWith('/') || parts.includes('..') || path.includes('\0'))
    throw new VolumeError(`path "${path}" leaves the volume`);
  return parts.filter((part) => part !== '' && part !== '.').join('/');
}
