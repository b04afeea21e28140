/** Randomness as a parameter. `host` gives a cryptographic source, `testkit` a seeded one. */
export interface Random {
  /** `length` random bytes, in a new array. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1). */
  float(): number;
  /** An integer in [0, bound). `bound` is a positive safe integer. */
  integer(bound: number): number;
}

/** A random (version 4) UUID, RFC 9562. */
export function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  let hex = '';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
