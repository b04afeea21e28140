import { builtinResources } from '@pilothouse/api';
import type { KubeObject } from '@pilothouse/apimachinery';
import { labelSelectorOf } from '@pilothouse/apimachinery';
import type { ObjectAccess } from '../../security/object-access.ts';
import type { BoundPolicy } from './policy.ts';

/**
 * The parameter objects of a binding; `[undefined]` for a policy without any. Throws an Error when they are not found and the binding
 * denies that, or when the kind is not one of the built-in ones.
 */
export function policyParams(
  { policy, binding }: BoundPolicy,
  requestNamespace: string,
  objects: ObjectAccess,
): (KubeObject | undefined)[] {
  const { paramKind } = policy;
  const { paramRef } = binding;
  if (paramKind === undefined || paramRef === undefined) return [undefined];
  const [version = '', group = ''] = paramKind.apiVersion.split('/').reverse();
  const resource = builtinResources.find(
    (each) => each.group === group && each.version === version && each.kind === paramKind.kind,
  );
  if (resource === undefined)
    throw new Error(
      `paramKind ${paramKind.apiVersion} ${paramKind.kind} is not known to this server as a built-in kind`,
    );
  const cached = objects.cached({ group, version, resource: resource.plural });
  const wanted = paramRef.namespace ?? '';
  const namespace = resource.namespaced ? (wanted === '' ? requestNamespace : wanted) : '';
  const found =
    paramRef.name !== undefined && paramRef.name !== ''
      ? [cached.get(namespace, paramRef.name)].filter((each) => each !== undefined)
      : cached
          .list(resource.namespaced ? namespace : undefined)
          .filter(({ metadata }) => labelSelectorOf(paramRef.selector).matches(metadata.labels ?? {}));
  if (found.length === 0 && paramRef.parameterNotFoundAction === 'Deny')
    throw new Error('no params found for policy binding with `Deny` parameterNotFoundAction');
  return found;
}
