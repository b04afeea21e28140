import type { KubeObject } from '@pilothouse/apimachinery';
import { Controller, objectKey } from '@pilothouse/client';
import { newControllerRef } from '../../common/ownership.ts';
import { isNamespaceTerminating } from '../../common/pod-control.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { followSlices } from './followed-objects.ts';
import type { SliceEndpoint, SliceGroup } from './slice-reconciler.ts';
import { reconcileSlices } from './slice-reconciler.ts';
import { SliceTracker } from './slice-tracker.ts';

/** How soon to look again when the cache lags behind our own writes. */
const staleRetryMs = 50;
const manager = 'endpointslicemirroring-controller.k8s.io';
const notMirrored = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'endpoints.kubernetes.io/last-change-trigger-time',
  'control-plane.alpha.kubernetes.io/leader',
]);

interface Address {
  ip: string;
  hostname?: string;
  nodeName?: string;
  targetRef?: unknown;
}

/** Keeps slices for Endpoints that somebody else writes: those of services without a selector. */
export const createEndpointSliceMirroringController: ControllerFactory = (context) => {
  const { client } = context;
  const services = context.informers.informer(resources.services);
  const endpoints = context.informers.informer(resources.endpoints);
  const slices = context.informers.informer(resources.endpointSlices, {
    labelSelector: `endpointslice.kubernetes.io/managed-by=${manager}`,
  });
  const tracker = new SliceTracker(context.clock);
  const loop = new Controller({ ...loopOptions(context), baseDelayMs: 50 }, async (key) => {
    const source = endpoints.lister.getByKey(key);
    const service = services.lister.getByKey(key);
    const [namespace = '', name = ''] = key.split('/');
    const existing = slices.lister
      .list(namespace)
      .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === name);
    if (tracker.isStale(key, existing)) return { requeueAfterMs: staleRetryMs };
    const mirrored =
      source !== undefined &&
      service !== undefined &&
      service['spec'].selector === undefined &&
      source.metadata.deletionTimestamp === undefined &&
      source.metadata.labels?.['endpointslice.kubernetes.io/skip-mirror'] !== 'true' &&
      source.metadata.annotations?.['control-plane.alpha.kubernetes.io/leader'] === undefined;
    const groups = new Map<string, SliceGroup & { endpoints: SliceEndpoint[] }>();
    if (mirrored) {
      for (const subset of (source['subsets'] ?? []) as {
        addresses?: Address[];
        notReadyAddresses?: Address[];
        ports?: Record<string, unknown>[];
      }[]) {
        const ports = (subset.ports ?? []).map((port) => ({
          name: port['name'] ?? '',
          protocol: port['protocol'] ?? 'TCP',
          port: port['port'],
          ...(port['appProtocol'] === undefined ? {} : { appProtocol: port['appProtocol'] }),
        }));
        const put = (address: Address, ready: boolean): void => {
          const addressType = address.ip.includes(':') ? 'IPv6' : 'IPv4';
          const groupKey = canonical([addressType, ports]);
          let group = groups.get(groupKey);
          if (!group) groups.set(groupKey, (group = { addressType, ports, endpoints: [] }));
          group.endpoints.push({
            addresses: [address.ip],
            conditions: { ready },
            ...(address.hostname === undefined ? {} : { hostname: address.hostname }),
            ...(address.targetRef === undefined ? {} : { targetRef: address.targetRef }),
            ...(address.nodeName === undefined ? {} : { nodeName: address.nodeName }),
          });
        };
        for (const address of subset.addresses ?? []) put(address, true);
        for (const address of subset.notReadyAddresses ?? []) put(address, false);
      }
    }
    if (!mirrored && existing.length === 0) return undefined;
    const annotations = Object.fromEntries(
      Object.entries(source?.metadata.annotations ?? {}).filter(([each]) => !notMirrored.has(each)),
    );
    try {
      await reconcileSlices(
        client,
        {
          key,
          namespace,
          generateName: `${name}-`,
          labels: {
            ...source?.metadata.labels,
            'kubernetes.io/service-name': name,
            'endpointslice.kubernetes.io/managed-by': manager,
          },
          annotations,
          ownerReferences: source ? [newControllerRef(source, { apiVersion: 'v1', kind: 'Endpoints' })] : [],
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
  const enqueue = (object: KubeObject): void => loop.queue.add(objectKey(object));
  services.addHandler({ onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
  endpoints.addHandler({ onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
  followSlices(slices, tracker, loop);
  return loop;
};
