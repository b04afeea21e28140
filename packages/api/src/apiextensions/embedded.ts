import type { FieldError, ObjectMeta } from '@pilothouse/apimachinery';
import {
  fieldError,
  FieldPath,
  isJsonObject,
  nameIsDnsSubdomain,
  validateObjectMeta,
} from '@pilothouse/apimachinery';
import type { JsonSchema } from './schema.ts';
import { itemsOf, memberOf } from './schema.ts';

/** Calls `visit` for each resource inside a custom resource (`x-kubernetes-embedded-resource`). */
export function eachEmbedded(
  value: unknown,
  schema: JsonSchema | undefined,
  visit: (resource: Record<string, unknown>, path: FieldPath) => void,
  path = new FieldPath(),
): void {
  if (schema === undefined) return;
  if (Array.isArray(value)) {
    value.forEach((item, index) => eachEmbedded(item, itemsOf(schema), visit, path.index(index)));
    return;
  }
  if (!isJsonObject(value)) return;
  if (schema['x-kubernetes-embedded-resource'] === true) visit(value, path);
  for (const name of Object.keys(value)) {
    const isDeclared = schema.properties !== undefined && Object.hasOwn(schema.properties, name);
    eachEmbedded(value[name], memberOf(schema, name), visit, isDeclared ? path.child(name) : path.key(name));
  }
}

/** apiVersion, kind and metadata of resources inside a custom resource. */
export function validateEmbedded(value: unknown, schema: JsonSchema | undefined): FieldError[] {
  const errors: FieldError[] = [];
  eachEmbedded(value, schema, (resource, path) => {
    const { apiVersion, kind, metadata } = resource as {
      apiVersion?: unknown;
      kind?: unknown;
      metadata?: ObjectMeta;
    };
    if (apiVersion === '') errors.push(fieldError.required(path.child('apiVersion'), 'must not be empty'));
    if (kind === '') errors.push(fieldError.required(path.child('kind'), 'must not be empty'));
    if (metadata === undefined || metadata === null) return;
    // A resource inside another needs neither name nor namespace.
    errors.push(
      ...validateObjectMeta(
        { ...metadata, name: metadata.name ?? 'fakename', namespace: metadata.namespace ?? 'fakenamespace' },
        { namespaced: true, nameRule: nameIsDnsSubdomain, path: path.child('metadata'), builtIn: false },
      ),
    );
  });
  return errors;
}
