import type { KubeObject } from '@pilothouse/apimachinery';
import { isPodReady, isPodTerminal } from '../../common/pods.ts';

export interface EndpointPort {
  name: string;
  protocol: string;
  port?: number;
  appProtocol?: string;
}

/** One pod as a service sees it. */
export interface PodEndpoint {
  readonly pod: KubeObject;
  readonly addresses: readonly string[];
  readonly ports: readonly EndpointPort[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly hostname: string;
  readonly nodeName: string;
}

interface ServicePort {
  name?: string;
  protocol?: string;
  port: number;
  targetPort?: number | string;
  appProtocol?: string;
}

export const isHeadless = (service: KubeObject): boolean => service['spec'].clusterIP === 'None';

export function selectsPod(service: KubeObject, pod: KubeObject): boolean {
  const selector = service['spec'].selector as Record<string, string> | undefined;
  return (
    selector !== undefined &&
    Object.entries(selector).every(([name, value]) => pod.metadata.labels?.[name] === value)
  );
}

/** The container port behind a service port; undefined when the pod has no port of that name. */
export function findPort(pod: KubeObject, port: ServicePort): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target === 0 ? port.port : target;
  const sidecars = ((pod['spec'].initContainers ?? []) as KubeObject[]).filter(
    (each) => each['restartPolicy'] === 'Always',
  );
  for (const container of [...(pod['spec'].containers as KubeObject[]), ...sidecars]) {
    for (const each of (container['ports'] ?? []) as {
      name?: string;
      protocol?: string;
      containerPort: number;
    }[]) {
      if (each.name === target && (each.protocol ?? 'TCP') === (port.protocol ?? 'TCP'))
        return each.containerPort;
    }
  }
  return undefined;
}

/** Ports of a service on one pod, sorted by name; ports that the pod does not have are left out. */
export function podPorts(service: KubeObject, pod: KubeObject): EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const each of (service['spec'].ports ?? []) as ServicePort[]) {
    const port = findPort(pod, each);
    if (port === undefined) continue;
    ports.push({
      name: each.name ?? '',
      protocol: each.protocol ?? 'TCP',
      port,
      ...(each.appProtocol === undefined ? {} : { appProtocol: each.appProtocol }),
    });
  }
  return ports.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Pods that belong to the service's endpoints: with an address, not finished. Terminating ones stay in and say so. */
export function podEndpoints(
  service: KubeObject,
  pods: readonly KubeObject[],
  family: 'IPv4' | 'IPv6',
): PodEndpoint[] {
  const endpoints: PodEndpoint[] = [];
  const publishNotReady = service['spec'].publishNotReadyAddresses === true;
  for (const pod of pods) {
    if (isPodTerminal(pod) || !selectsPod(service, pod)) continue;
    const ips = ((pod['status']?.podIPs ?? []) as { ip: string }[]).map((each) => each.ip);
    const addresses = ips.filter((ip) => ip.includes(':') === (family === 'IPv6')).slice(0, 1);
    if (addresses.length === 0) continue;
    const serving = isPodReady(pod);
    const terminating = pod.metadata.deletionTimestamp !== undefined;
    const spec = pod['spec'] as { hostname?: string; subdomain?: string; nodeName?: string };
    endpoints.push({
      pod,
      addresses,
      ports: podPorts(service, pod),
      ready: publishNotReady || (serving && !terminating),
      serving,
      terminating,
      hostname: spec.hostname !== undefined && spec.subdomain === service.metadata.name ? spec.hostname : '',
      nodeName: spec.nodeName ?? '',
    });
  }
  return endpoints.sort((a, b) => ((a.pod.metadata.name ?? '') < (b.pod.metadata.name ?? '') ? -1 : 1));
}

export function targetRef(pod: KubeObject): Record<string, string> {
  return {
    kind: 'Pod',
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name ?? '',
    uid: pod.metadata.uid ?? '',
  };
}

/** Labels that both endpoint objects take over from their service, without those they set themselves. */
export function inheritedLabels(service: KubeObject): Record<string, string> {
  const labels = { ...service.metadata.labels };
  for (const name of [
    'endpointslice.kubernetes.io/managed-by',
    'kubernetes.io/service-name',
    'endpoints.kubernetes.io/managed-by',
    'service.kubernetes.io/headless',
  ])
    delete labels[name];
  return { ...labels, ...(isHeadless(service) ? { 'service.kubernetes.io/headless': '' } : {}) };
}
