import type { Random } from '@pilothouse/base';
import { cidrContains, formatIp, parseCidr, parseIp } from '@pilothouse/apimachinery';
import type { Cidr } from '@pilothouse/apimachinery';

/** Addresses that a dynamic allocation leaves to users who choose their own: the lower part, as upstream divides it. */
const staticMin = 16;
const staticMax = 256;

/** The usable addresses of one service CIDR, counted from 0: without network and (IPv4) broadcast address. */
export class CidrRange {
  readonly text: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly #cidr: Cidr;
  /** How many addresses there are; IPv6 ranges count as far as 2^31. */
  readonly size: number;

  constructor(text: string) {
    const cidr = parseCidr(text);
    if (cidr === undefined)
      throw new Error(`Cannot use ${JSON.stringify(text)} as a service CIDR: it is not a CIDR`);
    this.text = text;
    this.#cidr = cidr;
    this.family = cidr.network.length === 4 ? 'IPv4' : 'IPv6';
    const bits = Math.min(cidr.network.length * 8 - cidr.prefixLength, 31);
    const all = 2 ** bits;
    this.size = Math.max(0, this.family === 'IPv4' ? all - 2 : all - 1);
  }

  contains(ip: string): boolean {
    const bytes = parseIp(ip);
    if (bytes === undefined || !cidrContains(this.#cidr, bytes)) return false;
    const offset = this.#offsetOf(bytes);
    return offset >= 1 && offset <= this.size;
  }

  /** The address with this number; 0 is the first usable one. */
  at(index: number): string {
    const bytes = Uint8Array.from(this.#cidr.network);
    let rest = index + 1;
    for (let position = bytes.length - 1; rest > 0 && position >= 0; position--) {
      const sum = (bytes[position] as number) + (rest % 256);
      bytes[position] = sum % 256;
      rest = Math.floor(rest / 256) + (sum >= 256 ? 1 : 0);
    }
    return formatIp(bytes);
  }

  /** Candidates for a dynamic allocation: the upper part from a random place on, then the lower part. */
  *candidates(random: Random): Iterable<string> {
    if (this.size === 0) return;
    const reserved =
      this.size < staticMin ? 0 : Math.min(Math.max(staticMin, Math.floor(this.size / 16)), staticMax);
    const upper = this.size - reserved;
    const start = upper === 0 ? 0 : random.integer(upper);
    for (let step = 0; step < upper; step++) yield this.at(reserved + ((start + step) % upper));
    const lowerStart = reserved === 0 ? 0 : random.integer(reserved);
    for (let step = 0; step < reserved; step++) yield this.at((lowerStart + step) % reserved);
  }

  #offsetOf(bytes: Uint8Array): number {
    let offset = 0;
    for (let index = 0; index < bytes.length; index++) {
      offset = offset * 256 + ((bytes[index] as number) - (this.#cidr.network[index] as number));
    }
    return offset;
  }
}
