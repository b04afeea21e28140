/** Bits of the code of each byte in HPACK (RFC 7541, appendix B), and at the end of the mark that pads. The code is canonical: shorter codes first, then by byte. */
const codeBits: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const endMark = 256;
const bitsMax = 30;
const bitsMin = 5;

/** Of each length: its first code, and the symbols of that length in order. */
interface Length {
  readonly first: number;
  readonly symbols: readonly number[];
}

const lengths: readonly Length[] = (() => {
  const out: Length[] = [];
  let code = 0;
  for (let bits = 0; bits <= bitsMax; bits++) {
    const symbols: number[] = [];
    codeBits.forEach((each, symbol) => {
      if (each === bits) symbols.push(symbol);
    });
    out.push({ first: code, symbols });
    code = (code + symbols.length) * 2;
  }
  return out;
})();

/** Text in HPACK's Huffman code, a character for each byte. Throws on bytes that are none. */
export function huffmanText(bytes: Uint8Array): string {
  let text = '';
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let at = 7; at >= 0; at--) {
      code = code * 2 + ((byte >> at) & 1);
      bits++;
      if (bits < bitsMin) continue;
      if (bits > bitsMax) throw new Error('Invalid Huffman code in a header');
      const { first, symbols } = lengths[bits] as Length;
      const symbol = symbols[code - first];
      if (symbol === undefined) continue;
      if (symbol === endMark) throw new Error('Invalid Huffman code in a header');
      text += String.fromCharCode(symbol);
      code = 0;
      bits = 0;
    }
  }
  // What is left are the first bits of the mark: ones.
  if (bits > 7 || code !== 2 ** bits - 1) throw new Error('Invalid padding of a header');
  return text;
}
