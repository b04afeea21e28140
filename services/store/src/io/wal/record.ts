// The frame of a record in a segment, little-endian, aligned to 8 bytes:
//   length u32 (type and payload) | crc of the record before u32 | crc u32 of (that crc, type, payload) | type u8 | payload | zeros
// The checksum of the record before chains records over all segments, yet each record can be verified alone: that is what
// tells a torn tail (repairable) from damage in the middle (not repairable).
import { crc32c } from './crc32c.ts';

export const recordTypes = { metadata: 1, entry: 2, hardState: 3, snapshot: 4 } as const;
export type RecordType = (typeof recordTypes)[keyof typeof recordTypes];

/** Set on the first record after a sync: proof that everything before it was durable when it was written. */
export const syncedBeforeFlag = 0x80;

export const frameHeaderBytes = 13;
/** No record is longer; a longer length in a file is damage. */
export const recordBytesMax = 512 * 1024 * 1024;
/** Devices write sectors of at least this size whole or not at all. */
export const sectorBytes = 512;

export interface WalRecord {
  readonly type: RecordType;
  readonly payload: Uint8Array;
}

export function frameBytes(payloadLength: number): number {
  return (frameHeaderBytes + payloadLength + 7) & ~7;
}

/** Writes one frame into `target` at `at`; returns its checksum. */
export function writeFrame(
  target: Uint8Array,
  at: number,
  frame: { readonly type: number; readonly payload: Uint8Array; readonly previousCrc: number },
): number {
  const { type, payload, previousCrc } = frame;
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  view.setUint32(at, payload.length + 1, true);
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
  | { readonly kind: 'damaged'; readonly reason: string; readonly end: number };

/** Reads the frame at `at`. `end`: no more records (zeros, or the segment is full). */
export function parseFrame(source: Uint8Array, at: number): ParsedFrame {
  if (at + frameHeaderBytes > source.length) return { kind: 'end' };
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const length = view.getUint32(at, true);
  if (length === 0) return { kind: 'end' };
  const end = at + frameBytes(length - 1);
  if (length > recordBytesMax || at + 12 + length > source.length) {
    return { kind: 'damaged', reason: `its length ${length} does not fit`, end: source.length };
  }
  const previousCrc = view.getUint32(at + 4, true);
  const crc = view.getUint32(at + 8, true);
  const body = source.subarray(at + 12, at + 12 + length);
  if (crc32c(body, previousCrc) !== crc)
    return { kind: 'damaged', reason: 'its checksum does not match', end };
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
export function hasMissingSector(source: Uint8Array, from: number, to: number): boolean {
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
