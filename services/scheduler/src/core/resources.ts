import type { KubeObject } from '@pilothouse/apimachinery';
import { quantityMilliValue, quantityValue } from '@pilothouse/apimachinery';

/** Amounts of a node or pod. `cpu` in thousandths, the rest in whole units (bytes, pieces). */
export interface Resources {
  cpu: number;
  memory: number;
  ephemeralStorage: number;
  /** Extended resources, huge pages, attachable volumes. */
  scalar: Map<string, number> | undefined;
}

export type QuantityMap = Readonly<Record<string, string | number>>;

/** What a container without requests counts when nodes are scored, so that such pods spread too. */
export const defaultScoreCpu = 100;
export const defaultScoreMemory = 200 * 1024 * 1024;

export function emptyResources(): Resources {
  return { cpu: 0, memory: 0, ephemeralStorage: 0, scalar: undefined };
}

export function parseResources(quantities: QuantityMap | undefined): Resources {
  const out = emptyResources();
  for (const name in quantities) {
    const quantity = quantities[name] as string;
    if (name === 'cpu') out.cpu = quantityMilliValue(quantity);
    else if (name === 'memory') out.memory = quantityValue(quantity);
    else if (name === 'ephemeral-storage') out.ephemeralStorage = quantityValue(quantity);
    else if (name !== 'pods') (out.scalar ??= new Map()).set(name, quantityValue(quantity));
  }
  return out;
}

export function addResources(into: Resources, more: Resources, sign = 1): void {
  into.cpu += sign * more.cpu;
  into.memory += sign * more.memory;
  into.ephemeralStorage += sign * more.ephemeralStorage;
  if (more.scalar !== undefined) {
    const scalar = (into.scalar ??= new Map());
    for (const [name, amount] of more.scalar) scalar.set(name, (scalar.get(name) ?? 0) + sign * amount);
  }
}

function raiseTo(into: Resources, floor: Resources): void {
  into.cpu = Math.max(into.cpu, floor.cpu);
  into.memory = Math.max(into.memory, floor.memory);
  into.ephemeralStorage = Math.max(into.ephemeralStorage, floor.ephemeralStorage);
  if (floor.scalar !== undefined) {
    const scalar = (into.scalar ??= new Map());
    for (const [name, amount] of floor.scalar) scalar.set(name, Math.max(scalar.get(name) ?? 0, amount));
  }
}

export function copyResources(resources: Resources): Resources {
  return { ...resources, scalar: resources.scalar === undefined ? undefined : new Map(resources.scalar) };
}

interface ContainerLike {
  readonly name?: string;
  readonly restartPolicy?: string;
  readonly resources?: { readonly requests?: QuantityMap };
}
interface ContainerStatusLike {
  readonly name?: string;
  readonly resources?: { readonly requests?: QuantityMap };
  readonly allocatedResources?: QuantityMap;
}
interface PodSpecLike {
  readonly containers?: readonly ContainerLike[];
  readonly initContainers?: readonly ContainerLike[];
  readonly overhead?: QuantityMap;
  readonly resources?: { readonly requests?: QuantityMap };
}

function containerRequests(
  container: ContainerLike,
  statuses: ReadonlyMap<string, ContainerStatusLike>,
  forScore: boolean,
): Resources {
  const requests = parseResources(container.resources?.requests);
  const status = statuses.get(container.name ?? '');
  // While a resize is under way the larger of wanted and granted counts.
  if (status?.resources?.requests !== undefined) raiseTo(requests, parseResources(status.resources.requests));
  if (status?.allocatedResources !== undefined) raiseTo(requests, parseResources(status.allocatedResources));
  if (forScore) {
    if (container.resources?.requests?.['cpu'] === undefined && requests.cpu === 0)
      requests.cpu = defaultScoreCpu;
    if (container.resources?.requests?.['memory'] === undefined && requests.memory === 0)
      requests.memory = defaultScoreMemory;
  }
  return requests;
}

/** What a pod takes of a node: containers, sidecars and init containers, pod-level requests, overhead. `forScore` fills in defaults. */
export function podRequests(pod: KubeObject, forScore = false): Resources {
  const spec = (pod['spec'] ?? {}) as PodSpecLike;
  const statuses = new Map<string, ContainerStatusLike>();
  const observed = (pod['status']?.containerStatuses ?? []) as readonly ContainerStatusLike[];
  for (const status of observed) statuses.set(status.name ?? '', status);
  const total = emptyResources();
  for (const container of spec.containers ?? [])
    addResources(total, containerRequests(container, statuses, forScore));
  const sidecars = emptyResources();
  const initPeak = emptyResources();
  for (const container of spec.initContainers ?? []) {
    const requests = containerRequests(container, statuses, forScore);
    if (container.restartPolicy === 'Always') {
      addResources(total, requests);
      addResources(sidecars, requests);
      raiseTo(initPeak, sidecars);
    } else {
      addResources(requests, sidecars);
      raiseTo(initPeak, requests);
    }
  }
  raiseTo(total, initPeak);
  const podLevel = spec.resources?.requests;
  if (podLevel !== undefined) {
    const stated = parseResources(podLevel);
    if (podLevel['cpu'] !== undefined) total.cpu = stated.cpu;
    if (podLevel['memory'] !== undefined) total.memory = stated.memory;
    for (const [name, amount] of stated.scalar ?? []) (total.scalar ??= new Map()).set(name, amount);
  }
  addResources(total, parseResources(spec.overhead));
  return total;
}
