import type net from 'node:net';
import tls from 'node:tls';
import { connectionProblem, type Clock, type Logger, type Random, type Timer } from '@pilothouse/base';
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

/** A peer that is away for so long is told, and again each time this has passed. */
const tellAfterMs = 3000;
const tellEveryMs = 60_000;
/** A connection that holds for so long was accepted: with TLS 1.3 the other side refuses our certificate after the handshake. */
const settledMs = 1000;

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
  /** Monotonic. */
  #awaySinceMs: number | undefined;
  #toldMs = -Infinity;

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
    let problem: Error | undefined;
    socket.on('error', (error) => {
      problem = error;
      socket.destroy();
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      deadline.cancel();
      if (this.#socket !== socket) return;
      const wasConnected = this.#isConnected;
      const since = this.#connectedSinceMs;
      this.#isConnected = false;
      this.#socket = undefined;
      if (this.#isClosed) return;
      if (wasConnected) this.#options.onDisconnect();
      this.#failed(url, wasConnected ? since : undefined, problem);
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

  /** Tells why a peer stays away, once it has for a while. */
  #failed(url: string, connectedSinceMs: number | undefined, problem: Error | undefined): void {
    const { clock, logger, peer, limits } = this.#options;
    const now = clock.monotonic();
    if (connectedSinceMs !== undefined && now - connectedSinceMs > settledMs) this.#awaySinceMs = undefined;
    this.#awaySinceMs ??= now;
    if (now - this.#awaySinceMs < tellAfterMs || now - this.#toldMs < tellEveryMs) return;
    this.#toldMs = now;
    logger.warn('cannot reach peer', {
      'remote-peer-id': peer.toString(16),
      url,
      error:
        problem !== undefined
          ? connectionProblem(problem)
          : connectedSinceMs === undefined
            ? `no connection within ${limits.connectTimeoutMs} ms`
            : 'it closed the connection: is it a member of this cluster?',
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
