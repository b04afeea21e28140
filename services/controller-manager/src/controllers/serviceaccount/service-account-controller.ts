import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { isNamespaceTerminating } from '../../common/pod-control.ts';

/** Every active namespace has a service account `default`. */
export const createServiceAccountController: ControllerFactory = (context) => {
  const namespaces = context.informers.informer(resources.namespaces);
  const accounts = context.informers.informer(resources.serviceAccounts);
  const loop = new Controller(loopOptions(context), async (name) => {
    const namespace = namespaces.lister.get(name);
    if (
      !namespace ||
      namespace.metadata.deletionTimestamp !== undefined ||
      accounts.lister.get('default', name)
    )
      return;
    try {
      await context.client.create(resources.serviceAccounts, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'default', namespace: name },
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
  namespaces.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  accounts.addHandler({
    onDelete: (account) => {
      if (account.metadata.name === 'default') loop.queue.add(account.metadata.namespace ?? '');
    },
  });
  return loop;
};
