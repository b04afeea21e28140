import { type FieldError, fieldError, FieldPath } from '@pilothouse/apimachinery';
import type { ResourceStrategy } from '../../strategy.ts';
import { isSet, type Json, list } from '../../validation/values.ts';
import { hasHostProcess } from '../../validation/windows.ts';

/** Where a kind keeps the spec of its pods. */
const podSpecPaths: Readonly<Record<string, readonly string[]>> = {
  '/pods': ['spec'],
  '/podtemplates': ['template', 'spec'],
  '/replicationcontrollers': ['spec', 'template', 'spec'],
  'apps/deployments': ['spec', 'template', 'spec'],
  'apps/replicasets': ['spec', 'template', 'spec'],
  'apps/statefulsets': ['spec', 'template', 'spec'],
  'apps/daemonsets': ['spec', 'template', 'spec'],
  'batch/jobs': ['spec', 'template', 'spec'],
  'batch/cronjobs': ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
};

/**
 * The strategy of a server that was not told to allow privileged containers (`--allow-privileged`): pods that have one are invalid. Kinds
 * without pods stay as they are.
 */
export function withoutPrivileged(strategy: ResourceStrategy): ResourceStrategy {
  const path = podSpecPaths[`${strategy.group}/${strategy.resource}`];
  if (path === undefined) return strategy;
  const errorsOf = (object: Json): FieldError[] => privilegedErrors(object, path);
  return {
    ...strategy,
    validate: (object, context) => [...(strategy.validate?.(object, context) ?? []), ...errorsOf(object)],
    validateUpdate: (object, old, context) => [
      ...(strategy.validateUpdate?.(object, old, context) ?? []),
      ...errorsOf(object),
    ],
  };
}

function privilegedErrors(object: Json, path: readonly string[]): FieldError[] {
  let value: Json | undefined = object;
  for (const member of path) value = value?.[member] as Json | undefined;
  const at = new FieldPath().child(...path);
  const containers = ['initContainers', 'containers', 'ephemeralContainers'].flatMap((member) =>
    (list(value?.[member]) as Json[]).flatMap((container, index) => {
      const context = container['securityContext'] as Json | null | undefined;
      if (!isSet(context) || context['privileged'] !== true) return [];
      const place = at.child(member).index(index).child('securityContext').child('privileged');
      return [fieldError.forbidden(place, 'disallowed by cluster policy')];
    }),
  );
  if (value === undefined || value === null || !hasHostProcess(value)) return containers;
  return [...containers, fieldError.forbidden(at, 'hostProcess containers are disallowed by cluster policy')];
}
