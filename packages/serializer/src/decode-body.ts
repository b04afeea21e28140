import type { GroupVersionKind, KubeObject, SchemaRegistry } from '@pilothouse/apimachinery';
import { apiVersionOf, parseApiVersion, StatusError, withExactIntegers } from '@pilothouse/apimachinery';
import { allKindsGroupVersions, builtinSchemas } from '@pilothouse/api';

import { DecodeError } from './errors.ts';
import { bodyText, decodeParsed, parseJson } from './json/decode.ts';
import { jsonKind } from './json/go-type.ts';
import { isJsonObject } from './json-shape.ts';
import { negotiateInput, protobufMediaType, yamlMediaType } from './negotiation.ts';
import { builtinProtobuf, decodeEnvelope } from './protobuf/codec.ts';
import { decodeYaml } from './yaml/decode.ts';

const badRequest = (message: string): StatusError => new StatusError(400, 'BadRequest', message);

/** A body as data, before it is known to be of a kind. */
export interface ParsedDocument {
  readonly value: unknown;
  /** The JSON text, for the search for duplicates. */
  readonly text?: string;
  /** Duplicates that YAML has found. */
  readonly yamlDuplicates: readonly string[];
}

/**
 * Parses JSON or YAML. Integers beyond 2^53 that fit into 64 bits are bigint in YAML, and in JSON with `exact`; without it the decoder of
 * a known kind asks the text for them. Throws DecodeError.
 */
export function parseDocument(body: Uint8Array, mediaType: string, exact = false): ParsedDocument {
  const text = bodyText(body);
  if (mediaType === yamlMediaType || mediaType.endsWith('+yaml')) {
    const { value, duplicates } = decodeYaml(text, true);
    return { value, yamlDuplicates: duplicates };
  }
  const value = parseJson(text);
  return { value: exact ? withExactIntegers(text, value) : value, text, yamlDuplicates: [] };
}

const previewBytesMax = 30;

/** A body in an error message: its beginning as text when it looks like JSON, in hex otherwise. */
export function describeBody(body: Uint8Array): string {
  if (body.length === 0) return '<empty>';
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const preview = bytes.subarray(0, previewBytesMax).toString(bytes[0] === 0x7b ? 'utf8' : 'hex');
  return body.length > previewBytesMax ? `${preview} ...` : preview;
}

/** 400 for a body of which not even the kind can be told. */
export function unrecognizedObject(expectedKind: string, cause: string, body: Uint8Array): StatusError {
  return badRequest(
    `the object provided is unrecognized (must be of type ${expectedKind}): ${cause} (${describeBody(body)})`,
  );
}

/** 400 for a body whose kind is known, but which is not a good object of that kind. */
export function cannotBeHandled(kind: GroupVersionKind, expectedKind: string, cause: string): StatusError {
  return badRequest(
    `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${expectedKind}: ${cause}`,
  );
}

const typeMetaStruct =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

/** apiVersion and kind of a parsed document, filled up from `fallback`. Throws DecodeError. */
export function documentKind(value: unknown, fallback: GroupVersionKind): GroupVersionKind {
  const prefix = "couldn't get version/kind; json parse error: json: cannot unmarshal";
  if (value === null) return fallback;
  if (!isJsonObject(value))
    throw new DecodeError('JsonType', `${prefix} ${jsonKind(value)} into Go value of type ${typeMetaStruct}`);
  for (const name of ['apiVersion', 'kind']) {
    const member: unknown = value[name];
    if (member !== undefined && member !== null && typeof member !== 'string')
      throw new DecodeError(
        'JsonType',
        `${prefix} ${jsonKind(member)} into Go struct field .${name} of type string`,
      );
  }
  const apiVersion = (value['apiVersion'] ?? '') as string;
  const parsed = apiVersion === '' ? fallback : parseApiVersion(apiVersion);
  if (!parsed) throw new DecodeError('JsonType', `unexpected GroupVersion string: ${apiVersion}`);
  return {
    group: parsed.group,
    version: parsed.version,
    kind: ((value['kind'] ?? '') as string) || fallback.kind,
  };
}

/** Name of upstream's package of a group's internal types, as conversion errors show it. */
const internalPackage = (group: string): string => (group === '' ? 'core' : (group.split('.')[0] as string));

/** Refuses a body of another kind or version than the endpoint's. */
function checkKind(kind: GroupVersionKind, expected: GroupVersionKind): void {
  if (kind.group !== expected.group || kind.kind !== expected.kind)
    throw cannotBeHandled(
      kind,
      expected.kind,
      `converting (${kind.version}.${kind.kind}) to (${internalPackage(expected.group)}.${expected.kind}): unknown conversion`,
    );
  if (kind.version !== expected.version) throw versionMismatch(kind, expected);
}

/** 400 for a body in another version than the path's. */
export function versionMismatch(kind: GroupVersionKind, expected: GroupVersionKind): StatusError {
  return badRequest(
    `the API version in the data (${apiVersionOf(kind.group, kind.version)}) does not match the expected API version (${apiVersionOf(expected.group, expected.version)})`,
  );
}

/** Upstream still knows the types of versions that nothing serves any more, such as apps/v1beta1. */
const knowsVersion = (kind: GroupVersionKind): boolean =>
  allKindsGroupVersions.some(([group, version]) => group === kind.group && version === kind.version);

export interface DecodeBodyOptions {
  readonly contentType: string | undefined;
  /** The kind that the endpoint takes; what the body does not say is filled up from it. */
  readonly expected: GroupVersionKind;
  readonly fieldValidation?: 'Ignore' | 'Warn' | 'Strict';
  readonly registry?: SchemaRegistry;
}

export interface DecodedBody {
  readonly object: KubeObject;
  /** Texts for Warning headers; empty unless `Warn`. */
  readonly warnings: readonly string[];
}

/**
 * Decodes the body of a write to a built-in kind. Throws StatusError 415 or 400 with upstream's texts. `Strict` (unknown and duplicate
 * fields) is refused here too; protobuf has neither.
 */
export function decodeBody(body: Uint8Array, options: DecodeBodyOptions): DecodedBody {
  const mediaType = negotiateInput(options.contentType);
  return mediaType === protobufMediaType
    ? decodeProtobufBody(body, options.expected)
    : decodeTextBody(body, mediaType, options);
}

function decodeProtobufBody(body: Uint8Array, expected: GroupVersionKind): DecodedBody {
  let kind: GroupVersionKind;
  try {
    const envelope = decodeEnvelope(body);
    kind = documentKind({ apiVersion: envelope.apiVersion, kind: envelope.kind }, expected);
  } catch (error) {
    if (error instanceof DecodeError) throw unrecognizedObject(expected.kind, error.message, body);
    throw error;
  }
  checkKind(kind, expected);
  try {
    return { object: builtinProtobuf.decode(body, expected).object, warnings: [] };
  } catch (error) {
    if (error instanceof DecodeError) throw cannotBeHandled(kind, expected.kind, error.message);
    throw error;
  }
}

function decodeTextBody(body: Uint8Array, mediaType: string, options: DecodeBodyOptions): DecodedBody {
  const { expected, fieldValidation = 'Ignore', registry = builtinSchemas } = options;
  let document: ParsedDocument;
  let kind: GroupVersionKind;
  try {
    document = parseDocument(body, mediaType);
    kind = documentKind(document.value, expected);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const cause =
      error.code === 'JsonSyntax'
        ? `couldn't get version/kind; json parse error: ${error.message}`
        : error.message;
    throw unrecognizedObject(expected.kind, cause, body);
  }
  const schema = registry.kind(kind.group, kind.version, kind.kind);
  // Of another group the same name is another kind, but for those that moved out of extensions.
  const isKin = kind.kind === expected.kind && (kind.group === expected.group || kind.group === 'extensions');
  if (!schema && isKin && knowsVersion(kind)) throw versionMismatch(kind, expected);
  if (!schema)
    throw cannotBeHandled(
      kind,
      expected.kind,
      `no kind ${JSON.stringify(kind.kind)} is registered for version ${JSON.stringify(apiVersionOf(kind.group, kind.version))} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
    );
  try {
    const { object, strictErrors } = decodeParsed(document.value ?? {}, schema, {
      strict: fieldValidation !== 'Ignore',
      registry,
      ...(document.text !== undefined && { text: document.text, mergesDuplicates: true }),
    });
    checkKind(kind, expected);
    object.apiVersion = apiVersionOf(kind.group, kind.version);
    object.kind = kind.kind;
    const problems = strictProblems(document, strictErrors);
    if (fieldValidation === 'Strict' && problems.all.length > 0)
      throw cannotBeHandled(kind, expected.kind, `strict decoding error: ${problems.all.join(', ')}`);
    return { object, warnings: fieldValidation === 'Warn' ? problems.each : [] };
  } catch (error) {
    if (error instanceof DecodeError) throw cannotBeHandled(kind, expected.kind, error.message);
    throw error;
  }
}

/** YAML's duplicates are one error of several lines, but one warning each. */
export function strictProblems(
  document: ParsedDocument,
  strictErrors: readonly string[],
): { all: string[]; each: string[] } {
  const { yamlDuplicates } = document;
  if (yamlDuplicates.length === 0) return { all: [...strictErrors], each: [...strictErrors] };
  const joined = `yaml: unmarshal errors:\n${yamlDuplicates.map((text) => `  ${text}`).join('\n')}`;
  return { all: [joined, ...strictErrors], each: [...yamlDuplicates, ...strictErrors] };
}
