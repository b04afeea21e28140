import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { TableColumn } from '@pilothouse/api';
import type { KeyValueStore } from '../../storage/key-value-store.ts';
import { StoredObject } from '../../storage/stored-object.ts';
import type { RegistryDelegates } from '../delegates.ts';
import { builtinCodec } from '../codecs.ts';
import { selectionPredicate } from '../generic/selection.ts';
import type { ResourceDescriptor, RestStorage, Stored } from '../rest/rest-storage.ts';

const text = (name: string, description: string, format = ''): TableColumn => ({
  name,
  type: 'string',
  format,
  description,
  priority: 0,
});
const columns: readonly TableColumn[] = [
  text('Name', 'Name of the component', 'name'),
  text('Status', 'Status of the component conditions'),
  text('Message', 'Message of the component conditions'),
  text('Error', 'Error of the component conditions'),
];

function cells(object: KubeObject): unknown[] {
  const conditions = (object['conditions'] ?? []) as (ComponentCondition & { error?: string })[];
  const health = conditions.find(({ type }) => type === 'Healthy');
  const status = health === undefined ? 'Unknown' : health.status === 'True' ? 'Healthy' : 'Unhealthy';
  return [object.metadata.name ?? '', status, health?.message ?? '', health?.error ?? ''];
}

interface ComponentCondition {
  readonly type: 'Healthy';
  readonly status: 'True' | 'False' | 'Unknown';
  readonly message: string;
}

/** Where the two other programs of a control plane serve `/healthz`, when they run beside the server. */
const localPorts: Readonly<Record<string, number>> = { scheduler: 10259, 'controller-manager': 10257 };

/**
 * The deprecated view on the components behind the server: the store, and the two programs that are asked where upstream asks them. Those
 * that run elsewhere, or with another port, are shown as unhealthy.
 */
export function componentStatusStore(
  resource: ResourceDescriptor,
  store: KeyValueStore,
  delegates: Pick<RegistryDelegates, 'probeLocal'> = {},
): RestStorage {
  const codec = builtinCodec('', 'v1', 'ComponentStatus', { version: 'v1' });
  const names = ['controller-manager', 'etcd-0', 'scheduler'];
  const probe = async (name: string): Promise<KubeObject> => {
    const object: KubeObject = { apiVersion: 'v1', kind: 'ComponentStatus', metadata: { name } };
    try {
      const port = localPorts[name];
      let condition: ComponentCondition = { type: 'Healthy', status: 'True', message: 'ok' };
      if (port === undefined) await store.currentRevision();
      else if (delegates.probeLocal === undefined)
        condition = { ...condition, status: 'Unknown', message: '' };
      else {
        const { healthy, message } = await delegates.probeLocal(port, '/healthz');
        condition = { ...condition, status: healthy ? 'True' : 'False', message };
      }
      object['conditions'] = [condition];
    } catch (error) {
      object['conditions'] = [
        { type: 'Healthy', status: 'False', message: 'Unhealthy', error: errorMessage(error) },
      ];
    }
    return object;
  };
  const stored = (object: KubeObject): Stored =>
    new StoredObject(codec, object.metadata.name ?? '', 0, object);
  const strategy = { group: '', version: 'v1', kind: 'ComponentStatus', resource: 'componentstatuses' };
  return {
    resource,
    table: { columns, cells },
    async get(_context, name) {
      if (!names.includes(name))
        throw statusErrors.notFound({ group: '', resource: 'componentstatuses' }, name);
      return stored(await probe(name));
    },
    async list(_context, options) {
      const predicate = selectionPredicate(
        options.labelSelector ?? '',
        options.fieldSelector ?? '',
        strategy,
        undefined,
      );
      const objects = (await Promise.all(names.map(probe))).filter((object) => predicate.matches(object));
      return { items: objects.map(stored), resourceVersion: '', continue: '' };
    },
  };
}
