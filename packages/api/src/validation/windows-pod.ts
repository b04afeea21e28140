import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError, shownMember } from '@pilothouse/apimachinery';
import type { Json } from './values.ts';
import { isSet, list } from './values.ts';

const cannotSet = 'cannot be set for a windows pod';

/** What a Windows pod may not have, in upstream's order; those marked `pod` stand in the spec itself. */
const linuxOnly: readonly (readonly [name: string, place: 'context' | 'pod'])[] = [
  ['appArmorProfile', 'context'],
  ['seLinuxOptions', 'context'],
  ['hostUsers', 'pod'],
  ['hostPID', 'pod'],
  ['hostIPC', 'pod'],
  ['seccompProfile', 'context'],
  ['fsGroup', 'context'],
  ['fsGroupChangePolicy', 'context'],
  ['sysctls', 'context'],
  ['shareProcessNamespace', 'pod'],
  ['runAsUser', 'context'],
  ['runAsGroup', 'context'],
  ['supplementalGroups', 'context'],
  ['supplementalGroupsPolicy', 'context'],
  ['seLinuxChangePolicy', 'context'],
];
const linuxOnlyOfContainers = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
];

export function validateWindowsPod(
  spec: Json,
  containers: readonly (readonly [Json, FieldPath])[],
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, place] of linuxOnly) {
    const value = shownMember((place === 'pod' ? spec : spec['securityContext']) as Json | undefined, name);
    const plain = name === 'hostPID' || name === 'hostIPC';
    if (plain ? value !== true : !isSet(value)) continue;
    if (name === 'sysctls' && list(value).length === 0) continue;
    errors.push(
      fieldError.forbidden(
        place === 'pod' ? path.child(name) : path.child('securityContext', name),
        cannotSet,
      ),
    );
  }
  for (const [container, at] of containers)
    for (const name of linuxOnlyOfContainers)
      if (isSet(container['securityContext']?.[name]))
        errors.push(fieldError.forbidden(at.child('securityContext', name), cannotSet));
  return errors;
}
