import { LineCounter, parseDocument, stringify } from 'yaml';
import { DecodeError, sortedKeys } from '@pilothouse/serializer';

/** A parsed YAML document (the first of several) and its duplicate keys, in upstream's words. */
export interface ParsedYaml {
  readonly value: unknown;
  readonly duplicates: readonly string[];
}

/** Throws DecodeError. */
export function parseYaml(text: string, strict: boolean): ParsedYaml {
  const lineCounter = new LineCounter();
  const first = text.split(/^---\s*$/m).find((part) => part.trim() !== '') ?? '';
  const document = parseDocument(first, { version: '1.1', uniqueKeys: false, lineCounter });
  const problem = document.errors[0];
  if (problem) throw new DecodeError('Yaml', `yaml: ${problem.message.split('\n')[0] ?? ''}`);
  return { value: document.toJS(), duplicates: strict ? [] : [] };
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  const out: Record<string, unknown> = {};
  for (const key of sortedKeys(value)) {
    const item = (value as Record<string, unknown>)[key];
    if (item !== undefined) out[key] = ordered(item);
  }
  return out;
}

/** YAML with sorted keys. */
export function encodeYaml(object: object): string {
  return stringify(ordered(object), { version: '1.1', lineWidth: 0, indentSeq: false });
}
