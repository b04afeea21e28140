import { once } from 'node:events';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';
import type { Timer } from '@pilothouse/base';
import { statusErrors } from '@pilothouse/apimachinery';
import { limits } from '../../limits.ts';
import type { Distribution } from '../../metrics/cells.ts';
import type { WatchEvent, WatchStream } from '../../registry/rest/rest-storage.ts';
import type { Call } from '../call.ts';
import { contextOf } from '../call.ts';
import type { Negotiated } from '../negotiation.ts';
import { jsonType, negotiate, protobufType } from '../negotiation.ts';
import { listOptionsOf } from '../options.ts';
import { startResponse } from '../respond.ts';
import { withName } from './list.ts';
import { requireMember } from './require-member.ts';
import { watchEncoder } from './watch-encoder.ts';
import type { WatchEncoder } from './watch-encoder.ts';

const webSockets = new WebSocketServer({
  noServer: true,
  handleProtocols: (protocols) =>
    protocols.has('v4.channel.k8s.io') ? 'v4.channel.k8s.io' : (protocols.values().next().value ?? false),
});

/** Opens a watch and sends its events until the client leaves, its time is over or the server shuts down. */
export async function handleWatch(call: Call): Promise<void> {
  const watch = requireMember(call, 'watch');
  const { exchange, services } = call;
  const output = negotiateWatch(call);
  const options = listOptionsOf(exchange.query, true);
  const timeoutMs =
    options.timeoutSeconds !== undefined && options.timeoutSeconds > 0
      ? options.timeoutSeconds * 1000
      : Math.round(services.minRequestTimeoutMs * (1 + services.random.float()));
  const encoder = watchEncoder(call, output);
  const timeoutSeconds = Math.ceil(timeoutMs / 1000);
  const stream = await watch(contextOf(call), { ...withName(options, call.name), timeoutSeconds });
  exchange.started();
  const end = (): void => stream.close();
  const timer = services.clock.setTimeout(end, timeoutMs);
  const forget = exchange.onAbort(end);
  let spread: Timer | undefined;
  const onShutdown = (): void => {
    const graceMs = services.shutdownWatchGraceMs;
    if (graceMs > 0) spread = services.clock.setTimeout(end, services.random.float() * graceMs);
    else end();
  };
  services.shutdown.addEventListener('abort', onShutdown, { once: true });
  if (services.shutdown.aborted) end();
  try {
    if (exchange.upgrade) await sendToWebSocket(call, stream, encoder);
    else await sendToResponse(call, stream, encoder);
  } finally {
    timer.cancel();
    forget();
    spread?.cancel();
    services.shutdown.removeEventListener('abort', onShutdown);
    stream.close();
  }
}

function negotiateWatch(call: Call): Negotiated {
  const streaming = [jsonType, protobufType] as const;
  try {
    return negotiate(call.exchange.header('accept'), { mediaTypes: streaming });
  } catch {
    throw statusErrors.notAcceptable(
      `only the following media types are accepted: ${streaming.map((type) => `${type};stream=watch`).join(', ')}`,
    );
  }
}

/** Encodes many events to writes of about the limit's size. */
function* blocks(
  events: readonly WatchEvent[],
  encoder: WatchEncoder,
  sizes: Distribution,
): Generator<Buffer> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for (const event of events) {
    const before = length;
    for (const piece of encoder.pieces(event)) {
      pieces.push(piece);
      length += piece.length;
    }
    sizes.observe(length - before);
    if (length >= limits.watchWriteBytes) {
      yield Buffer.concat(pieces, length);
      pieces = [];
      length = 0;
    }
  }
  if (length > 0) yield Buffer.concat(pieces, length);
}

/** A few events, as a watcher gets them that keeps up: encoded once for all watchers. */
function fewBlocks(events: readonly WatchEvent[], encoder: WatchEncoder, sizes: Distribution): Buffer[] {
  const frames: Buffer[] = [];
  for (const event of events) {
    const frame = encoder.frame(event);
    sizes.observe(frame.length);
    frames.push(frame);
  }
  return frames.length === 1 ? frames : [Buffer.concat(frames)];
}

async function sendToResponse(call: Call, stream: WatchStream, encoder: WatchEncoder): Promise<void> {
  const { response } = call.exchange;
  const { metrics } = call.services;
  const { group, version, resource } = call.storage.resource;
  const count = metrics.watchEvents.cell(group, version, resource);
  const sizes = metrics.watchEventSizes.series(group, version, resource);
  startResponse(call.exchange, 200, { 'Content-Type': encoder.contentType });
  response.flushHeaders();
  for (;;) {
    const events = await stream.next();
    if (!events || response.destroyed) break;
    count.inc(events.length);
    const writes =
      events.length <= limits.watchFramesShared
        ? fewBlocks(events, encoder, sizes)
        : blocks(events, encoder, sizes);
    for (const block of writes) {
      if (response.write(block)) continue;
      await Promise.race([once(response, 'drain'), once(response, 'close')]).catch(() => undefined);
      if (response.destroyed) return;
    }
  }
  response.end();
}

async function sendToWebSocket(call: Call, stream: WatchStream, encoder: WatchEncoder): Promise<void> {
  const { exchange } = call;
  const { socket, head } = exchange.upgrade as NonNullable<typeof exchange.upgrade>;
  exchange.response.detachSocket(socket as never);
  const client = await new Promise<WebSocket>((resolve) => {
    webSockets.handleUpgrade(exchange.request, socket, head, resolve);
  });
  client.on('close', () => stream.close());
  client.on('error', () => stream.close());
  for (;;) {
    const events = await stream.next();
    if (!events || client.readyState !== client.OPEN) break;
    for (const event of events) {
      const message = encoder.message(event);
      await new Promise<void>((resolve) => {
        client.send(message, { binary: encoder.binary }, () => resolve());
      });
    }
  }
  client.close(1000);
}
