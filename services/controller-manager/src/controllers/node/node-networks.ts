import { formatIp, parseCidr } from '@pilothouse/apimachinery';

/** Hands out equal parts of one IPv4 network, lowest first. */
export class NodeNetworks {
  readonly #base: number;
  readonly #size: number;
  readonly #count: number;
  readonly #prefixLength: number;
  readonly #used = new Map<string, string>();

  /** Throws when the text is no IPv4 network that has parts of this size. */
  constructor(clusterCidr: string, prefixLength: number) {
    const cidr = parseCidr(clusterCidr);
    if (cidr?.network.length !== 4 || prefixLength < cidr.prefixLength || prefixLength > 32)
      throw new Error(
        `Cannot cut /${prefixLength} networks from --cluster-cidr "${clusterCidr}": expected an IPv4 network that is larger`,
      );
    this.#base = cidr.network.reduce((total, byte) => total * 256 + byte, 0);
    this.#size = 2 ** (32 - prefixLength);
    this.#count = 2 ** (prefixLength - cidr.prefixLength);
    this.#prefixLength = prefixLength;
  }

  /** Says that a node has a network already. */
  occupy(network: string, node: string): void {
    this.#used.set(network, node);
  }

  release(network: string, node: string): void {
    if (this.#used.get(network) === node) this.#used.delete(network);
  }

  /** The network of a node, a free one when it has none; undefined when all are taken. */
  allocate(node: string): string | undefined {
    for (const [network, owner] of this.#used) if (owner === node) return network;
    for (let index = 0; index < this.#count; index++) {
      const start = this.#base + index * this.#size;
      const bytes = [start / 2 ** 24, start / 2 ** 16, start / 2 ** 8, start].map((each) => each & 255);
      const network = `${formatIp(Uint8Array.from(bytes))}/${this.#prefixLength}`;
      if (this.#used.has(network)) continue;
      this.#used.set(network, node);
      return network;
    }
    return undefined;
  }
}
