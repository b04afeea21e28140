/**
 * Keys inside the core are strings with one character (0-255) per byte: they hash and compare natively, and their order is
 * the byte order that etcd's ranges need.
 */
export type KeyText = string;

const chunk = 4096;

export function keyText(bytes: Uint8Array): KeyText {
  if (bytes.length <= chunk) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let text = '';
  for (let offset = 0; offset < bytes.length; offset += chunk) {
    text += String.fromCharCode.apply(null, bytes.subarray(offset, offset + chunk) as unknown as number[]);
  }
  return text;
}

export function keyBytes(text: KeyText): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/** A range of keys as etcd's requests give it. */
export interface KeyRange {
  readonly from: KeyText;
  /** Undefined: only the key `from`. Null: no upper end. Otherwise exclusive. */
  readonly to: KeyText | null | undefined;
}

/** `rangeEnd` empty: one key; `\0`: all keys from `key` on; otherwise [key, rangeEnd). */
export function keyRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  const from = keyText(key);
  if (rangeEnd.length === 0) return { from, to: undefined };
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return { from, to: null };
  return { from, to: keyText(rangeEnd) };
}

export function rangeContains(range: KeyRange, key: KeyText): boolean {
  if (range.to === undefined) return key === range.from;
  return key >= range.from && (range.to === null || key < range.to);
}
