import { createGzip } from 'node:zlib';
import type { Gzip } from 'node:zlib';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { parseExact, statusErrors } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import { jsonListFrame, protobufListFrame } from '@pilothouse/serializer';
import type { ListHead } from '@pilothouse/serializer';
import { writeMany } from '../../http2/exchange-ends.ts';
import { limits } from '../../limits.ts';
import type { ListResult, Stored } from '../../registry/rest/rest-storage.ts';
import type { Exchange } from '../../request/exchange.ts';
import type { Call } from '../call.ts';
import { apiVersionOfKind, contextOf, negotiateOutput, responseKindOf } from '../call.ts';
import type { Negotiated } from '../negotiation.ts';
import { isPretty, jsonType, protobufType } from '../negotiation.ts';
import { listOptionsOf } from '../options.ts';
import { acceptsGzip, respondBytes, respondObject, startResponse } from '../respond.ts';
import type { ListMeta } from '../views.ts';
import { internalTypeName, partialMetadataList, tableOf } from '../views.ts';
import { requireMember } from './require-member.ts';
import { noProtobuf, tableRequest } from './respond-stored.ts';

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
    const typed = isTyped(call);
    const items = Array.from(result.items, (stored) => listItem(stored, typed));
    const kind = responseKindOf(call.storage.resource);
    const listKind = call.storage.resource.listKind ?? `${kind.kind}List`;
    const list = {
      kind: listKind,
      apiVersion: apiVersionOfKind(kind),
      metadata: typed ? meta : { continue: '', ...meta },
      items,
    };
    await respondObject(exchange, services.codec, 200, list, output);
  }
}

/** Items of typed lists have no kind and apiVersion; custom resources keep them. */
function isTyped(call: Call): boolean {
  const { group, version, kind } = responseKindOf(call.storage.resource);
  return builtinSchemas.kind(group, version, kind) !== undefined;
}

function listItem(stored: Stored, typed: boolean): object {
  // The form that clients get: members in order, with those that are always written.
  const text = Buffer.from(stored.json()).toString();
  const object = parseExact(text) as Stored['object'];
  if (!typed) return object;
  const { kind: _kind, apiVersion: _apiVersion, ...item } = object;
  return item;
}

function listHead(call: Call, metadata: ListMeta): ListHead {
  const { group, version, kind } = responseKindOf(call.storage.resource);
  return { group, version, kind: call.storage.resource.listKind ?? `${kind}List`, metadata };
}

const comma = Buffer.from(',');
const openBrace = Buffer.from('{');
const separatedBrace = Buffer.from(',{');

/** Lists of custom resources have sorted members, and always a continue token. */
function customListFrame({ group, version, kind, metadata }: ListHead): { before: string; after: string } {
  const apiVersion = JSON.stringify(apiVersionOfKind({ group, version, kind }));
  const meta = JSON.stringify({ continue: '', ...metadata });
  return {
    before: `{"apiVersion":${apiVersion},"items":[`,
    after: `],"kind":${JSON.stringify(kind)},"metadata":${meta}}\n`,
  };
}

function* jsonPieces(call: Call, result: ListResult, meta: ListMeta): Generator<Uint8Array> {
  const typed = isTyped(call);
  const frame = typed ? jsonListFrame(listHead(call, meta)) : customListFrame(listHead(call, meta));
  yield Buffer.from(frame.before);
  let first = true;
  for (const stored of result.items) {
    if (typed) yield first ? openBrace : separatedBrace;
    else if (!first) yield comma;
    first = false;
    yield typed ? stored.listItemJson() : stored.json();
  }
  yield Buffer.from(frame.after);
}

function* protobufPieces(call: Call, result: ListResult, meta: ListMeta): Generator<Uint8Array> {
  const items: Uint8Array[] = [];
  for (const stored of result.items) {
    const bytes = stored.listItemProtobuf();
    if (bytes === undefined) throw noProtobuf();
    items.push(bytes);
  }
  // The length of the whole comes first.
  const frame = protobufListFrame(
    listHead(call, meta),
    items.map((item) => item.length),
  );
  yield frame.before;
  for (const item of items) {
    yield frame.itemPrefix(item.length);
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
  const { response } = exchange;
  let sink: Writable = response;
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
    if (response.destroyed) return false;
    const hasRoom =
      packer === undefined
        ? writeMany(response, chunks, length)
        : packer.write(Buffer.concat(chunks, length));
    chunks = [];
    length = 0;
    if (hasRoom) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      return true;
    }
    await Promise.race([once(sink, 'drain'), once(response, 'close')]).catch(() => undefined);
    return !response.destroyed;
  };
  for (; !next.done; next = pieces.next()) {
    chunks.push(next.value);
    length += next.value.length;
    if (length >= limits.listWriteBytes && !(await flush())) return;
  }
  sink.end(Buffer.concat(chunks, length));
}
