import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';

/** The container that a request means; texts as upstream's. */
export function containerOf(pod: KubeObject, wanted: string): string {
  const names = (list: unknown): string[] => ((list ?? []) as { name: string }[]).map((each) => each.name);
  const spec = (pod['spec'] ?? {}) as Record<string, unknown>;
  const containers = names(spec['containers']);
  const inits = names(spec['initContainers']);
  const ephemeral = names(spec['ephemeralContainers']);
  const podName = pod.metadata.name ?? '';
  if (wanted !== '') {
    if ([...containers, ...inits, ...ephemeral].includes(wanted)) return wanted;
    throw statusErrors.badRequest(`container ${wanted} is not valid for pod ${podName}`);
  }
  if (containers.length === 1) return containers[0] as string;
  const all = [...inits, ...containers, ...ephemeral].join(' ');
  const text = `a container name must be specified for pod ${podName}, choose one of: [${all}]`;
  throw statusErrors.badRequest(text);
}
