import { jsonText } from '@pilothouse/apimachinery';
import type { Stored, WatchEvent } from '../../registry/rest/rest-storage.ts';
import { limits } from '../../limits.ts';
import type { Call } from '../call.ts';
import type { Negotiated } from '../negotiation.ts';
import { jsonType, protobufType } from '../negotiation.ts';
import { protobufWatchEvent } from '@pilothouse/serializer';
import { partialMetadata, tableOf } from '../views.ts';
import { protobufOf, tableRequest } from './respond-stored.ts';

/** How a watcher's events become bytes. Keeps state: only a Table's first event has the columns. */
export interface WatchEncoder {
  readonly contentType: string;
  /** True when messages are not text (WebSocket frames). */
  readonly binary: boolean;
  /** Pieces of one event inside a stream. */
  pieces(event: WatchEvent): readonly Uint8Array[];
  /** One event inside a stream as one buffer, shared with other watchers where it is the same for them: never change it. */
  frame(event: WatchEvent): Buffer;
  /** One event as a message of its own. */
  message(event: WatchEvent): Buffer;
}

const heads = new Map(
  ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'].map((type) => [
    type,
    Buffer.from(`{"type":"${type}","object":`),
  ]),
);
const tail = Buffer.from('}\n');

/** Throws 406 when the view cannot be streamed. */
export function watchEncoder(call: Call, output: Negotiated): WatchEncoder {
  const json = objectJson(call, output);
  if (output.mediaType === protobufType) {
    const { codec } = call.services;
    const bytesOf = (event: WatchEvent): Uint8Array => {
      if (event.type === 'ERROR') return codec.encode(event.status, protobufType, false);
      if (output.transform) return codec.encode(viewObject(call, output, event, false), protobufType, false);
      return protobufOf(event.object);
    };
    const framed = (event: WatchEvent): Buffer => {
      const bytes = bytesOf(event);
      return protobufWatchEvent(event.type, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    };
    return {
      contentType: `${protobufType};stream=watch`,
      binary: true,
      pieces: (event) => [framed(event)],
      frame: output.transform ? framed : (event) => protobufFrames.of(event, framed),
      // A WebSocket message has a length of its own.
      message: (event) => framed(event).subarray(4),
    };
  }
  const pieces = (event: WatchEvent): readonly Uint8Array[] => [
    heads.get(event.type) as Buffer,
    json(event),
    tail,
  ];
  const framed = (event: WatchEvent): Buffer => Buffer.concat(pieces(event));
  return {
    contentType: jsonType,
    binary: false,
    pieces,
    frame: output.transform ? framed : (event) => jsonFrames.of(event, framed),
    message: framed,
  };
}

/**
 * The frames of the latest changes: all watchers of a kind get a change at about the same time, so one frame is made for them all. Only
 * the latest are kept, for a frame is as large as its object.
 */
class SharedFrames {
  readonly #latest = new Map<Stored, { readonly type: WatchEvent['type']; readonly frame: Buffer }>();

  of(event: WatchEvent, make: (event: WatchEvent) => Buffer): Buffer {
    if (event.type === 'ERROR') return make(event);
    const known = this.#latest.get(event.object);
    if (known?.type === event.type) return known.frame;
    const frame = make(event);
    if (this.#latest.size >= limits.watchFramesKept) {
      const oldest = this.#latest.keys().next();
      if (oldest.done !== true) this.#latest.delete(oldest.value);
    }
    this.#latest.set(event.object, { type: event.type, frame });
    return frame;
  }
}

const jsonFrames = new SharedFrames();
const protobufFrames = new SharedFrames();

function viewObject(
  call: Call,
  output: Negotiated,
  event: WatchEvent & { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' },
  columns: boolean,
): object {
  const { kind, version } = output.transform as NonNullable<Negotiated['transform']>;
  if (kind !== 'Table') return partialMetadata(event.object.object, version);
  const resourceVersion = event.object.object.metadata.resourceVersion;
  return tableOf(
    tableRequest(call, version),
    [event.object],
    resourceVersion === undefined ? {} : { resourceVersion },
    columns,
  );
}

function objectJson(call: Call, output: Negotiated): (event: WatchEvent) => Uint8Array {
  if (output.transform) tableRequest(call, output.transform.version);
  let first = true;
  return (event) => {
    if (event.type === 'ERROR') return Buffer.from(JSON.stringify(event.status));
    if (!output.transform) return event.object.json();
    const view = viewObject(call, output, event, first);
    first = false;
    return Buffer.from(jsonText(view));
  };
}
