import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '@pilothouse/apimachinery';
import { parseApiVersion } from '@pilothouse/apimachinery';
import { builtinResources } from '@pilothouse/api';
import { resourceAttributes } from '../../authorization/interface.ts';
import type { AdmissionDependencies, FindResources } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { forbid } from '../refusal.ts';

interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly blockOwnerDeletion?: boolean;
}

/** Who changes owners must be able to delete the object; who blocks an owner's deletion must be able to set its finalizers. */
export function ownerReferencesPermission({
  authorizer,
  findResources,
  objects,
}: AdmissionDependencies): AdmissionPlugin {
  const find = findResources ?? ((...kind) => [...builtinOf(...kind), ...customOf(objects, ...kind)]);
  return {
    name: 'OwnerReferencesPermissionEnforcement',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      const { resource, subresource, object, oldObject, user, namespace, operation } = attributes;
      // Old kubelets send damaged owners there, and the status strategy keeps the stored ones.
      if (resource.group === '' && resource.resource === 'pods' && subresource === 'status') return;
      if (!isDeepChange(object, oldObject)) return;
      const target = { apiGroup: resource.group, apiVersion: resource.version, resource: resource.resource };
      if (operation !== 'CREATE') {
        const { decision, reason, evaluationError } = await authorizer.authorize(
          resourceAttributes(user, 'delete', { ...target, subresource, namespace, name: attributes.name }),
        );
        if (decision !== 'allow')
          throw forbid(
            attributes,
            `cannot set an ownerRef on a resource you can't delete: ${reason}, ${evaluationError ?? '<nil>'}`,
          );
      }
      const blocking = newlyBlocking(object, oldObject);
      if (blocking.length === 0) return;
      const everything = {
        apiGroup: '*',
        apiVersion: '*',
        resource: '*',
        subresource: 'finalizers',
        name: '*',
      };
      const all = await authorizer.authorize(resourceAttributes(user, 'update', everything));
      if (all.decision === 'allow') return;
      for (const reference of blocking) await checkOwner(attributes, reference);
    },
  };

  async function checkOwner(attributes: AdmissionAttributes, reference: OwnerReference): Promise<void> {
    const parsed = parseApiVersion(reference.apiVersion);
    const owners = parsed === undefined ? [] : find(parsed.group, parsed.version, reference.kind);
    if (owners.length === 0) {
      throw forbid(
        attributes,
        `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${reference.apiVersion} Kind ${reference.kind}: no matches for kind ${JSON.stringify(reference.kind)} in version ${JSON.stringify(reference.apiVersion)}`,
      );
    }
    for (const owner of owners) {
      const { decision, reason, evaluationError } = await authorizer.authorize(
        resourceAttributes(attributes.user, 'update', {
          apiGroup: owner.group,
          apiVersion: owner.version,
          resource: owner.resource,
          subresource: 'finalizers',
          name: reference.name,
          ...(owner.namespaced ? { namespace: attributes.namespace } : {}),
        }),
      );
      if (decision !== 'allow') {
        throw forbid(
          attributes,
          `cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ${reason}, ${evaluationError ?? '<nil>'}`,
        );
      }
    }
  }
}

const ownersOf = (object: KubeObject | undefined): readonly OwnerReference[] =>
  (object?.metadata?.ownerReferences ?? []) as readonly OwnerReference[];

function isDeepChange(object: KubeObject | undefined, oldObject: KubeObject | undefined): boolean {
  return object !== undefined && !isDeepStrictEqual(ownersOf(object), ownersOf(oldObject));
}

function newlyBlocking(object: KubeObject | undefined, oldObject: KubeObject | undefined): OwnerReference[] {
  const before = new Map(ownersOf(oldObject).map((each) => [each.uid, each.blockOwnerDeletion === true]));
  return ownersOf(object).filter((each) => each.blockOwnerDeletion === true && before.get(each.uid) !== true);
}

const builtinOf: FindResources = (group, version, kind) =>
  builtinResources
    .filter((each) => each.group === group && each.version === version && each.kind === kind)
    .map((each) => ({ group, version, resource: each.plural, namespaced: each.namespaced }));

const definitions = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  resource: 'customresourcedefinitions',
} as const;

interface Definition {
  readonly group: string;
  readonly scope: string;
  readonly names: { readonly kind: string; readonly plural: string };
  readonly versions: readonly { readonly name: string; readonly served?: boolean }[];
}

function customOf(
  objects: AdmissionDependencies['objects'],
  ...[group, version, kind]: Parameters<FindResources>
): ReturnType<FindResources> {
  return objects
    .cached(definitions)
    .list()
    .map((each) => each['spec'] as Definition)
    .filter(
      (spec) =>
        spec.group === group &&
        spec.names.kind === kind &&
        spec.versions.some(({ name, served }) => name === version && served !== false),
    )
    .map((spec) => ({
      group,
      version,
      resource: spec.names.plural,
      namespaced: spec.scope === 'Namespaced',
    }));
}
