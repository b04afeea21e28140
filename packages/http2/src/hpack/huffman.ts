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

/** Steps through the code four bits at a time: for a state and a nibble what comes next, and the symbol that ended in between. */
interface Steps {
  /** `state * 16 + nibble`: the next state; -1: no code. */
  readonly next: Int16Array;
  /** Its symbol; -1: none ended. */
  readonly symbol: Int16Array;
  /** States in which a text may end: the first bits of the mark, fewer than eight. */
  readonly isEnd: Uint8Array;
}

const steps: Steps = (() => {
  // The tree: for each inner node its two children, leaves as -1 - symbol.
  const children: [number, number][] = [[0, 0]];
  let code = 0;
  for (let bits = 1; bits <= bitsMax; bits++) {
    code *= 2;
    codeBits.forEach((each, symbol) => {
      if (each !== bits) return;
      let node = 0;
      for (let at = bits - 1; at >= 0; at--) {
        const bit = (code >>> at) & 1;
        const inner = children[node] as [number, number];
        if (at === 0) inner[bit] = -1 - symbol;
        else {
          if (inner[bit] === 0) inner[bit] = children.push([0, 0]) - 1;
          node = inner[bit] as number;
        }
      }
      code++;
    });
  }
  const next = new Int16Array(children.length * 16).fill(-1);
  const symbols = new Int16Array(children.length * 16).fill(-1);
  const isEnd = new Uint8Array(children.length);
  for (let state = 0; state < children.length; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state;
      let ended = -1;
      for (let at = 3; at >= 0; at--) {
        const child = (children[node] as [number, number])[(nibble >> at) & 1] as number;
        if (child < 0) ended = -1 - child;
        node = child < 0 ? 0 : child;
      }
      if (ended === endMark) continue;
      next[state * 16 + nibble] = node;
      symbols[state * 16 + nibble] = ended;
    }
  }
  for (let node = 0, bits = 0; bits < 8; bits++) {
    isEnd[node] = 1;
    node = (children[node] as [number, number])[1];
  }
  return { next, symbol: symbols, isEnd };
})();

let scratch = Buffer.alloc(1024);

/** Text in HPACK's Huffman code, a character for each byte. Throws on bytes that are none. */
export function huffmanText(bytes: Uint8Array, from = 0, to = bytes.length): string {
  // The shortest code has five bits.
  const most = Math.ceil(((to - from) * 8) / 5);
  const out = most <= scratch.length ? scratch : Buffer.allocUnsafe(most);
  const { next, symbol } = steps;
  let length = 0;
  let state = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    const high = state * 16 + (byte >> 4);
    const middle = next[high] as number;
    if (middle < 0) throw new Error('Invalid Huffman code in a header');
    if ((symbol[high] as number) >= 0) out[length++] = symbol[high] as number;
    const low = middle * 16 + (byte & 15);
    state = next[low] as number;
    if (state < 0) throw new Error('Invalid Huffman code in a header');
    if ((symbol[low] as number) >= 0) out[length++] = symbol[low] as number;
  }
  if (steps.isEnd[state] !== 1) throw new Error('Invalid padding of a header');
  return out.toString('latin1', 0, length);
}
