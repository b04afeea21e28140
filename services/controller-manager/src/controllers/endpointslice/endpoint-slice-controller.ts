import type { KubeObject } from '@pilothouse/apimachinery';
import { Controller, objectKey } from '@pilothouse/client';
import { newControllerRef } from '../../common/ownership.ts';
import { isNamespaceTerminating } from '../../common/pod-control.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { followSelectedPods, followSlices } from './followed-objects.ts';
import { inheritedLabels, podEndpoints, targetRef } from './pod-endpoints.ts';
import type { SliceEndpoint, SliceGroup } from './slice-reconciler.ts';
import { reconcileSlices } from './slice-reconciler.ts';
import { SliceTracker } from './slice-tracker.ts';

/** How soon to look again when the cache lags behind our own writes. */
const staleRetryMs = 50;
export const sliceManager = 'endpointslice-controller.k8s.io';

/** Keeps EndpointSlices of services with a selector. */
export const createEndpointSliceController: ControllerFactory = (context) => {
  const { client } = context;
  const services = context.informers.informer(resources.services);
  const pods = context.informers.informer(resources.pods);
  const nodes = context.informers.informer(resources.nodes);
  const slices = context.informers.informer(resources.endpointSlices, {
    labelSelector: `endpointslice.kubernetes.io/managed-by=${sliceManager}`,
  });
  const tracker = new SliceTracker(context.clock);
  const loop = new Controller({ ...loopOptions(context), baseDelayMs: 50 }, async (key) => {
    const service = services.lister.getByKey(key);
    if (
      !service ||
      service.metadata.deletionTimestamp !== undefined ||
      service['spec'].type === 'ExternalName' ||
      service['spec'].selector === undefined
    )
      return undefined;
    const namespace = service.metadata.namespace ?? '';
    const existing = slices.lister
      .list(namespace)
      .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === service.metadata.name);
    if (tracker.isStale(key, existing)) return { requeueAfterMs: staleRetryMs };
    const families = (service['spec'].ipFamilies ?? ['IPv4']) as ('IPv4' | 'IPv6')[];
    const groups = new Map<string, SliceGroup & { endpoints: SliceEndpoint[] }>();
    for (const family of families) {
      for (const endpoint of podEndpoints(service, pods.lister.list(namespace), family)) {
        const ports = endpoint.ports.length === 0 ? [] : endpoint.ports;
        const groupKey = canonical([family, ports]);
        let group = groups.get(groupKey);
        if (!group) groups.set(groupKey, (group = { addressType: family, ports, endpoints: [] }));
        const zone = nodes.lister.get(endpoint.nodeName)?.metadata.labels?.['topology.kubernetes.io/zone'];
        group.endpoints.push({
          addresses: endpoint.addresses,
          conditions: {
            ready: endpoint.ready,
            serving: endpoint.serving,
            terminating: endpoint.terminating,
          },
          ...(endpoint.hostname === '' ? {} : { hostname: endpoint.hostname }),
          targetRef: targetRef(endpoint.pod),
          ...(endpoint.nodeName === '' ? {} : { nodeName: endpoint.nodeName }),
          ...(zone === undefined ? {} : { zone }),
        });
      }
      // A service without pods still has one, empty slice per family: its consumers can tell "none" from "not known yet".
      if (![...groups.values()].some((group) => group.addressType === family))
        groups.set(family, { addressType: family, ports: [], endpoints: [] });
    }
    try {
      await reconcileSlices(
        client,
        {
          key,
          namespace,
          generateName: `${service.metadata.name}-`,
          labels: {
            ...inheritedLabels(service),
            'kubernetes.io/service-name': service.metadata.name ?? '',
            'endpointslice.kubernetes.io/managed-by': sliceManager,
          },
          annotations: {},
          ownerReferences: [newControllerRef(service, { apiVersion: 'v1', kind: 'Service' })],
        },
        existing,
        [...groups.values()],
        tracker,
      );
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
    return undefined;
  });
  const enqueue = (service: KubeObject): void => loop.queue.add(objectKey(service));
  services.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  followSelectedPods(pods, services, enqueue);
  followSlices(slices, tracker, loop);
  return loop;
};
