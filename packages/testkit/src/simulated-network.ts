import type { Address, Clock, Network, Random } from '@pilothouse/base';

/** How the network misbehaves now. Probabilities from 0 to 1, delays in milliseconds. */
export interface NetworkFaults {
  readonly loss: number;
  readonly duplication: number;
  readonly delayMin: number;
  readonly delayMax: number;
  /** Chance of a delay ten times as long, which also reorders. */
  readonly slow: number;
}

export const calmNetwork: NetworkFaults = { loss: 0, duplication: 0, delayMin: 0.2, delayMax: 2, slow: 0 };

interface Endpoint {
  receiver: ((from: Address, frame: Uint8Array) => void) | undefined;
  disconnect: ((peer: Address) => void) | undefined;
}

/** Delivers frames between endpoints of one process on a virtual clock, with loss, delay, duplication, reordering and partitions. */
export class SimulatedNetwork {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #endpoints = new Map<Address, Endpoint>();
  readonly #blocked = new Set<string>();
  faults: NetworkFaults = calmNetwork;
  sent = 0;
  lost = 0;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Opens the endpoint of `address`, in place of an earlier one: frames under way reach the new one. */
  endpoint(address: Address): Network {
    const own: Endpoint = { receiver: undefined, disconnect: undefined };
    this.#endpoints.set(address, own);
    return {
      send: (to, frame) => this.#send(address, to, frame),
      onReceive: (receiver) => {
        own.receiver = receiver;
      },
      onDisconnect: (listener) => {
        own.disconnect = listener;
      },
    };
  }

  /** The process of `address` dies: its frames are dropped and its peers see their connections reset, if the network lets them. */
  close(address: Address): void {
    this.#endpoints.delete(address);
    for (const [peer, endpoint] of this.#endpoints) {
      if (this.isBlocked(address, peer)) continue;
      this.#clock.setTimeout(() => {
        if (this.#endpoints.get(peer) === endpoint) endpoint.disconnect?.(address);
      }, this.delay());
    }
  }

  /** Cuts one direction. */
  block(from: Address, to: Address): void {
    this.#blocked.add(`${from}>${to}`);
  }

  /** Cuts both directions between two groups. */
  partition(one: readonly Address[], other: readonly Address[]): void {
    for (const a of one) {
      for (const b of other) {
        this.block(a, b);
        this.block(b, a);
      }
    }
  }

  heal(): void {
    this.#blocked.clear();
    this.faults = calmNetwork;
  }

  isBlocked(from: Address, to: Address): boolean {
    return this.#blocked.has(`${from}>${to}`);
  }

  isLost(): boolean {
    return this.#random.float() < this.faults.loss;
  }

  delay(): number {
    const { delayMin, delayMax, slow } = this.faults;
    const delay = delayMin + this.#random.float() * (delayMax - delayMin);
    return slow > 0 && this.#random.float() < slow ? delay * 10 : delay;
  }

  #send(from: Address, to: Address, frame: Uint8Array): void {
    this.sent++;
    if (this.isBlocked(from, to) || this.isLost()) {
      this.lost++;
      return;
    }
    const copies = this.#random.float() < this.faults.duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#clock.setTimeout(() => {
        if (!this.isBlocked(from, to)) this.#endpoints.get(to)?.receiver?.(from, frame);
      }, this.delay());
    }
  }
}
