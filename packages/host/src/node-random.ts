import { randomBytes, randomInt } from 'node:crypto';
import type { Random } from '@pilothouse/base';

/** Bytes are drawn in blocks: a call of the operating system for each id of 16 bytes costs more than the id. */
const blockBytes = 4096;
let block = new Uint8Array(0);
let used = 0;

function bytes(length: number): Uint8Array {
  if (length > blockBytes / 4) return new Uint8Array(randomBytes(length));
  if (used + length > block.length) {
    block = new Uint8Array(randomBytes(blockBytes));
    used = 0;
  }
  // What was given away is erased, so that a dump of this process's memory does not tell earlier ids.
  const taken = block.slice(used, used + length);
  block.fill(0, used, used + length);
  used += length;
  return taken;
}

/** The operating system's cryptographic source. */
export const nodeRandom: Random = {
  bytes,
  float: () => randomInt(2 ** 47) / 2 ** 47,
  integer: (bound) => (bound < 2 ** 48 ? randomInt(bound) : Math.floor(nodeRandom.float() * bound)),
};
