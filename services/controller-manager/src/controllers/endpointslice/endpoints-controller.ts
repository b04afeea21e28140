import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller, objectKey } from '@pilothouse/client';
import { isNamespaceTerminating } from '../../common/pod-control.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { followSelectedPods } from './followed-objects.ts';
import { inheritedLabels, isHeadless, podEndpoints, targetRef } from './pod-endpoints.ts';

interface EndpointAddress {
  ip: string;
  [field: string]: unknown;
}

interface Subset {
  addresses?: EndpointAddress[];
  notReadyAddresses?: EndpointAddress[];
  ports?: unknown[];
}

/** Subsets as the old API packs them: endpoints with the same set of ports stand together, a port by port view. */
export function endpointSubsets(service: KubeObject, pods: readonly KubeObject[]): Subset[] {
  const subsets = new Map<string, Required<Subset>>();
  const put = (ports: unknown[], address: EndpointAddress, ready: boolean): void => {
    const key = canonical(ports);
    let subset = subsets.get(key);
    if (!subset) subsets.set(key, (subset = { addresses: [], notReadyAddresses: [], ports }));
    (ready ? subset.addresses : subset.notReadyAddresses).push(address);
  };
  for (const endpoint of podEndpoints(service, pods, 'IPv4')) {
    if (endpoint.terminating && service['spec'].publishNotReadyAddresses !== true) continue;
    const address: EndpointAddress = {
      ip: endpoint.addresses[0] as string,
      ...(endpoint.hostname === '' ? {} : { hostname: endpoint.hostname }),
      ...(endpoint.nodeName === '' ? {} : { nodeName: endpoint.nodeName }),
      targetRef: targetRef(endpoint.pod),
    };
    if ((service['spec'].ports ?? []).length === 0) {
      if (isHeadless(service)) put([], address, endpoint.ready);
      continue;
    }
    for (const { name, ...port } of endpoint.ports)
      put([{ ...(name === '' ? {} : { name }), ...port }], address, endpoint.ready);
  }
  return mergeByAddresses([...subsets.values()]);
}

/** Ports whose address lists are equal become one subset. */
function mergeByAddresses(subsets: readonly Required<Subset>[]): Subset[] {
  const merged = new Map<string, Required<Subset>>();
  for (const subset of subsets) {
    const key = canonical([subset.addresses, subset.notReadyAddresses]);
    const known = merged.get(key);
    if (known) known.ports.push(...subset.ports);
    else merged.set(key, { ...subset, ports: [...subset.ports] });
  }
  return [...merged.values()].map((subset) => ({
    ...(subset.addresses.length === 0 ? {} : { addresses: subset.addresses }),
    ...(subset.notReadyAddresses.length === 0 ? {} : { notReadyAddresses: subset.notReadyAddresses }),
    ...(subset.ports.length === 0 ? {} : { ports: subset.ports }),
  }));
}

/** Keeps the Endpoints object of services with a selector, for clients that do not know slices. */
export const createEndpointsController: ControllerFactory = (context) => {
  const { client } = context;
  const services = context.informers.informer(resources.services);
  const pods = context.informers.informer(resources.pods);
  const endpoints = context.informers.informer(resources.endpoints);
  const loop = new Controller({ ...loopOptions(context), baseDelayMs: 50 }, async (key) => {
    const service = services.lister.getByKey(key);
    const existing = endpoints.lister.getByKey(key);
    if (!service) {
      if (!existing) return;
      // Endpoints belong to the service of their name.
      await client
        .delete(resources.endpoints, existing.metadata.name ?? '', {
          namespace: existing.metadata.namespace ?? '',
        })
        .catch((error: unknown) => {
          if (!hasReason(error, 'NotFound')) throw error;
        });
      return;
    }
    if (
      service['spec'].selector === undefined ||
      service['spec'].type === 'ExternalName' ||
      service.metadata.deletionTimestamp !== undefined
    )
      return;
    const subsets = endpointSubsets(service, pods.lister.list(service.metadata.namespace));
    const labels = {
      ...inheritedLabels(service),
      'endpoints.kubernetes.io/managed-by': 'endpoint-controller',
    };
    try {
      if (!existing) {
        await client.create(resources.endpoints, {
          apiVersion: 'v1',
          kind: 'Endpoints',
          metadata: {
            name: service.metadata.name ?? '',
            namespace: service.metadata.namespace ?? '',
            labels,
          },
          ...(subsets.length === 0 ? {} : { subsets }),
        });
      } else if (
        canonical(existing['subsets'] ?? []) !== canonical(subsets) ||
        canonical(existing.metadata.labels ?? {}) !== canonical(labels)
      ) {
        const { subsets: _old, ...rest } = existing;
        await client.update(resources.endpoints, {
          ...rest,
          metadata: { ...existing.metadata, labels },
          ...(subsets.length === 0 ? {} : { subsets }),
        } as KubeObject);
      }
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
  });
  const enqueue = (service: KubeObject): void => loop.queue.add(objectKey(service));
  services.addHandler({ onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
  followSelectedPods(pods, services, enqueue);
  endpoints.addHandler({ onUpdate: enqueue, onDelete: enqueue });
  return loop;
};
