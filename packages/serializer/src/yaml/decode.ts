import { LineCounter, parseAllDocuments, type Document, type ParsedNode, type Tags } from 'yaml';

import { DecodeError } from '../errors.ts';
import { setMember } from '../json-shape.ts';

export interface DecodedYaml {
  readonly value: unknown;
  /** `line 6: key "replicas" already set in map`; the last one wins in the value. */
  readonly duplicates: readonly string[];
}

/** A float with digits; the library would read a lone `.` (a key of managedFields) as a number. */
const plainFloat = /^[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)$/;

/** Likewise `E0` is a text: the exponent needs digits before it. */
const exponentFloat = /^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)[eE][-+]?[0-9]+$/;

/** The tags of YAML 1.1 as go-yaml resolves them: no times, no sexagesimal numbers. */
function goTags(tags: Tags): Tags {
  return tags
    .filter(
      (tag) =>
        typeof tag === 'string' || (tag.tag !== 'tag:yaml.org,2002:timestamp' && tag.format !== 'TIME'),
    )
    .map((tag) => {
      if (typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:float' || !('test' in tag)) return tag;
      if (tag.format === 'EXP') return { ...tag, test: exponentFloat };
      return tag.test?.test('.') ? { ...tag, test: plainFloat } : tag;
    }) as Tags;
}

/** Aliases expanded at most this often, against documents that grow without end. */
const aliasCountMax = 1000;

/**
 * Decodes the first document of a YAML text as sigs.k8s.io/yaml does: YAML 1.1 scalars (`yes` is true, `012` is ten), but times stay
 * texts. With `exact` integers beyond 2^53 that fit into 64 bits are bigint. Throws DecodeError `Yaml` with a message in the style of go-yaml.
 */
export function decodeYaml(text: string, exact = false): DecodedYaml {
  const intAsBigInt = exact && /\d{16}/.test(text);
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: '1.1',
    uniqueKeys: true,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'silent',
    customTags: goTags,
    intAsBigInt,
  });
  const document = (Array.isArray(documents) ? documents[0] : undefined) as Document.Parsed | undefined;
  if (!document) return { value: null, duplicates: [] };
  const duplicates: string[] = [];
  for (const error of document.errors) {
    const line = lines.linePos(error.pos[0]).line;
    if (error.code !== 'DUPLICATE_KEY') throw new DecodeError('Yaml', yamlMessage(error.code, line));
    const key = keyAt(document.contents, error.pos[0]) ?? text.slice(error.pos[0], error.pos[1]);
    duplicates.push(`line ${String(line)}: key ${JSON.stringify(key)} already set in map`);
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: aliasCountMax });
    return { value: intAsBigInt ? withPlainIntegers(value) : value, duplicates };
  } catch {
    throw new DecodeError('Yaml', 'yaml: document contains excessive aliasing');
  }
}

/** Only integers that need it stay bigint. */
function withPlainIntegers(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const isLong = !Number.isSafeInteger(Number(value)) && BigInt.asIntN(64, value) === value;
    return isLong ? value : Number(value);
  }
  if (Array.isArray(value)) return value.map(withPlainIntegers);
  if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value))
      setMember(value as Record<string, unknown>, key, withPlainIntegers(item));
  return value;
}

/** Text of the key that starts at an offset. */
function keyAt(node: ParsedNode | null, offset: number): string | undefined {
  if (node === null || !('items' in node)) return undefined;
  for (const item of node.items) {
    if ('key' in item) {
      const key = item.key as ParsedNode | null;
      if (key?.range[0] === offset && 'source' in key) return String(key.source);
      const inside = keyAt(item.value as ParsedNode | null, offset);
      if (inside !== undefined) return inside;
    } else {
      const inside = keyAt(item as ParsedNode, offset);
      if (inside !== undefined) return inside;
    }
  }
  return undefined;
}

function yamlMessage(code: string, line: number): string {
  const where = line > 1 ? `line ${String(line)}: ` : '';
  switch (code) {
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'MULTILINE_IMPLICIT_KEY':
      return `yaml: ${where}mapping values are not allowed in this context`;
    case 'TAB_AS_INDENT':
      return `yaml: line ${String(line)}: found character that cannot start any token`;
    case 'BAD_ALIAS':
      return `yaml: line ${String(line)}: unknown anchor referenced`;
    case 'MISSING_CHAR':
    case 'BAD_INDENT':
      return `yaml: line ${String(line)}: did not find expected node content`;
    default:
      return `yaml: line ${String(line)}: could not find expected ':'`;
  }
}
