import { jsonText, parseExact } from '@pilothouse/apimachinery';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Stored } from '../registry/rest/rest-storage.ts';
import { deepFreeze } from './deep.ts';

/** Encodings of a kind. Objects have apiVersion and kind; nothing given is changed. */
export interface ObjectCodec {
  /** What is written to the store: without metadata.resourceVersion. */
  encode(object: KubeObject): Uint8Array;
  /** `encode`, and the object as reading the bytes would give it: empty lists that the bytes cannot hold are gone. Default: as given. */
  encodeStored?(object: KubeObject): { readonly bytes: Uint8Array; readonly object: KubeObject };
  /** The inverse; gives an object of its own with apiVersion and kind of the storage version. Throws on damaged bytes. */
  decode(bytes: Uint8Array): KubeObject;
  /** Whether the bytes were written in another version than `encode` writes: then a write that changes nothing is done all the same. */
  isOutdated?(bytes: Uint8Array): boolean;
  /** JSON as clients get it, beginning with kind and apiVersion. */
  json(object: KubeObject): Uint8Array;
  /** The envelope as clients get it; undefined: the kind has no protobuf form. */
  protobuf(object: KubeObject): Uint8Array | undefined;
}

const headBytes = '{"kind":"","apiVersion":"",'.length;

/** An object at a revision, with its encodings made on demand. */
export class StoredObject implements Stored {
  readonly key: string;
  readonly revision: number;
  readonly object: KubeObject;
  readonly #codec: ObjectCodec;
  #json: Uint8Array | undefined;
  #protobuf: Uint8Array | undefined | null = null;

  /** Takes over `object`: sets its resourceVersion (unless `revision` is 0) and freezes it. */
  constructor(codec: ObjectCodec, key: string, revision: number, object: KubeObject) {
    if (revision !== 0) object.metadata.resourceVersion = String(revision);
    this.key = key;
    this.revision = revision;
    this.object = deepFreeze(object);
    this.#codec = codec;
  }

  json(): Uint8Array {
    return (this.#json ??= this.#codec.json(this.object));
  }

  listItemJson(): Uint8Array {
    // What stands before is ASCII without escapes: `{"kind":"…","apiVersion":"…",`.
    const { kind = '', apiVersion = '' } = this.object;
    return this.json().subarray(headBytes + kind.length + apiVersion.length);
  }

  protobuf(): Uint8Array | undefined {
    if (this.#protobuf === null) this.#protobuf = this.#codec.protobuf(this.object);
    return this.#protobuf;
  }

  listItemProtobuf(): Uint8Array | undefined {
    const envelope = this.protobuf();
    return envelope === undefined ? undefined : rawOfEnvelope(envelope);
  }
}

/** The `raw` field of a runtime.Unknown behind the magic bytes `k8s\0`. */
function rawOfEnvelope(envelope: Uint8Array): Uint8Array {
  let at = 4;
  for (;;) {
    const tag = envelope[at++];
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = envelope[at++] ?? 0;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (tag === 0x12) return envelope.subarray(at, at + length);
    // A message without any field has no raw.
    if (tag !== 0x0a) return new Uint8Array(0);
    at += length;
  }
}

/** {@link ObjectCodec.encodeStored}, whether the codec has one or not. */
export function encodeStored(
  codec: ObjectCodec,
  object: KubeObject,
): { readonly bytes: Uint8Array; readonly object: KubeObject } {
  return codec.encodeStored?.(object) ?? { bytes: codec.encode(object), object };
}

/** The same object in its state at another revision: a deletion's last state, a selector's synthetic event. */
export function atRevision(codec: ObjectCodec, stored: Stored, revision: number): StoredObject {
  // A shallow copy is enough: only metadata differs, the rest stays shared and frozen.
  const object: KubeObject = { ...stored.object, metadata: { ...stored.object.metadata } };
  return new StoredObject(codec, stored.key, revision, object);
}

/** JSON without schemas: kind, apiVersion, metadata, then the rest as it stands. For custom resources and tests. */
export function plainJsonCodec(): ObjectCodec {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const ordered = (object: KubeObject, metadata: KubeObject['metadata']): string => {
    const { kind, apiVersion, metadata: _, ...rest } = object;
    return jsonText({ kind, apiVersion, metadata, ...rest });
  };
  return {
    encode(object) {
      const { resourceVersion: _, ...metadata } = object.metadata;
      return encoder.encode(ordered(object, metadata));
    },
    decode: (bytes) => parseExact(decoder.decode(bytes)) as KubeObject,
    json: (object) => encoder.encode(ordered(object, object.metadata)),
    protobuf: () => undefined,
  };
}
