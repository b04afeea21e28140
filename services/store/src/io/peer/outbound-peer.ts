import type net from 'node:net';
import tls from 'node:tls';
import type { Clock, Logger, Random, Timer } from '@pilothouse/base';
import type { MemberId } from '@pilothouse/raft';
import type { PeerLimits } from './tcp-transport.ts';

export interface OutboundPeerOptions {
  readonly peer: MemberId;
  /** Tried in turn. */
  readonly urls: readonly string[];
  readonly dial: (url: string) => net.Socket;
  readonly handshake: Uint8Array;
  readonly limits: PeerLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** An established connection broke. */
  readonly onDisconnect: () => void;
}

/** Keeps one connection to one peer, for messages to it. Reconnects with a small, growing, jittered delay. */
export class OutboundPeer {
  readonly #options: OutboundPeerOptions;
  #socket: net.Socket | undefined;
  #isConnected = false;
  #connectedSinceMs: number | undefined;
  #isClosed = false;
  #attempt = 0;
  #timer: Timer | undefined;
  #corked = false;

  constructor(options: OutboundPeerOptions) {
    this.#options = options;
  }

  /** Whether a message would be taken; false while there is no connection or too much waits in it. */
  get isWritable(): boolean {
    return this.#isConnected && (this.#socket?.writableLength ?? 0) < this.#options.limits.sendBufferBytesMax;
  }

  /** Monotonic time since when the connection holds; undefined without one. */
  get connectedSinceMs(): number | undefined {
    return this.#isConnected ? this.#connectedSinceMs : undefined;
  }

  start(): void {
    const { urls, limits, dial } = this.#options;
    const url = urls[this.#attempt % urls.length] as string;
    const socket = dial(url);
    this.#socket = socket;
    const deadline = this.#options.clock.setTimeout(() => {
      if (!this.#isConnected) socket.destroy();
    }, limits.connectTimeoutMs);
    socket.on(socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect', () => {
      if (this.#socket !== socket || this.#isClosed) return;
      this.#isConnected = true;
      this.#connectedSinceMs = this.#options.clock.monotonic();
      this.#attempt = 0;
      socket.write(this.#options.handshake);
    });
    // The peer never writes on this connection; reading makes its end visible at once.
    socket.resume();
    socket.on('error', (error) => {
      if (this.#attempt === 0) {
        this.#options.logger.debug('Peer connection failed', {
          peer: this.#options.peer.toString(16),
          error: error.message,
        });
      }
      socket.destroy();
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      deadline.cancel();
      if (this.#socket !== socket) return;
      const wasConnected = this.#isConnected;
      this.#isConnected = false;
      this.#socket = undefined;
      if (this.#isClosed) return;
      if (wasConnected) this.#options.onDisconnect();
      const delay = Math.min(
        limits.reconnectDelayMaxMs,
        limits.reconnectDelayMs * 2 ** Math.min(this.#attempt, 10),
      );
      this.#attempt++;
      this.#timer = this.#options.clock.setTimeout(
        () => this.start(),
        delay * (0.5 + this.#options.random.float() / 2),
      );
    });
  }

  /** Frames of one turn leave in one piece. */
  write(frame: Uint8Array): void {
    const socket = this.#socket;
    if (!socket) return;
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      queueMicrotask(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    socket.write(frame);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#socket?.destroy();
  }
}
