import { openApiV2ProtobufMediaType, openApiV3ProtobufMediaType, parseAccept } from '@pilothouse/serializer';
import type { Exchange } from '../request/exchange.ts';
import type { OpenApiDocument, OpenApiDocuments } from './openapi-documents.ts';
import type { PathTable } from './path-table.ts';
import { respondObjectBytes, respondText, startResponse } from './respond.ts';

const jsonType = 'application/json';

/** Subtypes that clients ask for, and what they get. Older clients ask with an at sign. */
const v2Types = [
  ['json', jsonType],
  ['com.github.proto-openapi.spec.v2@v1.0+protobuf', openApiV2ProtobufMediaType],
  ['com.github.proto-openapi.spec.v2.v1.0+protobuf', openApiV2ProtobufMediaType],
] as const;

const v3Types = [
  ['json', jsonType],
  ['com.github.proto-openapi.spec.v3@v1.0+protobuf', openApiV3ProtobufMediaType],
  ['com.github.proto-openapi.spec.v3.v1.0+protobuf', openApiV3ProtobufMediaType],
] as const;

/** `/openapi/v2` and `/openapi/v3` as JSON or protobuf. */
export function registerOpenApiPaths(paths: PathTable, documents: OpenApiDocuments): void {
  paths.handle('/openapi/v2', async (exchange) => {
    const mediaType = chosenType(exchange, v2Types);
    if (mediaType === undefined) respondText(exchange, 406, '406 not acceptable\n');
    else if (mediaType === jsonType) await respondDocument(exchange, await documents.v2(), jsonType);
    else await respondDocument(exchange, await documents.v2Protobuf(), mediaType);
  });
  paths.handle('/openapi/v3', async (exchange) => {
    const body = JSON.stringify(documents.index());
    // Upstream never says that this is JSON.
    await respondObjectBytes(exchange, 200, 'text/plain; charset=utf-8', Buffer.from(body));
  });
  paths.handle('/openapi/v3/', (exchange) => respondEmpty(exchange, 404), false);
  paths.handlePrefix('/openapi/v3/', async (exchange) => {
    const key = exchange.path.slice('/openapi/v3/'.length);
    const mediaType = chosenType(exchange, v3Types) ?? jsonType;
    const document = mediaType === jsonType ? await documents.v3(key) : await documents.v3Protobuf(key);
    if (!document) {
      respondEmpty(exchange, 404);
      return;
    }
    const { response } = exchange;
    const hash = exchange.query.get('hash');
    if (hash !== null && hash !== '') {
      if (hash !== document.hash) {
        response.setHeader('Location', `/openapi/v3/${key}?hash=${document.hash}`);
        respondEmpty(exchange, 301);
        return;
      }
      // The URL names this very content, so it never changes.
      response.setHeader('Cache-Control', 'public, immutable');
      response.setHeader('Expires', new Date(exchange.receivedMs + 365 * 24 * 3_600_000).toUTCString());
    }
    await respondDocument(exchange, document, mediaType);
  });
}

/** The first type of the request that is served; undefined when there is none. */
function chosenType(
  exchange: Exchange,
  served: readonly (readonly [subtype: string, mediaType: string])[],
): string | undefined {
  const accept = exchange.header('accept');
  if (accept === '') return jsonType;
  for (const { type, subtype } of parseAccept(accept)) {
    if (type !== '*' && type !== 'application') continue;
    const found = served.find(([name]) => subtype === '*' || subtype === name);
    if (found) return found[1];
  }
  return undefined;
}

function respondEmpty(exchange: Exchange, status: number): void {
  startResponse(exchange, status, { 'Content-Length': 0 });
  exchange.response.end();
}

async function respondDocument(
  exchange: Exchange,
  document: OpenApiDocument,
  mediaType: string,
): Promise<void> {
  const { response } = exchange;
  const etag = `"${document.hash}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Vary', 'Accept');
  if (exchange.header('if-none-match') === etag) {
    respondEmpty(exchange, 304);
    return;
  }
  await respondObjectBytes(exchange, 200, mediaType, document.body);
}
