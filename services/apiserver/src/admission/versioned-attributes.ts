import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { ServedVersions, VersionedResource } from '../registry/rest/served-versions.ts';
import type { AdmissionAttributes } from './interface.ts';

/** Finds the versions that a request's resource is served in; undefined: it is served in one only. */
export type FindVersions = (attributes: AdmissionAttributes) => ServedVersions | undefined;

export const noVersions: FindVersions = () => undefined;

/** A request as a webhook or policy sees it that asked for another version of the resource. */
export interface VersionedAttributes extends AdmissionAttributes {
  /** Where the request went; `kind` and `resource` are those of the objects here. */
  readonly request: AdmissionAttributes;
}

/** The request in the version it was made in. */
export function originalOf(attributes: AdmissionAttributes): AdmissionAttributes {
  return 'request' in attributes ? (attributes as VersionedAttributes).request : attributes;
}

/** One request seen in other versions. What was converted once is kept while the object stays the same one. */
export class VersionedViews {
  readonly #attributes: AdmissionAttributes;
  readonly #versions: ServedVersions | undefined;
  readonly #converted = new Map<string, WeakMap<KubeObject, KubeObject>>();

  constructor(attributes: AdmissionAttributes, find: FindVersions) {
    this.#attributes = attributes;
    this.#versions = find(attributes);
  }

  /** The other versions of the resource. */
  get others(): readonly VersionedResource[] {
    const { group, version } = this.#attributes.resource;
    return (this.#versions?.members ?? []).filter(
      ({ resource }) => resource.group !== group || resource.version !== version,
    );
  }

  /** The request itself, or a view of it with converted objects. Throws StatusError 500 when they cannot be converted. */
  async in(target: VersionedResource): Promise<AdmissionAttributes> {
    const attributes = this.#attributes;
    if (isVersionOf(attributes, target)) return attributes;
    const view: VersionedAttributes = {
      ...attributes,
      ...target,
      request: attributes,
      object: await this.#convert(attributes.object, target),
      oldObject: await this.#convert(attributes.oldObject, target),
    };
    return view;
  }

  /** Takes over what was done to the object of a view. */
  async takeBack(view: AdmissionAttributes): Promise<void> {
    const attributes = this.#attributes;
    if (view === attributes || view.object === undefined) return;
    const { kind, resource } = attributes;
    // What nobody changed stays as the client sent it.
    if (view.object === (await this.#convert(attributes.object, view))) return;
    attributes.object = await this.#convert(view.object, { kind, resource });
  }

  async #convert(object: KubeObject | undefined, target: VersionedResource): Promise<KubeObject | undefined> {
    if (object === undefined) return undefined;
    const { group, version } = target.kind;
    const key = `${group}/${version}`;
    let known = this.#converted.get(key);
    if (known === undefined) this.#converted.set(key, (known = new WeakMap()));
    let converted = known.get(object);
    if (converted === undefined) {
      try {
        converted = await (this.#versions as ServedVersions).convert(object, target.kind);
      } catch (error) {
        throw statusErrors.internal(errorMessage(error));
      }
      known.set(object, converted);
    }
    return converted;
  }
}

function isVersionOf({ resource }: AdmissionAttributes, target: VersionedResource): boolean {
  return resource.group === target.resource.group && resource.version === target.resource.version;
}
