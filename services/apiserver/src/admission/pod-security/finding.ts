import { goQuote } from '@pilothouse/apimachinery';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Container, PodSpec } from '@pilothouse/api/quota';
import { allContainers } from '@pilothouse/api/quota';

/** What a check holds against a pod: `reason (detail)`. */
export interface Finding {
  readonly reason: string;
  readonly detail: string;
}

export interface PodView {
  readonly metadata: KubeObject['metadata'];
  readonly spec: PodSpec;
}

/** Undefined: the pod passes. */
export type Check = (pod: PodView) => Finding | undefined;

/** Names of the containers (init and ephemeral ones too) for which `isBad`. */
export function containersWhere(spec: PodSpec, isBad: (container: Container) => boolean): string[] {
  // Findings list init containers first, as the spec is walked.
  return allContainers(spec)
    .filter(isBad)
    .map((container) => container.name);
}

export function quoted(names: readonly string[]): string {
  return names.map((name) => goQuote(name)).join(', ');
}

export function plural(one: string, many: string, count: number): string {
  return count === 1 ? one : many;
}

/** `container "a"` or `containers "a", "b"`. */
export function containerText(names: readonly string[]): string {
  return `${plural('container', 'containers', names.length)} ${quoted(names)}`;
}
