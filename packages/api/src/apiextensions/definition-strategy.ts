import type { KubeObject } from '@pilothouse/apimachinery';
import { deepClone, deepEqual } from '@pilothouse/apimachinery';
import type { ResourceStrategy } from '../strategy.ts';
import { columnsOf } from '../table/columns.ts';
import { validateDefinition, validateDefinitionStatusUpdate, validateDefinitionUpdate } from './definition-validation.ts';
import type { CustomResourceDefinitionSpec } from './schema.ts';

/** CustomResourceDefinitions. They are stored as apiextensions.k8s.io/v1 JSON. */
export const customResourceDefinitionStrategy: ResourceStrategy = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  resource: 'customresourcedefinitions',
  resetFields: ['status'],
  columns: columnsOf('apiextensions.k8s.io', 'customresourcedefinitions'),
  cells: (object) => [object.metadata.name ?? '', object.metadata.creationTimestamp ?? null],
  defaults,
  prepareForCreate(object) {
    object.metadata.generation = 1;
    object['status'] = {
      conditions: null,
      acceptedNames: { plural: '', kind: '' },
      storedVersions: [],
    };
    rememberStorageVersion(object);
  },
  validate: (object) => validateDefinition(object),
  prepareForUpdate(object, old) {
    object['status'] = deepClone(old['status']);
    if (!deepEqual(object['spec'], old['spec'])) {
      object.metadata.generation = (old.metadata.generation ?? 0) + 1;
    }
    rememberStorageVersion(object);
  },
  validateUpdate: (object, old) => validateDefinitionUpdate(object, old),
  subresources: {
    status: {
      prepareForUpdate(object, old) {
        object['spec'] = deepClone(old['spec']);
        const { managedFields, resourceVersion } = object.metadata;
        object.metadata = deepClone(old.metadata);
        if (resourceVersion !== undefined) object.metadata.resourceVersion = resourceVersion;
        if (managedFields === undefined) delete object.metadata.managedFields;
        else object.metadata.managedFields = managedFields;
      },
      validateUpdate: (object, old) => validateDefinitionStatusUpdate(object, old),
      resetFields: ['metadata', 'spec'],
    },
  },
};

function defaults(object: KubeObject): void {
  const spec = object['spec'] as Record<string, unknown> | undefined;
  if (spec === undefined || spec === null) return;
  if (spec['scope'] === undefined || spec['scope'] === '') spec['scope'] = 'Namespaced';
  const names = (spec['names'] ?? {}) as { singular?: string; listKind?: string; kind?: string };
  const { kind = '' } = names;
  if (!names.singular && kind !== '') names.singular = kind.toLowerCase();
  if (!names.listKind && kind !== '') names.listKind = `${kind}List`;
  spec['conversion'] ??= { strategy: 'None' };
  const { webhook } = spec['conversion'] as { webhook?: { clientConfig?: { service?: { port?: number } } } };
  const service = webhook?.clientConfig?.service;
  if (service !== undefined && service.port === undefined) service.port = 443;
}

function rememberStorageVersion(object: KubeObject): void {
  const spec = object['spec'] as CustomResourceDefinitionSpec;
  const status = object['status'] as { storedVersions?: string[] | null };
  for (const version of spec.versions ?? []) {
    if (version.storage && !(status.storedVersions ?? []).includes(version.name)) {
      status.storedVersions = [...(status.storedVersions ?? []), version.name];
    }
  }
}
