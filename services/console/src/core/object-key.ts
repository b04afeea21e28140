import { builtinResources } from '@pilothouse/api';
import { ConsoleError } from '../errors.ts';

/** An object of the API, and whose version does not matter: it is stored once. */
export interface ObjectName {
  readonly group: string;
  /** Plural, in lower case. */
  readonly resource: string;
  /** Empty for objects of the cluster. */
  readonly namespace: string;
  readonly name: string;
}

const isSubdomain = (text: string): boolean =>
  text.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text);
/** What may be a name in a path (upstream's path segment names): RBAC objects have colons in theirs. */
const isPathSegment = (text: string): boolean =>
  text !== '' && text.length <= 253 && text !== '.' && text !== '..' && !/[/%\0]/.test(text);

/**
 * Where the API server keeps an object, below its prefix, e.g. `services/specs/default/web`. Authorization is asked for the name, the store for the
 * key, so each key has one name only: parts cannot contain slashes, a scope cannot be passed over, and groups of custom resources have the dot
 * that built-in folders lack. Throws ConsoleError 400.
 */
export function objectKey(object: ObjectName): string {
  const { namespace, name } = object;
  if (!isPathSegment(name)) throw new ConsoleError(400, `Invalid name ${JSON.stringify(name)}`);
  if (namespace !== '' && !isSubdomain(namespace))
    throw new ConsoleError(400, `Invalid namespace ${JSON.stringify(namespace)}`);
  return `${resourceFolder(object)}${namespace === '' ? '' : `${namespace}/`}${name}`;
}

function resourceFolder({ group, resource, namespace }: ObjectName): string {
  const same = builtinResources.filter((each) => each.group === group && each.plural === resource);
  const [builtin] = same;
  if (builtin !== undefined) {
    const folder = same.find((each) => each.etcdPrefix !== undefined)?.etcdPrefix ?? resource;
    if (!same.some((each) => each.storage !== undefined))
      throw new ConsoleError(400, `Objects of ${resource} are not stored`);
    if (builtin.namespaced !== (namespace !== ''))
      throw new ConsoleError(
        400,
        builtin.namespaced ? `${resource} are in namespaces: want one` : `${resource} are in no namespace`,
      );
    return `${folder}/`;
  }
  if (!isSubdomain(group) || !group.includes('.') || !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(resource))
    throw new ConsoleError(400, `There is no resource ${JSON.stringify(resource)} of group "${group}"`);
  return `${group}/${resource}/`;
}
