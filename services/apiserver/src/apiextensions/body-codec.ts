import type { GroupVersionKind, KubeObject, MessageSchema } from '@pilothouse/apimachinery';
import { isJsonObject, jsonText, parseApiVersion, parseExact, statusErrors } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import { eachEmbedded, prune } from '@pilothouse/api/apiextensions';
import type { JsonSchema } from '@pilothouse/api/apiextensions';
import {
  bodyText,
  cannotBeHandled,
  DecodeError,
  decodeParsed,
  duplicateFields,
  encodeUnstructuredJson,
  encodeYaml,
  indentJson,
  parseDocument,
  strictProblems,
  unrecognizedObject,
  versionMismatch,
} from '@pilothouse/serializer';
import type { FieldValidation } from '../request/request-context.ts';
import type { DecodedBody, ObjectCodec } from '../endpoints/codec.ts';
import { BuiltinObjectCodec } from '../endpoints/object-codec.ts';
import type { ObjectMediaType } from '../endpoints/negotiation.ts';
import { protobufType, yamlType } from '../endpoints/negotiation.ts';

const objectMeta = builtinSchemas.message('k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta') as MessageSchema;
const shared = new BuiltinObjectCodec();

/** Reads bodies of custom resources: only what the structural schema of the version knows comes in. */
export class CustomBodyCodec implements ObjectCodec {
  readonly #schema: JsonSchema | undefined;

  constructor(schema: JsonSchema | undefined) {
    this.#schema = schema;
  }

  decode(
    body: Uint8Array,
    mediaType: ObjectMediaType,
    expected: GroupVersionKind,
    validation: FieldValidation,
  ): DecodedBody {
    if (mediaType === protobufType) {
      throw statusErrors.unsupportedMediaType(
        'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml',
      );
    }
    let document: ReturnType<typeof parseDocument>;
    try {
      document = parseDocument(body, mediaType, true);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const cause =
        error.code === 'JsonSyntax' && mediaType !== yamlType
          ? `couldn't get version/kind; json parse error: ${error.message}`
          : error.message;
      throw unrecognizedObject(expected.kind, cause, body);
    }
    const kind = documentKind(document.value, expected, body);
    const object = document.value as KubeObject;
    const strict = validation !== 'Ignore';
    const findings = strict && document.text !== undefined ? duplicateFields(bodyText(body)) : [];
    try {
      findings.push(...this.coerce(object, strict));
    } catch (error) {
      if (error instanceof DecodeError) throw cannotBeHandled(kind, expected.kind, error.message);
      throw error;
    }
    if (kind.group !== expected.group || kind.version !== expected.version) {
      throw versionMismatch(kind, expected);
    }
    if (kind.kind !== expected.kind) {
      throw statusErrors.invalid({ group: expected.group, kind: kind.kind }, object.metadata.name ?? '', [
        {
          type: 'FieldValueInvalid',
          field: 'kind',
          message: `Invalid value: ${JSON.stringify(kind.kind)}: must be ${expected.kind}`,
        },
      ]);
    }
    const problems = strictProblems(document, findings);
    if (validation === 'Strict' && problems.all.length > 0) {
      throw cannotBeHandled(kind, expected.kind, `strict decoding error: ${problems.all.join(', ')}`);
    }
    return { object, warnings: validation === 'Warn' ? problems.each : [] };
  }

  /** Makes metadata an ObjectMeta and prunes the rest, in place. Gives the unknown fields. Throws DecodeError. */
  coerce(object: KubeObject, strict: boolean): string[] {
    const findings = coerceMetadata(object as Record<string, unknown>, '', strict);
    object.metadata ??= {};
    eachEmbedded(object, this.#schema, (resource, path) => {
      try {
        findings.push(...coerceMetadata(resource, `${path.text}.`, strict));
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        const shown = jsonText(resource['metadata']);
        throw new DecodeError(
          'JsonType',
          `${path.child('metadata').text}: Invalid value: ${shown}: ${error.message}`,
        );
      }
    });
    const dropped = prune(object, this.#schema, true).map((path) => `unknown field ${JSON.stringify(path)}`);
    return strict ? [...findings, ...dropped] : [];
  }

  decodeDeleteOptions(body: Uint8Array, mediaType: ObjectMediaType): Record<string, unknown> {
    return shared.decodeDeleteOptions(body, mediaType);
  }

  encode(object: object, mediaType: ObjectMediaType, pretty: boolean): Uint8Array {
    if (mediaType === protobufType) return shared.encode(object, mediaType, pretty);
    const text = encodeUnstructuredJson(object);
    if (mediaType === yamlType) return Buffer.from(encodeYaml(parseExact(text)));
    return Buffer.from(pretty ? indentJson(text) : `${text}\n`);
  }
}

function coerceMetadata(resource: Record<string, unknown>, prefix: string, strict: boolean): string[] {
  const { metadata } = resource;
  if (metadata === undefined) return [];
  if (metadata === null) {
    delete resource['metadata'];
    return [];
  }
  const { object, strictErrors } = decodeParsed(metadata, objectMeta, { strict });
  resource['metadata'] = object;
  return strictErrors.map((text) => text.replace('unknown field "', `unknown field "${prefix}metadata.`));
}

function documentKind(value: unknown, expected: GroupVersionKind, body: Uint8Array): GroupVersionKind {
  const text = bodyText(body);
  const refuse = (cause: string) => unrecognizedObject(expected.kind, cause, body);
  if (!isJsonObject(value)) {
    throw refuse(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    );
  }
  const { apiVersion, kind } = value;
  if (typeof kind !== 'string' || kind === '') throw refuse(`Object 'Kind' is missing in '${text}'`);
  if (typeof apiVersion !== 'string' || apiVersion === '') {
    throw refuse(`Object 'apiVersion' is missing in '${text}'`);
  }
  const parsed = parseApiVersion(apiVersion);
  if (parsed === undefined) throw refuse(`unexpected GroupVersion string: ${apiVersion}`);
  return { ...parsed, kind };
}
