// The frame of a record in a segment, little-endian, aligned to 8 bytes:
//   length u24 (type and payload) | check u8 of the length | crc of the record before u32 | crc u32 of (that crc, type, payload) | type u8 | payload | zeros
// The checksum of the record before chains records over all segments, yet each record can be verified alone: that is what
// tells a torn tail (repairable) from damage in the middle (not repairable).
import { assert } from '@pilothouse/base';
import { crc32c } from '../../core/crc32c.ts';

export const recordTypes = { metadata: 1, entry: 2, hardState: 3, snapshot: 4 } as const;
export type RecordType = (typeof recordTypes)[keyof typeof recordTypes];

/** Set on the first record after a sync: proof that everything before it was durable when it was written. */
export const syncedBeforeFlag = 0x80;

export const frameHeaderBytes = 13;
/** Type and payload of a record fit in this. */
export const recordBytesMax = 2 ** 24 - 1;
/** Devices write sectors of at least this size whole or not at all. */
export const sectorBytes = 512;

export interface WalRecord {
  readonly type: RecordType;
  readonly payload: Uint8Array;
}

export function frameBytes(payloadLength: number): number {
  return (frameHeaderBytes + payloadLength + 7) & ~7;
}

/**
 * A length is one aligned word, so a torn write leaves it whole or zero: a check that fails is damage, and a length that passes tells
 * truly how far the record was to reach.
 */
function checkedLength(length: number): number {
  const check = 0x5a ^ (length & 0xff) ^ ((length >> 8) & 0xff) ^ (length >> 16);
  return (length | (check << 24)) >>> 0;
}

/** Writes one frame into `target` at `at`; returns its checksum. */
export function writeFrame(
  target: Uint8Array,
  at: number,
  frame: { readonly type: number; readonly payload: Uint8Array; readonly previousCrc: number },
): number {
  const { type, payload, previousCrc } = frame;
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  assert(payload.length < recordBytesMax, `A record of ${payload.length} bytes is too long`);
  view.setUint32(at, checkedLength(payload.length + 1), true);
  view.setUint32(at + 4, previousCrc, true);
  target[at + 12] = type;
  target.set(payload, at + frameHeaderBytes);
  const crc = crc32c(target.subarray(at + 12, at + frameHeaderBytes + payload.length), previousCrc);
  view.setUint32(at + 8, crc, true);
  return crc;
}

export type ParsedFrame =
  | {
      readonly kind: 'record';
      readonly type: RecordType;
      readonly isSyncedBefore: boolean;
      readonly payload: Uint8Array;
      readonly previousCrc: number;
      readonly crc: number;
      readonly end: number;
    }
  | { readonly kind: 'end' }
  | { readonly kind: 'damaged'; readonly reason: string; readonly mayBeTorn: boolean; readonly end: number };

/** Reads the frame at `at`. `end`: no more records (zeros, or the segment is full). */
export function parseFrame(source: Uint8Array, at: number): ParsedFrame {
  if (at + frameHeaderBytes > source.length) return { kind: 'end' };
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const word = view.getUint32(at, true);
  if (word === 0) return { kind: 'end' };
  const length = word & 0xffffff;
  if (length === 0 || checkedLength(length) !== word) {
    return { kind: 'damaged', reason: 'its length is damaged', mayBeTorn: false, end: source.length };
  }
  const end = at + frameBytes(length - 1);
  if (at + 12 + length > source.length) {
    return {
      kind: 'damaged',
      reason: `its length ${length} does not fit`,
      mayBeTorn: false,
      end: source.length,
    };
  }
  const previousCrc = view.getUint32(at + 4, true);
  const crc = view.getUint32(at + 8, true);
  const body = source.subarray(at + 12, at + 12 + length);
  if (crc32c(body, previousCrc) !== crc)
    return {
      kind: 'damaged',
      reason: 'its checksum does not match',
      mayBeTorn: hasMissingSector(source, at, end),
      end,
    };
  const type = body[0] as number;
  return {
    kind: 'record',
    type: (type & ~syncedBeforeFlag) as RecordType,
    isSyncedBefore: (type & syncedBeforeFlag) !== 0,
    payload: body.subarray(1),
    previousCrc,
    crc,
    end,
  };
}

/** Whether some whole sector's share of [from, to) is zero: the mark of a sector that never reached the disk. */
function hasMissingSector(source: Uint8Array, from: number, to: number): boolean {
  let at = from;
  while (at < to) {
    const sectorEnd = Math.min(to, at - (at % sectorBytes) + sectorBytes);
    let isZero = true;
    for (let position = at; position < sectorEnd; position++) {
      if (source[position] !== 0) {
        isZero = false;
        break;
      }
    }
    if (isZero) return true;
    at = sectorEnd;
  }
  return false;
}
