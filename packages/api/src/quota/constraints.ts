import type { KubeObject } from '@pilothouse/apimachinery';
import type { Container } from './pod-shape.ts';
import { podSpec } from './pod-shape.ts';

/** Quota resources that every container must then state. */
const required: readonly string[] = [
  'cpu',
  'limits.cpu',
  'limits.memory',
  'memory',
  'requests.cpu',
  'requests.memory',
];

/** `must specify requests.cpu for: c`; undefined when the containers of a pod state what `quotaResources` need. */
export function missingRequests(pod: KubeObject, quotaResources: readonly string[]): string | undefined {
  const spec = podSpec(pod);
  const wanted = required.filter((name) => quotaResources.includes(name));
  const missing: string[] = [];
  for (const name of wanted) {
    if (states(name, { name: '', resources: spec.resources ?? {} })) continue;
    const containers = [...spec.containers, ...(spec.initContainers ?? [])]
      .filter((container) => !states(name, container))
      .map((container) => container.name);
    if (containers.length > 0) missing.push(`${name} for: ${[...new Set(containers)].sort().join(',')}`);
  }
  return missing.length === 0 ? undefined : `must specify ${missing.join('; ')}`;
}

function states(quotaResource: string, container: Container): boolean {
  const isLimit = quotaResource.startsWith('limits.');
  const name = quotaResource.replace(/^(limits|requests)\./, '');
  const list = isLimit ? container.resources?.limits : container.resources?.requests;
  return list?.[name] !== undefined;
}
