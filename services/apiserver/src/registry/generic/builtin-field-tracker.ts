import type { KubeObject, MessageSchema, SchemaRegistry } from '@pilothouse/apimachinery';
import {
  apiVersionOf,
  builtInFieldManager,
  FieldManager,
  mergeTypeOfMessage,
  parseApiVersion,
} from '@pilothouse/apimachinery';
import type { MapType } from '@pilothouse/apimachinery';
import { deepClone } from '../../storage/deep.ts';
import type { FieldTracker, FieldWrite } from './field-tracker.ts';

type Make = (subresource: string, resetFields: readonly string[]) => FieldManager;

/** {@link FieldTracker} on the field managers of apimachinery: one for each way to write the kind. */
class ManagerTracker implements FieldTracker {
  readonly #make: Make;
  readonly #managers = new Map<string, FieldManager>();

  constructor(make: Make) {
    this.#make = make;
  }

  update(live: KubeObject | undefined, object: KubeObject, write: FieldWrite): KubeObject {
    const entries = this.#manager(write).update(live, object, { manager: write.manager, now: write.now });
    if (entries.length === 0) delete object.metadata.managedFields;
    else object.metadata.managedFields = entries;
    return object;
  }

  apply(
    live: KubeObject | undefined,
    patch: KubeObject,
    write: FieldWrite & { readonly force: boolean },
  ): KubeObject {
    const options = { manager: write.manager, force: write.force, now: write.now };
    // The result shares parts with the live object, which is frozen.
    return deepClone(this.#manager(write).apply(live, patch, options).object);
  }

  #manager(write: FieldWrite): FieldManager {
    const key = `${write.subresource}|${write.resetFields.join('|')}`;
    let manager = this.#managers.get(key);
    if (manager === undefined)
      this.#managers.set(key, (manager = this.#make(write.subresource, write.resetFields)));
    return manager;
  }
}

/** How an object of a kind with several versions looks in another one. */
export type ConvertVersion = (object: KubeObject, apiVersion: string) => KubeObject;

/** The tracker of a built-in kind. `convert`: of a kind with several versions, whose managers may have written any of them. */
export function builtinFieldTracker(
  schemas: SchemaRegistry,
  kind: { readonly group: string; readonly version: string; readonly kind: string },
  convert?: ConvertVersion,
): FieldTracker | undefined {
  const message: MessageSchema | undefined = schemas.kind(kind.group, kind.version, kind.kind);
  if (message === undefined) return undefined;
  const apiVersion = apiVersionOf(kind.group, kind.version);
  return new ManagerTracker((subresource, resetFields) =>
    builtInFieldManager(schemas, message, {
      apiVersion,
      kind: kind.kind,
      subresource,
      resetFields,
      ...(convert !== undefined && {
        versions: { convert, type: (text) => typeIn(schemas, kind.kind, text) },
      }),
    }),
  );
}

/** The tracker of a custom resource, whose type comes from its structural schema. */
export function customFieldTracker(apiVersion: string, kind: string, type: MapType): FieldTracker {
  return new ManagerTracker(
    (subresource, resetFields) => new FieldManager({ apiVersion, kind, subresource, type, resetFields }),
  );
}

function typeIn(schemas: SchemaRegistry, kind: string, apiVersion: string): MapType | undefined {
  const parsed = parseApiVersion(apiVersion);
  const message = parsed && schemas.kind(parsed.group, parsed.version, kind);
  return message && mergeTypeOfMessage(schemas, message);
}
