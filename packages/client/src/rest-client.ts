import type { KubeObject, Status } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import { sleep } from '@pilothouse/base';
import { TransportError } from './errors.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';

/** Names a resource on the wire, e.g. `{ group: 'apps', version: 'v1', resource: 'deployments' }`. */
export interface ResourceRef {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

export interface KubeList<T extends KubeObject = KubeObject> {
  kind: string;
  apiVersion: string;
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  items: T[];
}

export interface WatchEvent<T extends KubeObject = KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

type QueryValue = string | number | boolean | undefined;

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan';
  /** Only apiVersion, kind and metadata of each object. */
  readonly metadataOnly?: boolean;
}

export interface WatchOptions extends ListOptions {
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
}

const acceptJson = 'application/json';
const acceptMetadata = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const acceptMetadataList = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

export interface WriteOptions {
  readonly namespace?: string;
  readonly subresource?: string;
  readonly fieldManager?: string;
  readonly dryRun?: boolean;
}

export interface DeleteOptions {
  readonly namespace?: string;
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

const patchContentType: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** Path of a collection, an object or a subresource. */
export function resourcePath(
  ref: ResourceRef,
  namespace?: string,
  name?: string,
  subresource?: string,
): string {
  let path = ref.group === '' ? `/api/${ref.version}` : `/apis/${ref.group}/${ref.version}`;
  if (namespace !== undefined && namespace !== '') path += `/namespaces/${encodeURIComponent(namespace)}`;
  path += `/${ref.resource}`;
  if (name !== undefined) path += `/${encodeURIComponent(name)}`;
  if (subresource !== undefined) path += `/${subresource}`;
  return path;
}

function withQuery(path: string, query: Record<string, QueryValue>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text === '' ? path : `${path}?${text}`;
}

const listQuery = (options: ListOptions): Record<string, QueryValue> => ({
  labelSelector: options.labelSelector,
  fieldSelector: options.fieldSelector,
  limit: options.limit,
  continue: options.continue,
  resourceVersion: options.resourceVersion,
  resourceVersionMatch: options.resourceVersionMatch,
});

/** Turns a Status answer into the StatusError that the server raised. */
export function statusErrorFrom(httpCode: number, text: string): StatusError {
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') {
      return new StatusError(
        status.code ?? httpCode,
        status.reason ?? '',
        status.message ?? text,
        status.details,
      );
    }
  } catch {
    // Not JSON: a proxy or a plain-text error; the text itself is the best message there is.
  }
  const reason = {
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'NotFound',
    409: 'Conflict',
    429: 'TooManyRequests',
  }[httpCode];
  return new StatusError(
    httpCode,
    reason ?? (httpCode >= 500 ? 'InternalError' : ''),
    text || `HTTP ${httpCode}`,
  );
}

/**
 * Typed by caller, untyped inside: objects in their JSON shape. Failures of the server are StatusError, of the network
 * TransportError. Requests that surely were not executed (429 with Retry-After, refused connections, failed reads) are repeated a few times.
 */
export class RestClient {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #userAgent: string;

  constructor(transport: Transport, options: { clock: Clock; userAgent: string }) {
    this.#transport = transport;
    this.#clock = options.clock;
    this.#userAgent = options.userAgent;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get<T extends KubeObject = KubeObject>(
    ref: ResourceRef,
    name: string,
    options: { namespace?: string; subresource?: string; resourceVersion?: string } = {},
  ): Promise<T> {
    const path = resourcePath(ref, options.namespace, name, options.subresource);
    return this.#json<T>({
      method: 'GET',
      path: withQuery(path, { resourceVersion: options.resourceVersion }),
    });
  }

  list<T extends KubeObject = KubeObject>(ref: ResourceRef, options: ListOptions = {}): Promise<KubeList<T>> {
    const path = withQuery(resourcePath(ref, options.namespace), listQuery(options));
    return this.#json<KubeList<T>>(
      { method: 'GET', path },
      undefined,
      options.metadataOnly === true ? acceptMetadataList : acceptJson,
    );
  }

  create<T extends KubeObject = KubeObject>(
    ref: ResourceRef,
    object: KubeObject,
    options: WriteOptions & { name?: string } = {},
  ): Promise<T> {
    const namespace = options.namespace ?? object.metadata.namespace;
    return this.#json<T>({
      method: 'POST',
      path: withQuery(resourcePath(ref, namespace, options.name, options.subresource), writeQuery(options)),
      body: JSON.stringify(object),
    });
  }

  update<T extends KubeObject = KubeObject>(
    ref: ResourceRef,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<T> {
    const { name, namespace } = object.metadata;
    return this.#json<T>({
      method: 'PUT',
      path: withQuery(
        resourcePath(ref, options.namespace ?? namespace, name, options.subresource),
        writeQuery(options),
      ),
      body: JSON.stringify(object),
    });
  }

  patch<T extends KubeObject = KubeObject>(
    ref: ResourceRef,
    name: string,
    patch: unknown,
    options: WriteOptions & { type: PatchType; force?: boolean },
  ): Promise<T> {
    return this.#json<T>(
      {
        method: 'PATCH',
        path: withQuery(resourcePath(ref, options.namespace, name, options.subresource), {
          ...writeQuery(options),
          force: options.force,
        }),
        body: JSON.stringify(patch),
      },
      patchContentType[options.type],
    );
  }

  delete(ref: ResourceRef, name: string, options: DeleteOptions = {}): Promise<KubeObject> {
    const { namespace, ...body } = options;
    return this.#json<KubeObject>({
      method: 'DELETE',
      path: resourcePath(ref, namespace, name),
      body: JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', ...body }),
    });
  }

  deleteCollection(ref: ResourceRef, options: ListOptions & DeleteOptions = {}): Promise<unknown> {
    const { gracePeriodSeconds, propagationPolicy } = options;
    return this.#json<unknown>({
      method: 'DELETE',
      path: withQuery(resourcePath(ref, options.namespace), listQuery(options)),
      body: JSON.stringify({
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        gracePeriodSeconds,
        propagationPolicy,
      }),
    });
  }

  /** Any path that answers JSON, e.g. discovery. */
  raw<T = unknown>(method: TransportRequest['method'], path: string, body?: unknown): Promise<T> {
    return this.#json<T>({ method, path, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }

  /**
   * Opens a watch; rejects with StatusError when the server refuses it. The iterator ends when the server closes the stream and
   * throws TransportError when the connection breaks. A Status inside the stream comes as an ERROR event.
   */
  async watch<T extends KubeObject = KubeObject>(
    ref: ResourceRef,
    options: WatchOptions = {},
  ): Promise<AsyncIterable<WatchEvent<T>>> {
    const response = await this.#send({
      method: 'GET',
      path: withQuery(resourcePath(ref, options.namespace), {
        ...listQuery(options),
        watch: true,
        allowWatchBookmarks: options.allowWatchBookmarks,
        sendInitialEvents: options.sendInitialEvents,
        timeoutSeconds: options.timeoutSeconds,
      }),
      headers: this.#headers(undefined, options.metadataOnly === true ? acceptMetadata : acceptJson),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (response.status !== 200) throw statusErrorFrom(response.status, await readText(response));
    return parseLines<WatchEvent<T>>(response.body);
  }

  #headers(contentType?: string, accept = acceptJson): Record<string, string> {
    return {
      accept,
      'user-agent': this.#userAgent,
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    };
  }

  async #json<T>(
    request: TransportRequest,
    contentType = 'application/json',
    accept = acceptJson,
  ): Promise<T> {
    const attemptsMax = 6;
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await this.#send({
          ...request,
          headers: this.#headers(request.body === undefined ? undefined : contentType, accept),
        });
        const text = await readText(response);
        if (response.status < 400) return JSON.parse(text) as T;
        const retryAfter = Number(response.headers['retry-after']);
        if ((response.status === 429 || response.status === 503) && retryAfter > 0 && attempt < attemptsMax) {
          await sleep(this.#clock, retryAfter * 1000);
          continue;
        }
        throw statusErrorFrom(response.status, text);
      } catch (error) {
        const repeatable = error instanceof TransportError && (!error.sent || request.method === 'GET');
        if (!repeatable || attempt >= attemptsMax) throw error;
        await sleep(this.#clock, 50 * 2 ** (attempt - 1));
      }
    }
  }

  #send(request: TransportRequest): Promise<TransportResponse> {
    return this.#transport.request(request);
  }
}

function writeQuery(options: WriteOptions): Record<string, QueryValue> {
  return { fieldManager: options.fieldManager, dryRun: options.dryRun === true ? 'All' : undefined };
}

async function readText(response: TransportResponse): Promise<string> {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of response.body) pieces.push(piece);
  } catch (error) {
    throw new TransportError('The answer broke off', { sent: true, cause: error });
  }
  return Buffer.concat(pieces).toString('utf8');
}

async function* parseLines<T>(body: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  let rest: Buffer[] = [];
  try {
    for await (const piece of body) {
      let start = 0;
      const buffer = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
      for (let end = buffer.indexOf(10, start); end >= 0; end = buffer.indexOf(10, start)) {
        rest.push(buffer.subarray(start, end));
        const line = rest.length === 1 ? (rest[0] as Buffer) : Buffer.concat(rest);
        rest = [];
        start = end + 1;
        if (line.length > 0) yield JSON.parse(line.toString('utf8')) as T;
      }
      if (start < buffer.length) rest.push(buffer.subarray(start));
    }
  } catch (error) {
    if (error instanceof SyntaxError) throw error;
    throw new TransportError('The watch broke off', { sent: true, cause: error });
  }
}
