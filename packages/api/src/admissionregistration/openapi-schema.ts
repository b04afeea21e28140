import type { GroupVersionKind } from '@pilothouse/apimachinery';
import type { JsonSchema } from '../apiextensions/schema.ts';

/** The part of an OpenAPI v3 document that holds schemas. */
export interface OpenApiComponents {
  readonly components?: { readonly schemas?: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
}

type Raw = Readonly<Record<string, unknown>>;

const prefix = '#/components/schemas/';
const kindsKey = 'x-kubernetes-group-version-kind';

/** The schema of a kind with all references resolved; what refers to itself ends in a schema of anything. Undefined: it has none. */
export function openApiSchemaOf(
  document: OpenApiComponents,
  { group, version, kind }: GroupVersionKind,
): JsonSchema | undefined {
  const schemas = document.components?.schemas ?? {};
  const root = Object.values(schemas).find((schema) => {
    const kinds = (schema[kindsKey] ?? []) as readonly Partial<GroupVersionKind>[];
    return kinds.some((each) => each.group === group && each.version === version && each.kind === kind);
  });
  return root === undefined ? undefined : new Resolver(schemas).resolve(root);
}

class Resolver {
  readonly #schemas: Readonly<Record<string, Raw>>;
  /** Undefined while a schema is being resolved. */
  readonly #known = new Map<string, JsonSchema | undefined>();

  constructor(schemas: Readonly<Record<string, Raw>>) {
    this.#schemas = schemas;
  }

  resolve(schema: Raw): JsonSchema {
    const reference = referenceOf(schema);
    if (reference !== undefined) return this.#named(reference);
    const resolved: Record<string, unknown> = { ...schema };
    if (schema['format'] === 'int-or-string') resolved['x-kubernetes-int-or-string'] = true;
    if (isSchema(schema['items'])) resolved['items'] = this.resolve(schema['items']);
    if (isSchema(schema['additionalProperties']))
      resolved['additionalProperties'] = this.resolve(schema['additionalProperties']);
    if (isSchema(schema['properties'])) {
      resolved['properties'] = Object.fromEntries(
        Object.entries(schema['properties']).map(([name, each]) => [name, this.resolve(each as Raw)]),
      );
    }
    return resolved as JsonSchema;
  }

  #named(name: string): JsonSchema {
    if (this.#known.has(name)) return this.#known.get(name) ?? {};
    this.#known.set(name, undefined);
    const schema = this.#schemas[name];
    const resolved = schema === undefined ? {} : this.resolve(schema);
    this.#known.set(name, resolved);
    return resolved;
  }
}

const isSchema = (value: unknown): value is Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A reference stands alone, or in `allOf` beside a description or default. */
function referenceOf(schema: Raw): string | undefined {
  const all = schema['allOf'] as readonly Raw[] | undefined;
  const reference = schema['$ref'] ?? (all?.length === 1 ? all[0]?.['$ref'] : undefined);
  return typeof reference === 'string' ? reference.slice(prefix.length) : undefined;
}
