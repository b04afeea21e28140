import net from 'node:net';
import tls from 'node:tls';
import { deferred, errorMessage } from '@pilothouse/base';
import type { Clock, Logger, Random } from '@pilothouse/base';
import type { MemberId, Message } from '@pilothouse/raft';
import { ByteReader, ByteWriter, MalformedError } from '../wal/binary.ts';
import { FrameReader, encodeFrame } from './frame.ts';
import { decodeHandshake, encodeHandshake } from './handshake.ts';
import type { Handshake } from './handshake.ts';
import { decodeMessage, readSnapshotMetadata, writeSnapshotMetadata } from './message-codec.ts';
import { MessageFramer } from './message-framer.ts';
import { OutboundPeer } from './outbound-peer.ts';
import type { PeerTraffic } from './peer-traffic.ts';
import type { PeerHandler, PeerTransport, SnapshotHeader } from './transport.ts';

/** PEM texts. Without `clientCertAuth` a client certificate is not asked for. */
export interface PeerTls {
  readonly ca?: string | Buffer;
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  readonly clientCertAuth?: boolean;
}

/** TLS that follows its files and its own rules of admission; for members that are configured by flags. */
export interface PeerTlsContext {
  serverOptions(): tls.TlsOptions;
  /** Makes a server use renewed files. */
  renew(server: tls.Server): void;
  /** Why a verified client may not come in; undefined: it may. */
  refusal(socket: tls.TLSSocket): string | undefined;
  clientOptions(): tls.ConnectionOptions;
}

export interface TcpTransportOptions {
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  /** Addresses to listen on. */
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  /** One of both is required for `https` peer URLs. */
  readonly tls?: PeerTls;
  readonly tlsContext?: PeerTlsContext;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits?: Partial<PeerLimits>;
  /** Counts what is sent and received; for metrics. */
  readonly traffic?: PeerTraffic;
  /** Takes over connections that speak HTTP: what members ask each other beside consensus. */
  readonly onHttp?: (socket: net.Socket) => void;
}

export interface PeerLimits {
  /** Largest frame accepted. */
  readonly frameBytesMax: number;
  /** Bytes that may wait for one peer's socket; beyond, messages to it are dropped. */
  readonly sendBufferBytesMax: number;
  readonly connectTimeoutMs: number;
  readonly reconnectDelayMs: number;
  readonly reconnectDelayMaxMs: number;
  /** Silence after which a snapshot stream is given up. */
  readonly snapshotTimeoutMs: number;
  readonly snapshotChunkBytes: number;
  /** A connection that has not introduced itself by then is closed. */
  readonly handshakeTimeoutMs: number;
}

export const defaultPeerLimits: PeerLimits = {
  frameBytesMax: 256 * 1024 * 1024,
  sendBufferBytesMax: 64 * 1024 * 1024,
  connectTimeoutMs: 2000,
  reconnectDelayMs: 20,
  reconnectDelayMaxMs: 500,
  snapshotTimeoutMs: 30_000,
  snapshotChunkBytes: 256 * 1024,
  handshakeTimeoutMs: 5000,
};

/** Frames within a snapshot stream. */
const snapshotFrame = { header: 0, chunk: 1, end: 2, accepted: 3, refused: 4 } as const;

/** {@link PeerTransport} over TCP or TLS: one connection per direction for messages, one more per snapshot. */
export class TcpTransport implements PeerTransport {
  readonly #options: TcpTransportOptions;
  readonly #limits: PeerLimits;
  readonly #framer = new MessageFramer();
  readonly #servers: net.Server[] = [];
  readonly #sockets = new Set<net.Socket>();
  readonly #outbound = new Map<MemberId, OutboundPeer>();
  readonly #urls = new Map<MemberId, readonly string[]>();
  #handler: PeerHandler | undefined;
  #isClosed = false;

  constructor(options: TcpTransportOptions) {
    this.#options = options;
    this.#limits = { ...defaultPeerLimits, ...options.limits };
  }

  /** Where the servers listen, after {@link start}; for tests that listen on port 0. */
  get addresses(): net.AddressInfo[] {
    return this.#servers.map((server) => server.address() as net.AddressInfo);
  }

  async start(handler: PeerHandler): Promise<void> {
    this.#handler = handler;
    for (const { host, port } of this.#options.listen) {
      const onConnection = (socket: net.Socket): void => this.#accept(socket);
      const server = this.#createServer(onConnection);
      server.on('tlsClientError', (error: Error, socket: net.Socket) =>
        this.#reject(socket, errorMessage(error)),
      );
      const listening = deferred<void>();
      server.once('error', listening.reject);
      server.listen({ host, port }, listening.resolve);
      await listening.promise;
      server.removeAllListeners('error');
      server.on('error', (error) =>
        this.#options.logger.error('Peer endpoint failed', { error: errorMessage(error) }),
      );
      this.#servers.push(server);
    }
    for (const [id, urls] of this.#urls) this.#connect(id, urls);
  }

  #createServer(onConnection: (socket: net.Socket) => void): net.Server {
    const { tls: secure, tlsContext: context } = this.#options;
    const handshakeTimeout = this.#limits.handshakeTimeoutMs;
    if (context !== undefined) {
      const server = tls.createServer({ ...context.serverOptions(), handshakeTimeout }, (socket) => {
        const refusal = context.refusal(socket);
        if (refusal === undefined) onConnection(socket);
        else {
          this.#reject(socket, refusal);
          socket.destroy();
        }
      });
      context.renew(server);
      return server;
    }
    if (secure === undefined) return net.createServer(onConnection);
    return tls.createServer(
      {
        cert: secure.cert,
        key: secure.key,
        minVersion: 'TLSv1.2',
        ...(secure.ca === undefined ? {} : { ca: secure.ca }),
        requestCert: secure.clientCertAuth ?? false,
        rejectUnauthorized: secure.clientCertAuth ?? false,
        handshakeTimeout,
      },
      onConnection,
    );
  }

  #reject(socket: net.Socket, error: string): void {
    this.#options.logger.warn('rejected connection on peer endpoint', {
      'remote-addr': socket.remoteAddress,
      error,
    });
  }

  setPeers(peers: ReadonlyMap<MemberId, readonly string[]>): void {
    for (const [id, outbound] of this.#outbound) {
      if (peers.has(id)) continue;
      outbound.close();
      this.#outbound.delete(id);
      this.#options.traffic?.forget(id);
      this.#urls.delete(id);
    }
    for (const [id, urls] of peers) {
      if (id === this.#options.memberId || urls.length === 0) continue;
      if (this.#urls.get(id)?.join() === urls.join()) continue;
      this.#urls.set(id, urls);
      this.#outbound.get(id)?.close();
      if (this.#handler) this.#connect(id, urls);
    }
  }

  #connect(id: MemberId, urls: readonly string[]): void {
    this.#options.traffic?.of(id);
    const outbound = new OutboundPeer({
      peer: id,
      urls,
      dial: (url) => this.#dial(url),
      handshake: encodeFrame(encodeHandshake(this.#handshake(id, 'messages'))),
      limits: this.#limits,
      clock: this.#options.clock,
      random: this.#options.random,
      logger: this.#options.logger,
      onDisconnect: () => this.#disconnected(id),
    });
    this.#outbound.set(id, outbound);
    outbound.start();
  }

  /** Monotonic time since when this member can send to `peer`; undefined: it cannot. */
  connectedSinceMs(peer: MemberId): number | undefined {
    return this.#outbound.get(peer)?.connectedSinceMs;
  }

  #handshake(to: MemberId, purpose: Handshake['purpose']): Handshake {
    return { clusterId: this.#options.clusterId, from: this.#options.memberId, to, purpose };
  }

  #dial(url: string): net.Socket {
    const { hostname, port, protocol } = new URL(url);
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const address = { host, port: Number(port), noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 };
    if (protocol !== 'https:') return net.connect(address);
    const { tls: secure, tlsContext: context } = this.#options;
    const socket =
      context !== undefined
        ? tls.connect({
            ...address,
            ...context.clientOptions(),
            ...(net.isIP(host) ? {} : { servername: host }),
          })
        : tls.connect({
            ...address,
            ...(secure ? { cert: secure.cert, key: secure.key } : {}),
            ...(secure?.ca === undefined ? {} : { ca: secure.ca }),
            ...(net.isIP(host) ? {} : { servername: host }),
            minVersion: 'TLSv1.2',
          });
    // tls.connect does not take these over from its options; without the first a message that follows another waits 40 ms.
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 5000);
    return socket;
  }

  #disconnected(peer: MemberId): void {
    if (!this.#isClosed) this.#handler?.onDisconnect(peer);
  }

  send(message: Message): void {
    const outbound = this.#outbound.get(message.to);
    const { traffic } = this.#options;
    if (!outbound?.isWritable) {
      traffic?.dropped(message);
      return;
    }
    const frame = this.#framer.frame(message);
    traffic?.sent(message, frame.length);
    outbound.write(frame);
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 5000);
    const reader = new FrameReader(this.#limits.frameBytesMax);
    let handshake: Handshake | undefined;
    const timer = this.#options.clock.setTimeout(() => {
      if (!handshake) socket.destroy();
    }, this.#limits.handshakeTimeoutMs);
    const onData = (data: Buffer): void => {
      const { onHttp } = this.#options;
      // A frame begins with its length, which is never as large as these letters read as a number.
      if (onHttp && !handshake && /^(?:GET |POST)/.test(data.toString('latin1', 0, 4))) {
        timer.cancel();
        socket.off('data', onData);
        socket.pause();
        socket.unshift(data);
        onHttp(socket);
        socket.resume();
        return;
      }
      try {
        for (const body of reader.push(data)) {
          if (handshake) {
            if (handshake.purpose === 'messages') this.#receive(handshake, body);
            else feed?.(body);
          } else {
            handshake = this.#admit(body);
            timer.cancel();
            if (handshake.purpose === 'messages') this.#options.traffic?.connected(handshake.from);
            if (handshake.purpose === 'snapshot') feed = this.#receiveSnapshot(socket, handshake);
          }
        }
      } catch (error) {
        if (handshake) this.#options.traffic?.refused(handshake.from);
        this.#options.logger.warn('rejected connection on peer endpoint', {
          'remote-addr': socket.remoteAddress,
          error: errorMessage(error),
        });
        socket.destroy();
      }
    };
    let feed: ((body: Buffer) => void) | undefined;
    socket.on('data', onData);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      timer.cancel();
      this.#sockets.delete(socket);
      if (handshake?.purpose !== 'messages') return;
      this.#options.traffic?.disconnected(handshake.from);
      this.#disconnected(handshake.from);
    });
  }

  #admit(body: Buffer): Handshake {
    const handshake = decodeHandshake(body);
    if (handshake.clusterId !== this.#options.clusterId) {
      throw new MalformedError(
        `Member ${handshake.from.toString(16)} belongs to cluster ${handshake.clusterId.toString(16)}, not ${this.#options.clusterId.toString(16)}`,
      );
    }
    if (handshake.to !== this.#options.memberId) {
      throw new MalformedError(
        `Member ${handshake.to.toString(16)} was looked for, this is ${this.#options.memberId.toString(16)}`,
      );
    }
    return handshake;
  }

  #receive(handshake: Handshake, body: Buffer): void {
    const message = decodeMessage(body);
    if (message.from !== handshake.from || message.to !== this.#options.memberId) {
      throw new MalformedError('A message names other members than its connection');
    }
    this.#options.traffic?.received(message, body.length);
    this.#handler?.onMessage(message);
  }

  // ---- snapshots ----

  async sendSnapshot(header: SnapshotHeader, chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
    const url = this.#urls.get(header.to)?.[0];
    if (url === undefined || this.#isClosed) return false;
    const socket = this.#dial(url);
    this.#sockets.add(socket);
    const outcome = deferred<boolean>();
    const reader = new FrameReader(1024);
    socket.setTimeout(this.#limits.snapshotTimeoutMs, () => socket.destroy());
    socket.on('data', (data) => {
      try {
        for (const body of reader.push(data)) outcome.resolve(body[0] === snapshotFrame.accepted);
      } catch {
        socket.destroy();
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      outcome.resolve(false);
    });
    let isClosed = false;
    void outcome.promise.then(() => (isClosed = true));
    const write = async (body: Uint8Array): Promise<void> => {
      if (isClosed || socket.write(encodeFrame(body))) return;
      const drained = deferred<void>();
      socket.once('drain', drained.resolve);
      await Promise.race([drained.promise, outcome.promise]);
      socket.off('drain', drained.resolve);
    };
    try {
      await write(encodeHandshake(this.#handshake(header.to, 'snapshot')));
      const writer = new ByteWriter(512);
      writer.uint8(snapshotFrame.header);
      writer.varint(header.term);
      writeSnapshotMetadata(writer, header.snapshot);
      writer.bytes(header.members);
      await write(writer.finish());
      for await (const chunk of chunks) {
        for (let at = 0; at < chunk.length; at += this.#limits.snapshotChunkBytes) {
          const part = chunk.subarray(at, at + this.#limits.snapshotChunkBytes);
          const body = new Uint8Array(part.length + 1);
          body[0] = snapshotFrame.chunk;
          body.set(part, 1);
          await write(body);
        }
        if (isClosed) break;
      }
      await write(Uint8Array.of(snapshotFrame.end));
      return await outcome.promise;
    } finally {
      socket.destroy();
    }
  }

  #receiveSnapshot(socket: net.Socket, handshake: Handshake): (body: Buffer) => void {
    const queue: Uint8Array[] = [];
    let isEnded = false;
    let isBroken = false;
    let wake = deferred<void>();
    const notify = (): void => {
      wake.resolve();
      wake = deferred();
    };
    socket.setTimeout(this.#limits.snapshotTimeoutMs, () => socket.destroy());
    socket.on('close', () => {
      isBroken = !isEnded;
      notify();
    });
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (;;) {
        const chunk = queue.shift();
        if (chunk) {
          if (queue.length < 4) socket.resume();
          yield chunk;
        } else if (isEnded) return;
        else if (isBroken) throw new Error('The connection broke in the middle of a snapshot');
        else await wake.promise;
      }
    }
    let hasHeader = false;
    return (body) => {
      switch (body[0]) {
        case snapshotFrame.header: {
          if (hasHeader) throw new MalformedError('A snapshot has one header');
          hasHeader = true;
          const reader = new ByteReader(body.subarray(1));
          const header: SnapshotHeader = {
            from: handshake.from,
            to: handshake.to,
            term: reader.varint() as SnapshotHeader['term'],
            snapshot: readSnapshotMetadata(reader),
            members: reader.bytes(),
          };
          void this.#storeSnapshot(socket, header, chunks());
          return;
        }
        case snapshotFrame.chunk:
          queue.push(body.subarray(1));
          if (queue.length >= 16) socket.pause();
          notify();
          return;
        case snapshotFrame.end:
          isEnded = true;
          notify();
          return;
        default:
          throw new MalformedError('Unknown frame in a snapshot stream');
      }
    };
  }

  async #storeSnapshot(
    socket: net.Socket,
    header: SnapshotHeader,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    let answer: number = snapshotFrame.refused;
    try {
      await this.#handler?.onSnapshot(header, chunks);
      answer = snapshotFrame.accepted;
    } catch (error) {
      this.#options.logger.warn('Snapshot refused', {
        from: header.from.toString(16),
        error: errorMessage(error),
      });
    }
    if (!socket.destroyed) socket.end(encodeFrame(Uint8Array.of(answer)));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const outbound of this.#outbound.values()) outbound.close();
    this.#outbound.clear();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
