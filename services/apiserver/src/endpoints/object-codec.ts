import type { GroupVersionKind, KubeObject, MessageSchema } from '@pilothouse/apimachinery';
import {
  apiVersionOf,
  goQuote,
  jsonText,
  parseApiVersion,
  parseExact,
  StatusError,
  statusErrors,
} from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import {
  DecodeError,
  builtinProtobuf,
  decodeBody,
  decodeEnvelope,
  decodeParsed,
  documentKind,
  encodeJson,
  encodeYaml,
  indentJson,
  parseDocument,
} from '@pilothouse/serializer';
import type { FieldValidation } from '../request/request-context.ts';
import type { DecodedBody, ObjectCodec } from './codec.ts';
import type { ObjectMediaType } from './negotiation.ts';
import { protobufType, yamlType } from './negotiation.ts';

const metaPackage = 'k8s.io.apimachinery.pkg.apis.meta.v1';

/** Kinds of meta/v1 are known in every group-version. */
const metaKinds = new Set([
  'APIGroup',
  'APIGroupList',
  'APIResourceList',
  'APIVersions',
  'DeleteOptions',
  'PartialObjectMetadata',
  'PartialObjectMetadataList',
  'Status',
]);

function schemaOf(gvk: GroupVersionKind): MessageSchema | undefined {
  return (
    builtinSchemas.kind(gvk.group, gvk.version, gvk.kind) ??
    (metaKinds.has(gvk.kind) ? builtinSchemas.message(`${metaPackage}.${gvk.kind}`) : undefined)
  );
}

/** Made here from parts that have their wire form already; the schema would only reorder them. */
const builtKinds = new Set(['Status', 'APIVersions', 'APIGroup', 'Table', 'PartialObjectMetadata']);

/** JSON, YAML and protobuf of the built-in kinds. */
export class BuiltinObjectCodec implements ObjectCodec {
  decode(
    body: Uint8Array,
    mediaType: ObjectMediaType,
    expected: GroupVersionKind,
    validation: FieldValidation,
  ): DecodedBody {
    return decodeBody(body, { contentType: mediaType, expected, fieldValidation: validation });
  }

  decodeDeleteOptions(body: Uint8Array, mediaType: ObjectMediaType): Record<string, unknown> {
    const kind = 'DeleteOptions';
    const schema = schemaOf({ group: '', version: 'v1', kind }) as MessageSchema;
    try {
      if (mediaType === protobufType) return builtinProtobuf.decodeMessage(decodeEnvelope(body).raw, schema);
      const { value, text } = parseDocument(body, mediaType);
      const given = documentKind(value, { group: '', version: 'v1', kind });
      if (
        !metaKinds.has(given.kind) &&
        builtinSchemas.kind(given.group, given.version, given.kind) === undefined
      )
        throw new DecodeError(
          'JsonType',
          `no kind ${goQuote(given.kind)} is registered for version ${goQuote(apiVersionOf(given.group, given.version))} in scheme "pkg/runtime/scheme.go:111"`,
        );
      return decodeParsed(value ?? {}, schema, text === undefined ? {} : { text }).object;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw statusErrors.badRequest(
        error.code === 'JsonSyntax'
          ? `couldn't get version/kind; json parse error: ${error.message}`
          : error.message,
      );
    }
  }

  encode(object: object, mediaType: ObjectMediaType, pretty: boolean): Uint8Array {
    const { apiVersion = '', kind = '' } = object as Partial<KubeObject>;
    const { group, version } = parseApiVersion(apiVersion) ?? { group: '', version: '' };
    const schema = schemaOf({ group, version, kind });
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
    const isBuilt = schema === undefined || kind.endsWith('List') || builtKinds.has(kind);
    const text = isBuilt ? jsonText(object) : encodeJson(object, schema);
    // YAML is made from the JSON, which also has the members that are always written.
    if (mediaType === yamlType) return Buffer.from(encodeYaml(parseExact(text)));
    return Buffer.from(pretty ? indentJson(text) : `${text}\n`);
  }
}
