import type { KubeObject } from '@pilothouse/apimachinery';
import type { Container, PodSpec } from '@pilothouse/api/quota';
import { allContainers, podSpec } from '@pilothouse/api/quota';

/** What a check holds against a pod: `reason (detail)`. */
export interface Finding {
  readonly reason: string;
  readonly detail: string;
}

export interface PodView {
  readonly metadata: KubeObject['metadata'];
  readonly spec: PodSpec;
}

/** A pod, or the template of one. */
export function podView(pod: KubeObject): PodView {
  return { metadata: pod.metadata ?? {}, spec: podSpec({ ...pod, spec: { ...(pod['spec'] as object) } }) };
}

/** Undefined: the pod passes. */
export type Check = (pod: PodView) => Finding | undefined;

export type PodSecurityLevel = 'privileged' | 'baseline' | 'restricted';

/** What a check looks at as of a minor release, until a later one of the same id takes over. */
export interface VersionedCheck {
  readonly from: number;
  readonly check: Check;
  /** Ids of baseline checks that the restricted level leaves out for it. */
  readonly replaces?: readonly string[];
}

/** A check through the releases, oldest first. */
export interface PodSecurityCheck {
  readonly id: string;
  readonly versions: readonly [VersionedCheck, ...VersionedCheck[]];
}

/** Names of the containers (init and ephemeral ones too) for which `isBad`. */
export function containersWhere(spec: PodSpec, isBad: (container: Container) => boolean): string[] {
  // Findings list init containers first, as the spec is walked.
  return allContainers(spec)
    .filter(isBad)
    .map((container) => container.name);
}

/** Quotes around each; what is inside stays as it is, as upstream words it. */
export function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

export function plural(one: string, many: string, count: number): string {
  return count === 1 ? one : many;
}

/** `container "a"` or `containers "a", "b"`. */
export function containerText(names: readonly string[]): string {
  return `${plural('container', 'containers', names.length)} ${quoted(names)}`;
}

/** `pod and container "a"`: who sets something; empty when nobody does. */
export function settersText(pod: boolean, containers: readonly string[]): string {
  return [...(pod ? ['pod'] : []), ...(containers.length > 0 ? [containerText(containers)] : [])].join(
    ' and ',
  );
}

/** Whether a pod runs on Windows, where some Linux fields mean nothing. */
export function isWindows({ spec }: PodView): boolean {
  return (spec['os'] as { name?: string } | undefined)?.name === 'windows';
}

/** Whether root of the pod is another user on its host. */
export function hasOwnUsers({ spec }: PodView): boolean {
  return spec['hostUsers'] === false;
}

export const unless =
  (isSpared: (pod: PodView) => boolean, check: Check): Check =>
  (pod) =>
    isSpared(pod) ? undefined : check(pod);
