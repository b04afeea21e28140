import { createGzip } from 'node:zlib';
import type { Gzip } from 'node:zlib';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { statusErrors } from '@pilothouse/apimachinery';
import { limits } from '../../limits.ts';
import type { ListResult, Stored } from '../../registry/rest/rest-storage.ts';
import type { Exchange } from '../../request/exchange.ts';
import type { Call } from '../call.ts';
import { apiVersionOfKind, contextOf, negotiateOutput, responseKindOf } from '../call.ts';
import type { Negotiated } from '../negotiation.ts';
import { isPretty, jsonType, protobufType } from '../negotiation.ts';
import { listOptionsOf } from '../options.ts';
import { protobufListFrame, unwrapEnvelope } from '../protobuf-frames.ts';
import { acceptsGzip, respondBytes, respondObject, startResponse } from '../respond.ts';
import type { ListMeta } from '../views.ts';
import { internalTypeName, partialMetadataList, tableOf } from '../views.ts';
import { requireMember } from './require-member.ts';
import { protobufOf, tableRequest } from './respond-stored.ts';

export async function handleList(call: Call): Promise<void> {
  const list = requireMember(call, 'list');
  const output = negotiateOutput(call);
  const options = listOptionsOf(call.exchange.query, false);
  const result = await list(contextOf(call), withName(options, call.name));
  await respondList(call, result, output);
}

/** The old `/watch/…/{name}` paths and a required metadata.name narrow a list to one object. */
export function withName<T extends { readonly fieldSelector?: string }>(options: T, name: string): T {
  if (name === '' || options.fieldSelector !== undefined) return options;
  return { ...options, fieldSelector: `metadata.name=${name}` };
}

export function listMetaOf(result: ListResult): ListMeta {
  return {
    resourceVersion: result.resourceVersion,
    ...(result.continue === '' ? {} : { continue: result.continue }),
    ...(result.remainingItemCount === undefined ? {} : { remainingItemCount: result.remainingItemCount }),
  };
}

export async function respondList(call: Call, result: ListResult, output: Negotiated): Promise<void> {
  const { exchange, services } = call;
  const meta = listMetaOf(result);
  if (output.transform) {
    const { kind, version } = output.transform;
    if (kind === 'PartialObjectMetadata') {
      throw statusErrors.notAcceptable(
        `you requested PartialObjectMetadata, but the requested object is a list (${internalTypeName(call.storage, true)})`,
      );
    }
    const view =
      kind === 'Table'
        ? tableOf(tableRequest(call, version), result.items, meta)
        : partialMetadataList(result.items, meta, version);
    await respondObject(exchange, services.codec, 200, view, output);
    return;
  }
  const pretty = isPretty(exchange.query, exchange.userAgent, output.pretty);
  if (output.mediaType === jsonType && !pretty) {
    await respondPieces(exchange, jsonType, jsonPieces(call, result, meta));
  } else if (output.mediaType === protobufType) {
    await respondPieces(exchange, protobufType, protobufPieces(call, result, meta));
  } else {
    const items = Array.from(result.items, (stored) => listItem(call, stored));
    const kind = responseKindOf(call.storage.resource);
    const list = { kind: `${kind.kind}List`, apiVersion: apiVersionOfKind(kind), metadata: meta, items };
    await respondObject(exchange, services.codec, 200, list, output);
  }
}

/** Items of typed lists have no kind and apiVersion; custom resources keep them. */
function listItem(call: Call, stored: Stored): object {
  if (!isTyped(stored, call)) return stored.object;
  const { kind: _kind, apiVersion: _apiVersion, ...item } = stored.object;
  return item;
}

function typedPrefix(call: Call): Buffer {
  const kind = responseKindOf(call.storage.resource);
  return Buffer.from(
    `{"kind":${JSON.stringify(kind.kind)},"apiVersion":${JSON.stringify(apiVersionOfKind(kind))},`,
  );
}

/** Typed objects are written with kind and apiVersion in front, custom resources with sorted keys. */
function isTyped(stored: Stored, call: Call): boolean {
  const prefix = typedPrefix(call);
  return Buffer.from(
    stored.json().buffer,
    stored.json().byteOffset,
    Math.min(prefix.length, stored.json().length),
  ).equals(prefix);
}

const comma = Buffer.from(',');
const openBrace = Buffer.from('{');

function* jsonPieces(call: Call, result: ListResult, meta: ListMeta): Generator<Uint8Array> {
  const kind = responseKindOf(call.storage.resource);
  yield Buffer.from(
    `{"kind":${JSON.stringify(`${kind.kind}List`)},"apiVersion":${JSON.stringify(apiVersionOfKind(kind))},"metadata":${JSON.stringify(meta)},"items":[`,
  );
  const prefix = typedPrefix(call);
  let first = true;
  for (const stored of result.items) {
    if (!first) yield comma;
    first = false;
    const json = stored.json();
    if (startsWith(json, prefix)) {
      yield openBrace;
      yield json.subarray(prefix.length);
    } else {
      yield json;
    }
  }
  yield Buffer.from(']}\n');
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let index = 0; index < prefix.length; index++) if (bytes[index] !== prefix[index]) return false;
  return true;
}

function* protobufPieces(call: Call, result: ListResult, meta: ListMeta): Generator<Uint8Array> {
  const items: Uint8Array[] = [];
  for (const stored of result.items) items.push(unwrapEnvelope(protobufOf(stored)));
  const frame = protobufListFrame(
    responseKindOf(call.storage.resource),
    meta,
    items.map((item) => item.length),
  );
  yield frame.before;
  for (const item of items) {
    yield frame.itemHeader(item.length);
    yield item;
  }
  yield frame.after;
}

/**
 * Sends pieces as one answer. A short one goes out at once with its length; a long one is streamed with backpressure, so that
 * memory does not grow with it, and compressed when the client accepts that.
 */
export async function respondPieces(
  exchange: Exchange,
  contentType: string,
  pieces: Iterator<Uint8Array>,
): Promise<void> {
  let chunks: Uint8Array[] = [];
  let length = 0;
  let next = pieces.next();
  while (!next.done && length < limits.gzipBytesMin) {
    chunks.push(next.value);
    length += next.value.length;
    next = pieces.next();
  }
  if (next.done && length < limits.gzipBytesMin) {
    respondBytes(exchange, 200, contentType, Buffer.concat(chunks, length));
    return;
  }
  let sink: Writable = exchange.response;
  let packer: Gzip | undefined;
  if (acceptsGzip(exchange)) {
    exchange.response.setHeader('Content-Encoding', 'gzip');
    exchange.response.setHeader('Vary', 'Accept-Encoding');
    packer = createGzip({ level: 1 });
    packer.pipe(exchange.response);
    exchange.response.once('close', () => packer?.destroy());
    sink = packer;
  }
  startResponse(exchange, 200, { 'Content-Type': contentType });
  const flush = async (): Promise<boolean> => {
    const block = Buffer.concat(chunks, length);
    chunks = [];
    length = 0;
    if (exchange.response.destroyed) return false;
    if (sink.write(block)) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      return true;
    }
    await Promise.race([once(sink, 'drain'), once(exchange.response, 'close')]).catch(() => undefined);
    return !exchange.response.destroyed;
  };
  for (; !next.done; next = pieces.next()) {
    chunks.push(next.value);
    length += next.value.length;
    if (length >= limits.listWriteBytes && !(await flush())) return;
  }
  sink.end(Buffer.concat(chunks, length));
}
