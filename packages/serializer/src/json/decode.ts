import type { KubeObject, MessageSchema, SchemaRegistry } from '@pilothouse/apimachinery';
import { withAllDigits } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';

import { DecodeError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json-shape.ts';
import { ConverterCompiler } from './convert.ts';
import type { Findings } from './findings.ts';
import { mergeDuplicates } from './merge-duplicates.ts';
import { hasDuplicateKeys } from './ordered.ts';
import { strictFindings } from './strict.ts';
import { goSyntaxMessage } from './syntax.ts';
import { jsonKind } from './go-type.ts';

const compilers = new WeakMap<SchemaRegistry, ConverterCompiler>();

function compilerFor(registry: SchemaRegistry): ConverterCompiler {
  let compiler = compilers.get(registry);
  if (!compiler) {
    compiler = new ConverterCompiler(registry);
    compilers.set(registry, compiler);
  }
  return compiler;
}

export interface DecodeJsonOptions {
  /** Look for unknown and duplicate fields (fieldValidation Warn and Strict). */
  readonly strict?: boolean;
  /** The text may have members twice: see merge-duplicates.ts. Without it the last one counts. */
  readonly mergesDuplicates?: boolean;
  /** Where messages inside the schema are found; the built-in ones by default. */
  readonly registry?: SchemaRegistry;
}

export interface DecodedJson {
  readonly object: KubeObject;
  /** Upstream's texts, for example `unknown field "spec.foo"`; empty unless `strict`. */
  readonly strictErrors: string[];
}

/** UTF-8 text of a body; a byte order mark stays, so that parsing refuses it as upstream does. */
export function bodyText(body: Uint8Array | string): string {
  if (typeof body === 'string') return body;
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}

/** Objects and lists inside each other that a document may have, as in Go. */
const nestingMax = 10_000;

function isTooDeep(text: string): boolean {
  // Most documents are shorter than what such a depth takes.
  if (text.length <= nestingMax) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++)
        if (text.charCodeAt(at) === 0x5c) at++;
    } else if (code === 0x7b || code === 0x5b) {
      if (++depth > nestingMax) return true;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return false;
}

/** JSON.parse with Go's error messages. Throws DecodeError `JsonSyntax`. */
export function parseJson(text: string): unknown {
  if (isTooDeep(text)) throw new DecodeError('JsonSyntax', 'exceeded max depth');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new DecodeError('JsonSyntax', goSyntaxMessage(text));
  }
}

/**
 * Decodes a JSON document of a known type: checked against the schema and in the form objects have in memory.
 * Throws DecodeError with Go's message, `JsonSyntax` or `JsonType`.
 */
export function decodeJson(
  body: Uint8Array | string,
  schema: MessageSchema,
  options: DecodeJsonOptions = {},
): DecodedJson {
  const text = bodyText(body);
  return decodeParsed(parseJson(text), schema, {
    ...options,
    mergesDuplicates: options.mergesDuplicates ?? options.strict === true,
    text,
  });
}

/** Like {@link decodeJson} for a parsed document; duplicates are looked for when its `text` is given. */
export function decodeParsed(
  value: unknown,
  schema: MessageSchema,
  options: DecodeJsonOptions & { readonly text?: string } = {},
): DecodedJson {
  const registry = options.registry ?? builtinSchemas;
  const { text } = options;
  const hasDuplicates = options.mergesDuplicates && text !== undefined && hasDuplicateKeys(text, value);
  if (hasDuplicates) {
    const { object } = decodeParsed(mergeDuplicates(text, schema, registry), schema, { registry });
    return { object, strictErrors: options.strict ? strictFindings(text, schema, registry) : [] };
  }
  if (!isJsonObject(value)) {
    const name = schema.name.split('.').slice(-2).join('.');
    throw new DecodeError(
      'JsonType',
      `json: cannot unmarshal ${jsonKind(value)} into Go value of type ${name}`,
    );
  }
  const compiler = compilerFor(registry);
  const begin = (): Findings => ({
    error: undefined,
    fatal: undefined,
    unknown: options.strict ? [] : undefined,
    long: false,
  });
  let findings = begin();
  let object = compiler.convert(value, schema, findings) as KubeObject;
  if (findings.long && options.text !== undefined) {
    // Ordinary documents pay nothing for the digits of the few that have long integers.
    findings = begin();
    object = compiler.convert(
      withAllDigits(options.text, value) as JsonObject,
      schema,
      findings,
    ) as KubeObject;
  }
  const problem = findings.fatal ?? findings.error;
  if (problem) throw problem;
  if (!options.strict) return { object, strictErrors: [] };
  const strictErrors = (findings.unknown ?? []).map((path) => `unknown field ${JSON.stringify(path)}`);
  return { object, strictErrors };
}

/**
 * A copy of an object in the form objects have in memory (see zero-value.ts), so that decoding what was encoded gives the same
 * object again. Throws DecodeError when a value has the wrong type.
 */
export function normalize<T extends object>(
  object: T,
  schema: MessageSchema,
  registry: SchemaRegistry = builtinSchemas,
): T {
  const findings: Findings = { error: undefined, fatal: undefined, unknown: undefined, long: false };
  const result = compilerFor(registry).convert(object as JsonObject, schema, findings);
  const problem = findings.fatal ?? findings.error;
  if (problem) throw problem;
  return result as T;
}
