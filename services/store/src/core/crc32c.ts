// CRC-32C (Castagnoli), reflected polynomial 0x82f63b78, eight bytes a step (Kounavis and Berry, "slicing by 8").
const tables: Int32Array[] = [];
for (let table = 0; table < 8; table++) tables.push(new Int32Array(256));
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  t0[byte] = crc;
}
for (let byte = 0; byte < 256; byte++) {
  let crc = t0[byte] as number;
  for (let table = 1; table < 8; table++) {
    crc = (crc >>> 8) ^ (t0[crc & 0xff] as number);
    (tables[table] as Int32Array)[byte] = crc;
  }
}

/** The checksum of `bytes`, an unsigned 32-bit number; pass the checksum of what came before to go on with it. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  let at = 0;
  const length = bytes.length;
  for (; at + 8 <= length; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (t7[low & 0xff] as number) ^
      (t6[(low >>> 8) & 0xff] as number) ^
      (t5[(low >>> 16) & 0xff] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number);
  }
  for (; at < length; at++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
}
