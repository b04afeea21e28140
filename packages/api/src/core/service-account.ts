import type { KubeObject } from '@pilothouse/apimachinery';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';

const enforceSecrets = 'kubernetes.io/enforce-mountable-secrets';
const deprecated = `metadata.annotations[${enforceSecrets}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`;

const has = (object: KubeObject): boolean => object.metadata.annotations?.[enforceSecrets] !== undefined;

/** Of a reference to a secret only the name means anything. */
function keepSecretNames(object: KubeObject): void {
  if (!Array.isArray(object['secrets'])) return;
  object['secrets'] = (object['secrets'] as { name?: string }[]).map(({ name }) =>
    name === undefined ? {} : { name },
  );
}

export const serviceAccountStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  revalidatesMetadata: true,
  resource: 'serviceaccounts',
  prepareForCreate: keepSecretNames,
  prepareForUpdate: keepSecretNames,
  warningsOnCreate: (object) => (has(object) ? [deprecated] : []),
  warningsOnUpdate: (object, old) => (has(object) && !has(old) ? [deprecated] : []),
  columns: columnsOf['/serviceaccounts'] ?? [],
  cells: (object, nowMs) => [nameOf(object), ageOf(object, nowMs)],
};
