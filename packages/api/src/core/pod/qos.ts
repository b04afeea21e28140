import { quantityOf } from '../../validation/quantities.ts';
import type { Json } from '../../validation/values.ts';
import { isSet, list } from '../../validation/values.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const resourceNames = ['cpu', 'memory'];

/** The class of service that requests and limits ask for. */
export function qosClassOf(spec: Json): QosClass {
  const podLevel = spec['resources'] as Json | null | undefined;
  if (isSet(podLevel) && hasAny(podLevel)) return classOf([podLevel]);
  return classOf(
    [...list(spec['containers']), ...list(spec['initContainers'])].map(
      (each: Json) => (each['resources'] ?? {}) as Json,
    ),
  );
}

const hasAny = (resources: Json): boolean =>
  Object.keys((resources['limits'] ?? {}) as Json).length +
    Object.keys((resources['requests'] ?? {}) as Json).length >
  0;

function classOf(all: readonly Json[]): QosClass {
  const requests = new Map<string, bigint>();
  const limits = new Map<string, bigint>();
  let guaranteed = true;
  for (const resources of all) {
    add(requests, resources['requests']);
    const limited = add(limits, resources['limits']);
    if (!resourceNames.every((name) => limited.has(name))) guaranteed = false;
  }
  if (requests.size === 0 && limits.size === 0) return 'BestEffort';
  if (guaranteed) {
    for (const [name, amount] of requests) if (limits.get(name) !== amount) guaranteed = false;
    if (requests.size !== limits.size) guaranteed = false;
  }
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function add(sums: Map<string, bigint>, resources: Json | null | undefined): Set<string> {
  const seen = new Set<string>();
  for (const name of resourceNames) {
    const value: unknown = resources?.[name];
    if (!isSet(value)) continue;
    const { nano } = quantityOf(value);
    if (nano <= 0n) continue;
    seen.add(name);
    sums.set(name, (sums.get(name) ?? 0n) + nano);
  }
  return seen;
}
