import type { KubeObject, MessageSchema } from '@pilothouse/apimachinery';
import { apiVersionOf, parseExact } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import {
  builtinProtobuf,
  decodeJson,
  encodeJson,
  encodeUnstructuredJson,
  isProtobufDocument,
} from '@pilothouse/serializer';
import type { ObjectCodec } from '../storage/stored-object.ts';

export interface StoredVersion {
  /** Version written to the store. */
  readonly version: string;
  /** Between the version served and the one written, where more than the name differs. Give a new object. */
  readonly encode?: (object: KubeObject) => KubeObject;
  readonly decode?: (object: KubeObject) => KubeObject;
}

const encoder = new TextEncoder();

/** Encodings of a built-in kind: in the store and to clients as Kubernetes protobuf, to clients also as JSON. */
export function builtinCodec(
  group: string,
  version: string,
  kind: string,
  stored: StoredVersion,
): ObjectCodec {
  const served = schemaOf(group, version, kind);
  const written = schemaOf(group, stored.version, kind);
  const servedApiVersion = apiVersionOf(group, version);
  const writtenApiVersion = apiVersionOf(group, stored.version);
  const codec: ObjectCodec = {
    encode(object) {
      const converted = stored.encode?.(object) ?? object;
      const { resourceVersion: _, selfLink: __, ...metadata } = converted.metadata;
      return builtinProtobuf.encode({ ...converted, apiVersion: writtenApiVersion, kind, metadata }, written);
    },
    encodeStored(object) {
      const bytes = codec.encode(object);
      return { bytes, object: builtinProtobuf.forgotEmpty ? codec.decode(bytes) : object };
    },
    decode(bytes) {
      const object = isProtobufDocument(bytes)
        ? builtinProtobuf.decode(bytes, { group, version: stored.version, kind }).object
        : decodeJson(bytes, written).object;
      // An object may have been written by an older server in another version: its own schema read it.
      const converted =
        object.apiVersion === writtenApiVersion ? (stored.decode?.(object) ?? object) : object;
      converted.apiVersion = servedApiVersion;
      converted.kind = kind;
      return converted;
    },
    isOutdated(bytes) {
      const { object } = isProtobufDocument(bytes)
        ? builtinProtobuf.decode(bytes, { group, version: stored.version, kind })
        : decodeJson(bytes, written);
      return object.apiVersion !== writtenApiVersion;
    },
    json: (object) => encoder.encode(encodeJson(object, served)),
    protobuf: (object) => builtinProtobuf.encode(object, served),
  };
  return codec;
}

function schemaOf(group: string, version: string, kind: string): MessageSchema {
  const schema = builtinSchemas.kind(group, version, kind);
  if (schema === undefined)
    throw new Error(`Cannot serve ${kind} of ${apiVersionOf(group, version)}: its schema is unknown`);
  return schema;
}

/** Encodings of custom resources: JSON with sorted members, as upstream writes them. */
export function customResourceCodec(): ObjectCodec {
  const decoder = new TextDecoder();
  const text = (object: KubeObject, metadata: KubeObject['metadata']): string => {
    const { kind, apiVersion, ...rest } = object;
    // Members are sorted, so apiVersion and kind would stand among the others; clients get them where they fall.
    return encodeUnstructuredJson({ ...rest, apiVersion, kind, metadata });
  };
  return {
    encode(object) {
      const { resourceVersion: _, selfLink: __, ...metadata } = object.metadata;
      return encoder.encode(text(object, metadata));
    },
    decode: (bytes) => parseExact(decoder.decode(bytes)) as KubeObject,
    json: (object) => encoder.encode(text(object, object.metadata)),
    protobuf: () => undefined,
  };
}
