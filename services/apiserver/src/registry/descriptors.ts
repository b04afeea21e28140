import type { BuiltinResource, BuiltinSubresource } from '@pilothouse/api';
import type { ResourceDescriptor } from './rest/rest-storage.ts';

/** Kinds of the body where a create takes another one than it answers with. */
const connectVerbs = ['create', 'delete', 'get', 'patch', 'update'];

export function resourceDescriptor(resource: BuiltinResource): ResourceDescriptor {
  return {
    group: resource.group,
    version: resource.version,
    resource: resource.plural,
    subresource: '',
    singularName: resource.singular,
    kind: resource.kind,
    namespaced: resource.namespaced,
    verbs: resource.verbs,
    shortNames: resource.shortNames ?? [],
    categories: resource.categories ?? [],
    ...(resource.storageVersionHash === undefined ? {} : { storageVersionHash: resource.storageVersionHash }),
  };
}

export function subresourceDescriptor(parent: BuiltinResource, sub: BuiltinSubresource): ResourceDescriptor {
  const responseKind =
    sub.group === undefined && sub.version === undefined
      ? undefined
      : { group: sub.group ?? parent.group, version: sub.version ?? parent.version, kind: sub.kind };
  return {
    group: parent.group,
    version: parent.version,
    resource: parent.plural,
    subresource: sub.name,
    singularName: '',
    kind: sub.kind,
    ...(responseKind === undefined ? {} : { responseKind }),
    namespaced: parent.namespaced,
    verbs: sub.verbs.length === 0 ? connectVerbs : sub.verbs,
    shortNames: [],
    categories: [],
  };
}
