import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { product } from '../../cel/cost/range.ts';
import type { CelType } from '../../cel/types.ts';
import type { JsonSchema } from '../schema.ts';
import { additionalOf } from '../schema.ts';

/** What one rule may cost by estimate, times the number of values it can be asked of. */
export const ruleCostMax = 10_000_000;
/** What all rules of a schema may cost together. */
export const schemaCostMax = 100_000_000;
const requestBytesMax = 3 * 1024 * 1024;
const named = 4;

/** How many values of a schema's node an object can hold; undefined: nothing above bounds it. */
export type Cardinality = number | undefined;

/** By how much a node multiplies what is below it. */
export function childCardinality(above: Cardinality, schema: JsonSchema): Cardinality {
  if (above === undefined) return undefined;
  if (schema.type === 'array')
    return schema.maxItems === undefined ? undefined : product(above, Math.max(0, schema.maxItems));
  if (
    schema.type === 'object' &&
    (additionalOf(schema) !== undefined || schema.additionalProperties === true)
  )
    return schema.maxProperties === undefined ? undefined : product(above, Math.max(0, schema.maxProperties));
  return above;
}

/** The cost of a rule for all values in one object: unbounded nodes are counted by how many fit into a request. */
export function totalRuleCost(cost: number, cardinality: Cardinality, type: CelType): number {
  const smallest = (type.bounds?.minSerializedSize ?? 0) + 1;
  return product(cost, cardinality ?? Math.floor(requestBytesMax / smallest));
}

/** `estimated rule cost exceeds budget by factor of 3.2x (…)` */
export function costMessage(what: string, cost: number, max: number): string {
  const factor = cost / max;
  const told =
    factor > 100
      ? 'more than 100x'
      : factor < 1.5
        ? `${(Math.round(factor * 1e6) / 1e6).toFixed(6)}x`
        : `${factor.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${told} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}

/** Sums up the rules of a schema. */
export class SchemaCost {
  #total = 0;
  #most: { readonly path: FieldPath; readonly cost: number }[] = [];

  add(path: FieldPath, cost: number): void {
    this.#total += cost;
    if (cost < schemaCostMax / 100) return;
    this.#most = [...this.#most, { path, cost }].sort((a, b) => b.cost - a.cost).slice(0, named);
  }

  /** What is wrong with the whole; `path` is that of the schema. */
  errors(path: FieldPath): FieldError[] {
    if (this.#total <= schemaCostMax) return [];
    return [
      ...this.#most.map((each) =>
        fieldError.forbidden(
          each.path,
          'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema',
        ),
      ),
      fieldError.forbidden(
        path,
        costMessage(
          'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema',
          this.#total,
          schemaCostMax,
        ),
      ),
    ];
  }
}
