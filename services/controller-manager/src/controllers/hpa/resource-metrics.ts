import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason, quantityMilliValue } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { RestClient } from '@pilothouse/client';

/** Use of one resource by one pod over the last window, in thousandths of its unit. */
export interface PodUsage {
  readonly milli: number;
  readonly atMs: number;
  readonly windowMs: number;
}

interface PodMetrics {
  metadata: { name?: string };
  timestamp?: string;
  window?: string;
  containers?: { name: string; usage?: Record<string, string> }[];
}

const secondsOf = (window: string | undefined): number =>
  [...(window ?? '').matchAll(/(\d+(?:\.\d+)?)(h|m|s)/g)].reduce(
    (total, [, amount, unit]) => total + Number(amount) * { h: 3600, m: 60, s: 1 }[unit as 'h' | 'm' | 's'],
    0,
  );

/**
 * What metrics.k8s.io knows of the pods' use of a resource; only of one container when given. Pods of which not every container
 * has the resource are left out. Errors have upstream's texts: people search for them.
 */
export async function podUsage(
  client: RestClient,
  namespace: string,
  selector: string,
  resource: string,
  container?: string,
): Promise<Map<string, PodUsage>> {
  let list: { items?: PodMetrics[] };
  try {
    list = await client.raw(
      'GET',
      `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`,
    );
  } catch (error) {
    const text = hasReason(error, 'NotFound')
      ? 'the server could not find the requested resource (get pods.metrics.k8s.io)'
      : errorMessage(error);
    throw new Error(
      `unable to get metrics for resource ${resource}: unable to fetch metrics from resource metrics API: ${text}`,
    );
  }
  if ((list.items ?? []).length === 0)
    throw new Error(
      `unable to get metrics for resource ${resource}: no metrics returned from resource metrics API`,
    );
  const usage = new Map<string, PodUsage>();
  for (const pod of list.items ?? []) {
    const containers = (pod.containers ?? []).filter(
      (each) => container === undefined || each.name === container,
    );
    const values = containers.map((each) => each.usage?.[resource]);
    if (values.length === 0 || values.includes(undefined)) continue;
    usage.set(pod.metadata.name ?? '', {
      milli: (values as string[]).reduce((total, each) => total + quantityMilliValue(each), 0),
      atMs: Date.parse(pod.timestamp ?? ''),
      windowMs: (secondsOf(pod.window) || 60) * 1000,
    });
  }
  return usage;
}

/** What the pod's containers ask for of a resource, in thousandths. Throws when one of them asks for nothing. */
export function podRequestMilli(pod: KubeObject, resource: string, container?: string): number {
  const sidecars = ((pod['spec'].initContainers ?? []) as KubeObject[]).filter(
    (each) => each['restartPolicy'] === 'Always',
  );
  let total = 0;
  for (const each of [...((pod['spec'].containers ?? []) as KubeObject[]), ...sidecars]) {
    if (container !== undefined && each['name'] !== container) continue;
    const request = each['resources']?.requests?.[resource] as string | undefined;
    if (request === undefined)
      throw new Error(
        `missing request for ${resource} in container ${each['name'] as string} of Pod ${pod.metadata.name}`,
      );
    total += quantityMilliValue(request);
  }
  return total;
}
