import type { GroupVersionKind, KubeObject, MessageSchema } from '@pilothouse/apimachinery';
import { StatusError, apiVersionOf, goQuote, parseApiVersion, statusErrors } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import {
  DecodeError,
  bodyText,
  builtinProtobuf,
  decodeJson,
  decodeParsed,
  encodeJson,
  encodeUnstructuredJson,
  indentJson,
  parseJson,
} from '@pilothouse/serializer';
import type { FieldValidation } from '../request/request-context.ts';
import type { DecodedBody, ObjectCodec } from './codec.ts';
import type { ObjectMediaType } from './negotiation.ts';
import { jsonType, protobufType, yamlType } from './negotiation.ts';
import { encodeYaml, parseYaml } from './yaml.ts';

const typeMetaStruct = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

function summarize(body: Uint8Array): string {
  const max = 30;
  if (body.length === 0) return '<empty>';
  if (body[0] === 0x7b) {
    const text = Buffer.from(body.subarray(0, max)).toString('utf8');
    return body.length > max ? `${text} ...` : text;
  }
  const hex = Buffer.from(body).toString('hex');
  return hex.length > max * 2 ? `${hex.slice(0, max * 2)} ...` : hex;
}

/** The body could not even be taken for an object. */
function unrecognized(expected: GroupVersionKind, cause: string, body: Uint8Array): StatusError {
  return statusErrors.badRequest(
    `the object provided is unrecognized (must be of type ${expected.kind}): ${cause} (${summarize(body)})`,
  );
}

/** The object's kind is known, what it holds is wrong. */
function cannotHandle(gvk: GroupVersionKind, expected: GroupVersionKind, cause: string): StatusError {
  return statusErrors.badRequest(
    `${gvk.kind} in version ${goQuote(gvk.version)} cannot be handled as a ${expected.kind}: ${cause}`,
  );
}

/** `v1.ConfigMap` or `core.ConfigMap`: Go's name of a type, versioned or internal. */
function goName(gvk: GroupVersionKind, internal: boolean): string {
  const group = gvk.group === '' ? 'core' : (gvk.group.split('.')[0] as string);
  return `${internal ? group : gvk.version}.${gvk.kind}`;
}

const metaKinds = new Set(['DeleteOptions', 'CreateOptions', 'UpdateOptions', 'PatchOptions', 'ListOptions', 'Status', 'WatchEvent']);

/** Kinds of meta/v1 are known in every group-version. */
function schemaOf(gvk: GroupVersionKind): MessageSchema | undefined {
  return (
    builtinSchemas.kind(gvk.group, gvk.version, gvk.kind) ??
    (metaKinds.has(gvk.kind) ? builtinSchemas.message(`k8s.io.apimachinery.pkg.apis.meta.v1.${gvk.kind}`) : undefined)
  );
}

/** JSON, YAML and protobuf of the built-in kinds. */
export class BuiltinObjectCodec implements ObjectCodec {
  decode(
    body: Uint8Array,
    mediaType: ObjectMediaType,
    expected: GroupVersionKind,
    validation: FieldValidation,
  ): DecodedBody {
    if (mediaType === protobufType) return this.#decodeProtobuf(body, expected);
    const strict = validation !== 'Ignore';
    const findings: string[] = [];
    let value: unknown;
    let text: string;
    try {
      if (mediaType === yamlType) {
        const parsed = parseYaml(bodyText(body), strict);
        value = parsed.value;
        findings.push(...parsed.duplicates);
        text = JSON.stringify(value);
      } else {
        text = bodyText(body);
        value = parseJson(text);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const cause = mediaType === yamlType ? error.message : `couldn't get version/kind; json parse error: ${error.message}`;
      throw unrecognized(expected, cause, body);
    }
    // A document `null` is an object without members.
    const object = value === null ? {} : value;
    const gvk = typeOf(object, expected, body);
    const schema = this.#schemaFor(gvk, expected);
    let decoded: { object: KubeObject; strictErrors: string[] };
    try {
      decoded = mediaType === jsonType && value !== null
          ? decodeJson(body, schema, { strict })
          : decodeParsed(object, schema, { strict });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw cannotHandle(gvk, expected, error.message);
    }
    findings.push(...decoded.strictErrors);
    if (validation === 'Strict' && findings.length > 0) {
      throw cannotHandle(gvk, expected, `strict decoding error: ${strictText(findings)}`);
    }
    return { object: withType(decoded.object, gvk), gvk, strictErrors: validation === 'Warn' ? findings : [] };
  }

  #decodeProtobuf(body: Uint8Array, expected: GroupVersionKind): DecodedBody {
    try {
      const { object, kind } = builtinProtobuf.decode(body, expected);
      this.#schemaFor(kind, expected);
      return { object: withType(object, kind), gvk: kind, strictErrors: [] };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw unrecognized(expected, error.message, body);
    }
  }

  /** The schema to decode with. Throws 400 for a kind that cannot stand where `expected` should. */
  #schemaFor(gvk: GroupVersionKind, expected: GroupVersionKind): MessageSchema {
    if (gvk.kind === expected.kind) {
      // A wrong group-version of the right kind is refused by the caller, with a text of its own.
      const schema = schemaOf(gvk) ?? schemaOf(expected);
      if (schema) return schema;
    }
    if (schemaOf(gvk)) {
      throw cannotHandle(gvk, expected, `converting (${goName(gvk, false)}) to (${goName(expected, true)}): unknown conversion`);
    }
    throw cannotHandle(
      gvk,
      expected,
      `no kind ${goQuote(gvk.kind)} is registered for version ${goQuote(apiVersionOf(gvk.group, gvk.version))} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
    );
  }

  encode(object: object, mediaType: ObjectMediaType, pretty: boolean): Uint8Array {
    const { apiVersion = '', kind = '' } = object as { apiVersion?: string; kind?: string };
    const { group, version } = parseApiVersion(apiVersion) ?? { group: '', version: '' };
    const schema = schemaOf({ group, version, kind }) ?? discoverySchema(kind);
    if (mediaType === protobufType) {
      if (!schema) {
        throw new StatusError(
          406,
          'NotAcceptable',
          `object *v1.${kind} does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message`,
        );
      }
      return builtinProtobuf.encode(apiVersion === '' ? { ...object, apiVersion: 'v1' } : object, schema);
    }
    if (mediaType === yamlType) return Buffer.from(encodeYaml(object));
    const text = schema && isWholeObject(kind) ? encodeJson(object, schema) : JSON.stringify(object);
    return Buffer.from(pretty ? indentJson(text) : `${text}\n`);
  }

  /** JSON with sorted keys, for objects without schema. */
  static unstructured(object: object): Uint8Array {
    return Buffer.from(encodeUnstructuredJson(object));
  }
}

const partKinds = new Set(['Status', 'APIVersions', 'APIGroup', 'Table', 'PartialObjectMetadata']);

/** Lists are made from parts that are encoded already; only their envelope is new, so key order is as given. */
function isWholeObject(kind: string): boolean {
  return !kind.endsWith('List') && !partKinds.has(kind);
}

function discoverySchema(kind: string): MessageSchema | undefined {
  return ['APIVersions', 'APIGroupList', 'APIGroup', 'APIResourceList', 'PartialObjectMetadata', 'PartialObjectMetadataList'].includes(kind)
    ? builtinSchemas.message(`k8s.io.apimachinery.pkg.apis.meta.v1.${kind}`)
    : undefined;
}

function typeOf(object: unknown, expected: GroupVersionKind, body: Uint8Array): GroupVersionKind {
  const fail = (cause: string): StatusError =>
    unrecognized(expected, `couldn't get version/kind; json parse error: ${cause}`, body);
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    const what = Array.isArray(object) ? 'array' : typeof object === 'boolean' ? 'bool' : typeof object;
    throw fail(`json: cannot unmarshal ${what} into Go value of type ${typeMetaStruct}`);
  }
  const { apiVersion, kind } = object as { apiVersion?: unknown; kind?: unknown };
  for (const [name, value] of [['apiVersion', apiVersion], ['kind', kind]] as const) {
    if (value === undefined || value === null || typeof value === 'string') continue;
    const what = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    throw fail(`json: cannot unmarshal ${what} into Go struct field .${name} of type string`);
  }
  let { group, version } = expected;
  if (typeof apiVersion === 'string' && apiVersion !== '') {
    const parsed = parseApiVersion(apiVersion);
    if (!parsed) throw unrecognized(expected, `unexpected GroupVersion string: ${apiVersion}`, body);
    ({ group, version } = parsed);
  }
  return { group, version, kind: typeof kind === 'string' && kind !== '' ? kind : expected.kind };
}

function withType(object: KubeObject, gvk: GroupVersionKind): KubeObject {
  object.kind = gvk.kind;
  object.apiVersion = apiVersionOf(gvk.group, gvk.version);
  object.metadata ??= {};
  return object;
}

/** Duplicates of a YAML document come as one error with lines, the rest as a list. */
function strictText(findings: readonly string[]): string {
  const lines = findings.filter((finding) => finding.startsWith('line '));
  const others = findings.filter((finding) => !finding.startsWith('line '));
  const yaml = lines.length > 0 ? [`yaml: unmarshal errors:\n  ${lines.join('\n  ')}`] : [];
  return [...yaml, ...others].join(', ');
}
