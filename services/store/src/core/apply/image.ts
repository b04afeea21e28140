import type { BackendImage } from '../backend.ts';
import { limits } from '../limits.ts';

/**
 * The form in which a whole state travels: `PHSTORE1`, then entries of kind (1 byte), key length (4), value length (4), key,
 * value, big endian. Kind 1 is a record; kind 2 a revision, whose key is main (8-byte float) and sub (4).
 */
const magic = 'PHSTORE1';
const recordKind = 1;
const revisionKind = 2;
const endKind = 3;

export type ImageEntry =
  | { readonly kind: 'record'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'revision'; readonly main: number; readonly sub: number; readonly value: Uint8Array };

/** Chunks of at most {@link limits.snapshotChunkBytes}, except where one value is larger. */
export function* encodeImage(image: BackendImage): Iterable<Uint8Array> {
  let parts: Uint8Array[] = [ascii(magic)];
  let size = magic.length;
  const flush = (): Uint8Array => {
    const chunk = new Uint8Array(size);
    let offset = 0;
    for (const part of parts) {
      chunk.set(part, offset);
      offset += part.length;
    }
    parts = [];
    size = 0;
    return chunk;
  };
  const entry = function* (kind: number, key: Uint8Array, value: Uint8Array): Iterable<Uint8Array> {
    const header = new Uint8Array(9);
    const view = new DataView(header.buffer);
    header[0] = kind;
    view.setUint32(1, key.length);
    view.setUint32(5, value.length);
    const length = 9 + key.length + value.length;
    if (size > 0 && size + length > limits.snapshotChunkBytes) yield flush();
    parts.push(header, key, value);
    size += length;
  };
  for (const [key, value] of image.records()) yield* entry(recordKind, ascii(key), value);
  for (const { main, sub, bytes } of image.revisions()) {
    const key = new Uint8Array(12);
    const view = new DataView(key.buffer);
    view.setFloat64(0, main);
    view.setUint32(8, sub);
    yield* entry(revisionKind, key, bytes);
  }
  yield* entry(endKind, new Uint8Array(0), new Uint8Array(0));
  yield flush();
}

/** Reads what {@link encodeImage} wrote, from chunks cut anywhere. Throws when it is torn or of another form. */
export class ImageDecoder {
  #pending = new Uint8Array(0);
  #sawMagic = false;
  #isComplete = false;

  push(chunk: Uint8Array): ImageEntry[] {
    let bytes = chunk;
    if (this.#pending.length > 0) {
      bytes = new Uint8Array(this.#pending.length + chunk.length);
      bytes.set(this.#pending);
      bytes.set(chunk, this.#pending.length);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const entries: ImageEntry[] = [];
    let position = 0;
    if (!this.#sawMagic && bytes.length >= magic.length) {
      if (text(bytes.subarray(0, magic.length)) !== magic)
        throw new Error('Cannot read the state image: it does not start with PHSTORE1');
      this.#sawMagic = true;
      position = magic.length;
    }
    while (this.#sawMagic && bytes.length - position >= 9) {
      const keyLength = view.getUint32(position + 1);
      const valueLength = view.getUint32(position + 5);
      const end = position + 9 + keyLength + valueLength;
      if (end > bytes.length) break;
      const kind = bytes[position];
      const keyAt = position + 9;
      const value = bytes.slice(keyAt + keyLength, end);
      if (kind === recordKind)
        entries.push({ kind: 'record', key: text(bytes.subarray(keyAt, keyAt + keyLength)), value });
      else if (kind === revisionKind) {
        entries.push({
          kind: 'revision',
          main: view.getFloat64(keyAt),
          sub: view.getUint32(keyAt + 8),
          value,
        });
      } else if (kind === endKind) this.#isComplete = true;
      else throw new Error(`Cannot read the state image: entry kind ${kind} is unknown`);
      position = end;
    }
    this.#pending = bytes.slice(position);
    return entries;
  }

  /** Throws when the image ended early. */
  finish(): void {
    if (!this.#isComplete || this.#pending.length > 0)
      throw new Error('Cannot read the state image: it ends too early');
  }
}

function ascii(value: string): Uint8Array {
  const bytes = new Uint8Array(value.length);
  for (let index = 0; index < value.length; index++) bytes[index] = value.charCodeAt(index);
  return bytes;
}

function text(bytes: Uint8Array): string {
  return String.fromCharCode.apply(null, bytes as unknown as number[]);
}
