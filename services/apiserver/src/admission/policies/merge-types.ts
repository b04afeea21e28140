import { builtinSchemas } from '@pilothouse/api';
import type { MapType, MessageSchema } from '@pilothouse/apimachinery';
import { mergeTypeOfMessage, mergeTypeOfStructuralSchema } from '@pilothouse/apimachinery';
import type { ObjectAccess } from '../../security/object-access.ts';
import type { AdmissionAttributes } from '../interface.ts';

const definitions = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  resource: 'customresourcedefinitions',
} as const;

interface Definition {
  readonly group: string;
  readonly names: { readonly kind: string };
  readonly versions: readonly {
    readonly name: string;
    readonly schema?: { readonly openAPIV3Schema?: object };
  }[];
}

const builtin = new Map<string, MapType>();
const custom = new WeakMap<object, MapType>();
let objectMeta: MapType | undefined;

/** How objects of a request's kind are merged; undefined: the kind is not known (yet). */
export function mergeTypeFor({ kind }: AdmissionAttributes, objects: ObjectAccess): MapType | undefined {
  const message = builtinSchemas.kind(kind.group, kind.version, kind.kind);
  if (message !== undefined) {
    const key = `${kind.group}/${kind.version}/${kind.kind}`;
    let type = builtin.get(key);
    if (type === undefined) {
      type = mergeTypeOfMessage(builtinSchemas, message);
      builtin.set(key, type);
    }
    return type;
  }
  for (const definition of objects.cached(definitions).list()) {
    const spec = definition['spec'] as Definition;
    if (spec.group !== kind.group || spec.names.kind !== kind.kind) continue;
    const schema = spec.versions.find(({ name }) => name === kind.version)?.schema?.openAPIV3Schema;
    if (schema === undefined) return undefined;
    let type = custom.get(schema);
    if (type === undefined) {
      objectMeta ??= mergeTypeOfMessage(
        builtinSchemas,
        builtinSchemas.message('k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta') as MessageSchema,
      );
      type = mergeTypeOfStructuralSchema(
        schema as Parameters<typeof mergeTypeOfStructuralSchema>[0],
        objectMeta,
      );
      custom.set(schema, type);
    }
    return type;
  }
  return undefined;
}
