import type { Clock, Network } from '@pilothouse/base';
import type { SimulatedNetwork } from '@pilothouse/testkit';
import type { MemberId, Message } from '@pilothouse/raft';
import { decodeMessage, encodeMessage } from '../io/peer/message-codec.ts';
import type { PeerHandler, PeerTransport, SnapshotHeader } from '../io/peer/transport.ts';

export const addressOf = (id: MemberId): string => `m${id.toString(16)}`;

/** Where snapshot streams find the other side. */
export type TransportRegistry = Map<MemberId, SimulatedTransport>;

/** {@link PeerTransport} on a simulated network: the real encoding, no sockets. Peer addresses do not matter here. */
export class SimulatedTransport implements PeerTransport {
  readonly #id: MemberId;
  readonly #network: SimulatedNetwork;
  readonly #clock: Clock;
  readonly #registry: TransportRegistry;
  readonly #observe: (message: Message) => void;
  #endpoint: Network | undefined;
  #handler: PeerHandler | undefined;
  #isClosed = false;

  constructor(
    id: MemberId,
    options: {
      network: SimulatedNetwork;
      clock: Clock;
      registry: TransportRegistry;
      /** Sees every message that leaves. */
      observe: (message: Message) => void;
    },
  ) {
    this.#id = id;
    this.#network = options.network;
    this.#clock = options.clock;
    this.#registry = options.registry;
    this.#observe = options.observe;
  }

  async start(handler: PeerHandler): Promise<void> {
    this.#handler = handler;
    this.#registry.set(this.#id, this);
    this.#endpoint = this.#network.endpoint(addressOf(this.#id));
    this.#endpoint.onReceive((_, frame) => {
      if (!this.#isClosed) handler.onMessage(decodeMessage(frame));
    });
    this.#endpoint.onDisconnect((peer) => {
      if (!this.#isClosed) handler.onDisconnect(BigInt(`0x${peer.slice(1)}`) as MemberId);
    });
  }

  setPeers(): void {}

  send(message: Message): void {
    if (this.#isClosed) return;
    this.#observe(message);
    this.#endpoint?.send(addressOf(message.to), encodeMessage(message));
  }

  async sendSnapshot(header: SnapshotHeader, chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk.slice());
    if (!(await this.#cross(this.#id, header.to))) return false;
    const target = this.#registry.get(header.to);
    if (!target || target.#isClosed || !target.#handler) return false;
    try {
      await target.#handler.onSnapshot(header, fromList(parts));
    } catch {
      return false;
    }
    return this.#cross(header.to, this.#id);
  }

  /** A stream survives loss by retransmission, so it is only slower; a cut breaks it. */
  #cross(from: MemberId, to: MemberId): Promise<boolean> {
    return new Promise((resolve) => {
      this.#clock.setTimeout(
        () => resolve(!this.#network.isBlocked(addressOf(from), addressOf(to))),
        this.#network.delay() * (this.#network.isLost() ? 20 : 4),
      );
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#registry.get(this.#id) === this) {
      this.#registry.delete(this.#id);
      this.#network.close(addressOf(this.#id));
    }
  }
}

async function* fromList(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}
