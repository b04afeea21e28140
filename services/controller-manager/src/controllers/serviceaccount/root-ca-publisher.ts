import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller } from '@pilothouse/client';
import { isNamespaceTerminating } from '../../common/pod-control.ts';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

const name = 'kube-root-ca.crt';
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

/** Every active namespace has a ConfigMap with the CA by which pods know the API server. */
export const createRootCaPublisher: ControllerFactory = (context) => {
  const namespaces = context.informers.informer(resources.namespaces);
  const maps = context.informers.informer(resources.configMaps, { fieldSelector: `metadata.name=${name}` });
  const loop = new Controller(loopOptions(context), async (namespaceName) => {
    const namespace = namespaces.lister.get(namespaceName);
    if (
      !namespace ||
      namespace.metadata.deletionTimestamp !== undefined ||
      context.settings.rootCa === undefined
    )
      return;
    const existing = maps.lister.get(name, namespaceName);
    const data = { 'ca.crt': context.settings.rootCa };
    const annotations = { 'kubernetes.io/description': description };
    if (existing) {
      if (
        canonical(existing['data'] ?? {}) === canonical(data) &&
        existing.metadata.annotations?.['kubernetes.io/description'] !== undefined
      )
        return;
      await context.client.update(resources.configMaps, {
        ...existing,
        metadata: {
          ...existing.metadata,
          annotations: { ...existing.metadata.annotations, ...annotations },
        },
        data,
      });
      return;
    }
    try {
      await context.client.create(resources.configMaps, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace: namespaceName, annotations },
        data,
      });
    } catch (error) {
      if (
        !hasReason(error, 'AlreadyExists') &&
        !hasReason(error, 'NotFound') &&
        !isNamespaceTerminating(error)
      )
        throw error;
    }
  });
  const enqueue = (namespace: KubeObject): void => loop.queue.add(namespace.metadata.name ?? '');
  const fromMap = (map: KubeObject): void => loop.queue.add(map.metadata.namespace ?? '');
  namespaces.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  maps.addHandler({ onUpdate: fromMap, onDelete: fromMap });
  const unfollow = context.settings.onFileChange?.(() => namespaces.lister.list().forEach(enqueue));
  return {
    start: () => loop.start(),
    stop() {
      unfollow?.();
      return loop.stop();
    },
  };
};
