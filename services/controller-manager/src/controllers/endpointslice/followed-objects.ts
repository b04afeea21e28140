import type { KubeObject } from '@pilothouse/apimachinery';
import type { Controller, Informer } from '@pilothouse/client';
import { canonical } from '../../common/template-hash.ts';
import { selectsPod } from './pod-endpoints.ts';
import type { SliceTracker } from './slice-tracker.ts';

/** Services are looked at when pods that they select, or selected before, change. */
export function followSelectedPods(
  pods: Informer,
  services: Informer,
  enqueue: (service: KubeObject) => void,
): void {
  const podChanged = (pod: KubeObject): void => {
    for (const service of services.lister.list(pod.metadata.namespace))
      if (selectsPod(service, pod)) enqueue(service);
  };
  pods.addHandler({
    onAdd: podChanged,
    onUpdate: (pod, old) => {
      podChanged(pod);
      if (canonical(old.metadata.labels ?? {}) !== canonical(pod.metadata.labels ?? {})) podChanged(old);
    },
    onDelete: podChanged,
  });
}

/** Services are looked at when somebody else changes or removes their slices. */
export function followSlices(slices: Informer, tracker: SliceTracker, loop: Controller): void {
  const serviceOf = (slice: KubeObject): string =>
    slice.metadata.labels?.['kubernetes.io/service-name'] ?? '';
  const changed = (slice: KubeObject): void => {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== undefined)
      loop.queue.add(`${slice.metadata.namespace}/${serviceOf(slice)}`);
  };
  slices.addHandler({
    onUpdate: changed,
    onDelete: (slice) => {
      tracker.deleted(`${slice.metadata.namespace}/${serviceOf(slice)}`, slice);
      changed(slice);
    },
  });
}
