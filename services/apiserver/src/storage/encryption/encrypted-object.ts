import { createHash } from 'node:crypto';
import { Reader, WireError, Writer } from '@pilothouse/proto';
import { EncryptionError } from './transformer.ts';

/** How the data key follows from what the KMS decrypts. */
export const dekSourceType = { key: 0, seed: 1 } as const;

/** A value as the KMS v2 provider stores it: protobuf of upstream's EncryptedObject (kmsv2/v2/api.proto). */
export interface EncryptedObject {
  readonly data: Uint8Array;
  readonly keyId: string;
  /** Key or seed, encrypted by the KMS; at most 1 KiB. */
  readonly dekSource: Uint8Array;
  readonly annotations: ReadonlyMap<string, Uint8Array>;
  readonly dekSourceType: number;
}

const keyIdBytesMax = 1024;
const dekSourceBytesMax = 1024;
const annotationBytesMax = 32 * 1024;
const domainName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/;

/** Throws EncryptionError for what a plugin or the store must not give. */
export function checkEncryptedObject(object: EncryptedObject): void {
  if (object.dekSourceType !== dekSourceType.key && object.dekSourceType !== dekSourceType.seed) {
    throw new EncryptionError(`unknown encryptedDEKSourceType: ${object.dekSourceType}`);
  }
  if (object.data.length === 0) throw new EncryptionError('encrypted data is empty');
  checkKeyId(object.keyId);
  const { length } = object.dekSource;
  if (length === 0) throw new EncryptionError('encrypted DEK source is empty');
  if (length > dekSourceBytesMax) {
    throw new EncryptionError(
      `encrypted DEK source is ${length} bytes, which exceeds the max size of ${dekSourceBytesMax}`,
    );
  }
  let total = 0;
  for (const [name, value] of object.annotations) {
    if (!domainName.test(name) || name.length > 253) {
      throw new EncryptionError(`annotation "${name}" of the KMS is not a fully qualified domain name`);
    }
    total += Buffer.byteLength(name) + value.length;
  }
  if (total > annotationBytesMax) {
    throw new EncryptionError(
      `total size of annotations is ${total}, which exceeds the max size of ${annotationBytesMax}`,
    );
  }
}

export function checkKeyId(keyId: string): void {
  if (keyId === '') throw new EncryptionError('keyID is empty');
  const { length } = Buffer.from(keyId);
  if (length > keyIdBytesMax) {
    throw new EncryptionError(`keyID is ${length} bytes, which exceeds the max size of ${keyIdBytesMax}`);
  }
}

/** Key ids may tell of the KMS: logs and metrics have their hash. */
export function keyIdHash(keyId: string): string {
  return keyId === '' ? '' : `sha256:${createHash('sha256').update(keyId).digest('hex')}`;
}

/** Fields in ascending order, empty ones left out, as Go's protobuf writes them. */
export function encodeEncryptedObject(object: EncryptedObject): Uint8Array {
  checkEncryptedObject(object);
  const writer = new Writer(object.data.length + 256);
  writer.uint32(0x0a);
  writer.bytes(object.data);
  writer.uint32(0x12);
  writer.string(object.keyId);
  writer.uint32(0x1a);
  writer.bytes(object.dekSource);
  writeAnnotations(writer, 0x22, object.annotations);
  if (object.dekSourceType !== 0) {
    writer.uint32(0x28);
    writer.uint32(object.dekSourceType);
  }
  return writer.finish();
}

export function decodeEncryptedObject(bytes: Uint8Array): EncryptedObject {
  let data: Uint8Array = new Uint8Array(0);
  let keyId = '';
  let dekSource: Uint8Array = new Uint8Array(0);
  const annotations = new Map<string, Uint8Array>();
  let type = 0;
  try {
    readFields(bytes, (field, reader) => {
      if (field === 1) data = reader.bytes();
      else if (field === 2) keyId = reader.string();
      else if (field === 3) dekSource = reader.bytes();
      else if (field === 4) readAnnotation(reader.bytes(), annotations);
      else if (field === 5) type = reader.uint32();
      else return false;
      return true;
    });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new EncryptionError('the stored data is no message of the KMS provider');
  }
  const object = { data, keyId, dekSource, annotations, dekSourceType: type };
  checkEncryptedObject(object);
  return object;
}

/** Reads a message: `read` takes the field's value and returns true, or leaves it and returns false. Throws WireError. */
export function readFields(bytes: Uint8Array, read: (field: number, reader: Reader) => boolean): void {
  const reader = new Reader(bytes);
  while (reader.position < bytes.length) {
    const tag = reader.uint32();
    const wireType = tag & 7;
    const known = wireType === 0 || wireType === 2;
    if (!known || !read(tag >>> 3, reader)) reader.skip(wireType);
  }
}

/** A `map<string, bytes>`, sorted so that equal maps give equal bytes. */
export function writeAnnotations(
  writer: Writer,
  tag: number,
  annotations: ReadonlyMap<string, Uint8Array>,
): void {
  for (const name of [...annotations.keys()].toSorted()) {
    writer.uint32(tag);
    const mark = writer.open();
    writer.uint32(0x0a);
    writer.string(name);
    writer.uint32(0x12);
    writer.bytes(annotations.get(name) as Uint8Array);
    writer.close(mark);
  }
}

export function readAnnotation(bytes: Uint8Array, annotations: Map<string, Uint8Array>): void {
  let name = '';
  let value: Uint8Array = new Uint8Array(0);
  readFields(bytes, (field, reader) => {
    if (field === 1) name = reader.string();
    else if (field === 2) value = reader.bytes();
    else return false;
    return true;
  });
  annotations.set(name, value.slice());
}
