const table = new Uint32Array(256);
for (let index = 0; index < 256; index++) {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  table[index] = value >>> 0;
}

/** CRC-32C (Castagnoli), RFC 3720 appendix B.4, over bytes given in pieces. */
export class Crc32c {
  #state = 0xffffffff;

  update(bytes: Uint8Array): void {
    let state = this.#state;
    for (let index = 0; index < bytes.length; index++) {
      state = (table[(state ^ (bytes[index] as number)) & 0xff] as number) ^ (state >>> 8);
    }
    this.#state = state >>> 0;
  }

  digest(): number {
    return (this.#state ^ 0xffffffff) >>> 0;
  }
}
