/** The layout of a bbolt file (version 2): pages, elements, two meta pages. All numbers little-endian. */
export const bbolt = {
  magic: 0xed0cdaed,
  version: 2,
  /** Of files that are written here; others are read too. */
  pageBytes: 4096,
  /** Page number u64, flags u16, count u16, overflow pages u32. */
  pageHeaderBytes: 16,
  /** Leaf: flags u32, position u32, key and value length u32. Branch: position u32, key length u32, page u64. */
  elementBytes: 16,
  /** Root page u64, sequence u64; an inline page follows where the root is 0. */
  bucketHeaderBytes: 16,
  flag: { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 },
  /** Flag of an element that is a bucket. */
  bucketElement: 1,
} as const;

/** The checksum of a meta page. */
export function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
