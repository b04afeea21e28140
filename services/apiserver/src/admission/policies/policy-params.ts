import { builtinResources } from '@pilothouse/api';
import type { GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';
import { labelSelectorOf, StatusError } from '@pilothouse/apimachinery';
import type { ObjectAccess } from '../../security/object-access.ts';
import type { BindingSpec, BoundPolicy } from './policy.ts';

const definitions = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  resource: 'customresourcedefinitions',
} as const;

interface ParamResource extends GroupVersionResource {
  readonly namespaced: boolean;
}

/**
 * The parameter objects of a binding; `[undefined]` for a policy without any. Rejects with an Error when they are not found and the
 * binding denies that, or when the kind is not served.
 */
export async function policyParams(
  { policy, binding }: BoundPolicy,
  requestNamespace: string,
  objects: ObjectAccess,
): Promise<(KubeObject | undefined)[]> {
  const { paramKind } = policy;
  const { paramRef } = binding;
  if (paramKind === undefined || paramRef === undefined) return [undefined];
  const resource = resourceOf(paramKind.apiVersion, paramKind.kind, objects);
  if (resource === undefined)
    throw new Error(`paramKind kind \`${paramKind.apiVersion}, Kind=${paramKind.kind}\` not known`);
  const wanted = paramRef.namespace ?? '';
  if (!resource.namespaced && wanted !== '')
    throw new Error('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
  if (resource.namespaced && wanted === '' && requestNamespace === '')
    throw new Error('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources');
  const namespace = resource.namespaced ? (wanted === '' ? requestNamespace : wanted) : '';
  const found = await find(resource, namespace, paramRef, objects);
  if (found.length === 0 && paramRef.parameterNotFoundAction === 'Deny')
    throw new Error('no params found for policy binding with `Deny` parameterNotFoundAction');
  // A cached object may be without its type.
  return found.map((each) => ({ ...each, apiVersion: paramKind.apiVersion, kind: paramKind.kind }));
}

function resourceOf(apiVersion: string, kind: string, objects: ObjectAccess): ParamResource | undefined {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const builtin = builtinResources.find(
    (each) => each.group === group && each.version === version && each.kind === kind,
  );
  if (builtin !== undefined)
    return { group, version, resource: builtin.plural, namespaced: builtin.namespaced };
  for (const definition of objects.cached(definitions).list()) {
    const spec = definition['spec'] as {
      group: string;
      scope: string;
      names: { kind: string; plural: string };
      versions: readonly { name: string; served: boolean }[];
    };
    if (spec.group !== group || spec.names.kind !== kind) continue;
    if (!spec.versions.some((each) => each.served && each.name === version)) continue;
    return { group, version, resource: spec.names.plural, namespaced: spec.scope === 'Namespaced' };
  }
  return undefined;
}

/** From the watch cache; what is not there is asked for, since parameters of custom kinds may have no cache yet. */
async function find(
  resource: ParamResource,
  namespace: string,
  { name, selector }: NonNullable<BindingSpec['paramRef']>,
  objects: ObjectAccess,
): Promise<readonly KubeObject[]> {
  const cached = objects.cached(resource);
  if (name !== undefined && name !== '') {
    const known = cached.get(namespace, name);
    if (known !== undefined) return [known];
    try {
      return [await objects.get(resource, namespace, name)];
    } catch (error) {
      if (error instanceof StatusError && error.status.code === 404) return [];
      throw error;
    }
  }
  let all = cached.list(resource.namespaced ? namespace : undefined);
  if (all.length === 0) all = await objects.list(resource, resource.namespaced ? namespace : undefined);
  const chosen = labelSelectorOf(selector);
  return all.filter(({ metadata }) => chosen.matches(metadata.labels ?? {}));
}
