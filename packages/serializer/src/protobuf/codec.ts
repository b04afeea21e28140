import type { GroupVersionKind, KubeObject, MessageSchema, SchemaRegistry } from '@pilothouse/apimachinery';
import { apiVersionOf, parseApiVersion } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';

import { DecodeError } from '../errors.ts';
import { type JsonObject, setMember } from '../json-shape.ts';
import { DecoderCompiler } from './decode.ts';
import { EncoderCompiler } from './encode.ts';
import { Reader } from './reader.ts';
import { ReverseWriter } from './writer.ts';

/** First bytes of every Kubernetes protobuf document. */
export const protobufMagic: Uint8Array = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);

/** What runtime.Unknown holds: the type outside the message, and the message's bytes. */
export interface ProtobufEnvelope {
  readonly apiVersion: string;
  readonly kind: string;
  /** A view of the input, not a copy. */
  readonly raw: Uint8Array;
  readonly contentEncoding: string;
  readonly contentType: string;
}

/**
 * Kubernetes protobuf for the messages of a registry, byte for byte as upstream writes it. Not bound to a request; make one for
 * each registry and share it.
 */
export class ProtobufCodec {
  readonly #registry: SchemaRegistry;
  readonly #encoders: EncoderCompiler;
  readonly #decoders: DecoderCompiler;
  readonly #writer = new ReverseWriter();
  #writing = false;

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
    this.#encoders = new EncoderCompiler(registry);
    this.#decoders = new DecoderCompiler(registry, (bytes) => this.decode(bytes).object);
  }

  /** The bare message, as gRPC and list items use it. */
  encodeMessage(object: object, schema: MessageSchema): Buffer {
    return this.#write((writer) => {
      this.#encoders.message(schema)(writer, object);
    });
  }

  decodeMessage(bytes: Uint8Array, schema: MessageSchema): JsonObject {
    this.#decoders.resetDepth();
    const reader = new Reader(bytes);
    return this.#decoders.message(schema)(reader, reader.length);
  }

  /** The whole document: magic, runtime.Unknown, message. apiVersion and kind come from the object. */
  encode(object: object, schema: MessageSchema): Buffer {
    const { apiVersion = '', kind = '' } = object as { apiVersion?: string; kind?: string };
    return this.#write((writer) => {
      writeEnvelope(writer, apiVersion, kind, () => {
        this.#encoders.message(schema)(writer, object);
      });
    });
  }

  /** A document around message bytes that exist already. */
  wrap(raw: Uint8Array, apiVersion: string, kind: string): Buffer {
    return this.#write((writer) => {
      writeEnvelope(writer, apiVersion, kind, () => {
        writer.raw(raw);
      });
    });
  }

  /**
   * Reads a whole document. `fallback` gives the type when the envelope has none. Throws DecodeError for malformed bytes, with
   * `code` `UnknownKind` when no schema is known.
   */
  decode(bytes: Uint8Array, fallback?: GroupVersionKind): { object: KubeObject; kind: GroupVersionKind } {
    const envelope = decodeEnvelope(bytes);
    const parsed = parseApiVersion(envelope.apiVersion);
    const kind: GroupVersionKind = {
      group: (envelope.apiVersion === '' ? fallback?.group : parsed?.group) ?? '',
      version: (envelope.apiVersion === '' ? fallback?.version : parsed?.version) ?? '',
      kind: envelope.kind || (fallback?.kind ?? ''),
    };
    const schema = this.#registry.kind(kind.group, kind.version, kind.kind);
    if (!schema)
      throw new DecodeError(
        'Protobuf',
        `no kind ${JSON.stringify(kind.kind)} is registered for version ${JSON.stringify(apiVersionOf(kind.group, kind.version))}`,
      );
    const message = this.decodeMessage(envelope.raw, schema);
    const object: JsonObject = { kind: kind.kind, apiVersion: apiVersionOf(kind.group, kind.version) };
    for (const key of Object.keys(message)) setMember(object, key, message[key]);
    return { object: object as KubeObject, kind };
  }

  /** Whether the last encoding met an empty list or map: decoding its bytes gives an object without them. */
  get forgotEmpty(): boolean {
    return this.#writer.sawEmpty;
  }

  #write(body: (writer: ReverseWriter) => void): Buffer {
    // An encoder never calls back into the codec, so one writer does; a nested call would be a programming error.
    if (this.#writing) throw new Error('Cannot encode inside an encoder');
    this.#writing = true;
    this.#writer.sawEmpty = false;
    try {
      body(this.#writer);
      return this.#writer.finish();
    } finally {
      this.#writer.reset();
      this.#writing = false;
    }
  }
}

function writeEnvelope(writer: ReverseWriter, apiVersion: string, kind: string, body: () => void): void {
  // contentType and contentEncoding: written, always empty.
  writer.byte(0);
  writer.byte(0x22);
  writer.byte(0);
  writer.byte(0x1a);
  const beforeRaw = writer.length;
  body();
  writer.varint(writer.length - beforeRaw);
  writer.byte(0x12);
  const beforeType = writer.length;
  writer.string(kind);
  writer.byte(0x12);
  writer.string(apiVersion);
  writer.byte(0x0a);
  writer.varint(writer.length - beforeType);
  writer.byte(0x0a);
  writer.raw(protobufMagic);
}

/** Whether the bytes start as a Kubernetes protobuf document does. */
export function isProtobufDocument(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && protobufMagic.every((byte, index) => bytes[index] === byte);
}

/** Reads the envelope only. Throws DecodeError with upstream's messages. */
export function decodeEnvelope(bytes: Uint8Array): ProtobufEnvelope {
  if (bytes.length === 0) throw new DecodeError('Protobuf', 'empty data');
  if (!isProtobufDocument(bytes))
    throw new DecodeError(
      'Protobuf',
      'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]',
    );
  const reader = new Reader(bytes.subarray(4));
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array(0);
  let contentEncoding = '';
  let contentType = '';
  while (reader.position < reader.length) {
    const tag = reader.uint32();
    if (tag === 0x0a) {
      const end = reader.endOfLengthDelimited();
      while (reader.position < end) {
        const inner = reader.uint32();
        if (inner === 0x0a) apiVersion = reader.string();
        else if (inner === 0x12) kind = reader.string();
        else reader.skip(inner % 8);
      }
    } else if (tag === 0x12) raw = reader.bytes();
    else if (tag === 0x1a) contentEncoding = reader.string();
    else if (tag === 0x22) contentType = reader.string();
    else reader.skip(tag % 8);
  }
  return { apiVersion, kind, raw, contentEncoding, contentType };
}

/** The codec of the built-in kinds. */
export const builtinProtobuf: ProtobufCodec = new ProtobufCodec(builtinSchemas);
