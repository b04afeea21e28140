import { randomBytes, randomInt } from 'node:crypto';
import type { Random } from '@pilothouse/base';

/** The operating system's cryptographic source. */
export const nodeRandom: Random = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
  float: () => randomInt(2 ** 47) / 2 ** 47,
  integer: (bound) => (bound < 2 ** 48 ? randomInt(bound) : Math.floor(nodeRandom.float() * bound)),
};
