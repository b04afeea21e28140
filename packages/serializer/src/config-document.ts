import type { FieldError } from '@pilothouse/apimachinery';
import { decodeYaml } from './yaml/decode.ts';

/** The members that a document may have; what is not listed is refused, as a misspelt rule must not count as absent. */
export type ConfigShape =
  | 'string'
  | 'boolean'
  | 'number'
  /** Whatever it is, someone else reads it. */
  | 'any'
  | { readonly list: ConfigShape }
  | { readonly fields: Readonly<Record<string, ConfigShape>> };

/**
 * Reads a configuration file of a component (YAML or JSON), of one of the `versions` of `group`. Throws an Error that names the first bad member,
 * another kind or an unknown version.
 */
export function readConfigDocument(
  text: string,
  kind: string,
  versions: readonly string[],
  shape: Readonly<Record<string, ConfigShape>>,
  group: string,
): Readonly<Record<string, unknown>> {
  if (text.trim() === '') throw new Error('empty config data');
  const { value, duplicates } = decodeYaml(text);
  const problems = duplicates.map((each) => each);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`expected ${kind}, got a document that is no object`);
  const document = value as Record<string, unknown>;
  const apiVersion = String(document['apiVersion'] ?? '');
  if (document['kind'] !== kind) {
    throw new Error(
      `no kind ${JSON.stringify(document['kind'] ?? '')} is registered for version ${JSON.stringify(apiVersion)}: expected ${kind} of ${group}/${versions[0]}`,
    );
  }
  if (!versions.some((version) => apiVersion === `${group}/${version}`)) {
    throw new Error(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}: expected ${versions.map((version) => `${group}/${version}`).join(' or ')}`,
    );
  }
  problems.push(...misfits(document, { fields: { apiVersion: 'string', kind: 'string', ...shape } }, ''));
  if (problems.length > 0) throw new Error(`strict decoding error: ${problems.join(', ')}`);
  return document;
}

function misfits(value: unknown, shape: ConfigShape, path: string): string[] {
  if (value === null || value === undefined) return [];
  if (shape === 'any') return [];
  if (typeof shape === 'string') {
    return typeof value === shape ? [] : [`field "${path}" must be a ${shape}, not ${nameOf(value)}`];
  }
  if ('list' in shape) {
    if (!Array.isArray(value)) return [`field "${path}" must be a list, not ${nameOf(value)}`];
    return value.flatMap((each, index) => misfits(each, shape.list, `${path}[${index}]`));
  }
  if (typeof value !== 'object' || Array.isArray(value))
    return [`field "${path}" must be an object, not ${nameOf(value)}`];
  return Object.entries(value).flatMap(([name, member]) => {
    const inner = path === '' ? name : `${path}.${name}`;
    const known = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined;
    return known === undefined ? [`unknown field "${inner}"`] : misfits(member, known, inner);
  });
}

function nameOf(value: unknown): string {
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Findings in one line, as upstream joins them. */
export function joinedFindings(problems: readonly FieldError[]): string {
  const texts = problems.map(({ field, message }) => `${field}: ${message}`);
  return texts.length === 1 ? (texts[0] as string) : `[${texts.join(', ')}]`;
}
