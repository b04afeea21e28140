import assert from 'node:assert/strict';
import * as grpc from '@grpc/grpc-js';
import {
  decodeMessage,
  encodeMessage,
  etcdserverpb,
  type mvccpb,
  type MessageInput,
  type MethodInfo,
} from '@pilothouse/proto';

/** Compares an etcd v3 endpoint, ours or any other, with the behaviour that clients rely on. Needs a cluster of its own. */
export interface ConformanceCase {
  readonly name: string;
  run(client: ConformanceClient): Promise<void>;
}

type Outcome<T> = { readonly ok: T } | { readonly code: number; readonly details: string };

/** A stream of messages both ways, read one at a time. */
export interface Bidi<Req, Res> {
  send(request: MessageInput<Req>): void;
  /** The next message; fails after `timeoutMs`. */
  next(timeoutMs?: number): Promise<Res>;
  /** True when nothing comes for `quietMs`. */
  isQuiet(quietMs: number): Promise<boolean>;
  close(): void;
}

export class ConformanceClient {
  readonly #client: grpc.Client;
  #prefixes = 0;
  readonly #run = process.pid.toString(36);

  constructor(address: string, credentials = grpc.credentials.createInsecure()) {
    this.#client = new grpc.Client(address, credentials, {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    });
  }

  close(): void {
    this.#client.close();
  }

  /** Starts a case with keys of its own. */
  prefix(): string {
    return `conformance/${this.#run}/${++this.#prefixes}/`;
  }

  try<Req, Res>(
    method: MethodInfo<Req, Res>,
    request: MessageInput<Req>,
    metadata: Record<string, string> = {},
    timeoutMs = 10_000,
  ): Promise<Outcome<Res>> {
    const headers = new grpc.Metadata();
    for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        method.path,
        (message: MessageInput<Req>) => Buffer.from(encodeMessage(method.request, message)),
        (bytes) => decodeMessage(method.response, bytes),
        request,
        headers,
        { deadline: Date.now() + timeoutMs },
        (error, response) =>
          resolve(error ? { code: error.code, details: error.details } : { ok: response as Res }),
      );
    });
  }

  async ok<Req, Res>(
    method: MethodInfo<Req, Res>,
    request: MessageInput<Req>,
    metadata: Record<string, string> = {},
  ): Promise<Res> {
    const outcome = await this.try(method, request, metadata);
    if ('ok' in outcome) return outcome.ok;
    throw new Error(`${method.method} failed with ${outcome.code}: ${outcome.details}`);
  }

  async fails<Req, Res>(
    method: MethodInfo<Req, Res>,
    request: MessageInput<Req>,
    code: number,
    details: string,
    metadata: Record<string, string> = {},
  ): Promise<void> {
    assert.deepEqual(
      await this.try(method, request, metadata),
      { code, details },
      `${method.method} ${JSON.stringify(request, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value))}`,
    );
  }

  bidi<Req, Res>(method: MethodInfo<Req, Res>): Bidi<Req, Res> {
    const call = this.#client.makeBidiStreamRequest(
      method.path,
      (message: MessageInput<Req>) => Buffer.from(encodeMessage(method.request, message)),
      (bytes) => decodeMessage(method.response, bytes),
    );
    const queue: Res[] = [];
    let wake = (): void => {};
    let failure: Error | undefined;
    call.on('data', (message: Res) => {
      queue.push(message);
      wake();
    });
    call.on('error', (error) => {
      failure = error;
      wake();
    });
    const wait = async (ms: number): Promise<boolean> => {
      if (queue.length > 0) return true;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      return queue.length > 0;
    };
    return {
      send: (request) => void call.write(request),
      async next(timeoutMs = 5000) {
        if (!(await wait(timeoutMs))) throw failure ?? new Error(`No message within ${timeoutMs} ms`);
        return queue.shift() as Res;
      },
      isQuiet: async (quietMs) => !(await wait(quietMs)),
      close: () => call.cancel(),
    };
  }

  /** A stream that is read until it is closed here. */
  streaming<Req, Res>(
    method: MethodInfo<Req, Res>,
    request: MessageInput<Req>,
    onMessage: (message: Res) => void,
  ): { close(): void } {
    const call = this.#client.makeServerStreamRequest(
      method.path,
      (message: MessageInput<Req>) => Buffer.from(encodeMessage(method.request, message)),
      (bytes) => decodeMessage(method.response, bytes),
      request,
    );
    call.on('data', onMessage);
    call.on('error', () => {});
    return { close: () => call.cancel() };
  }

  serverStream<Req, Res>(method: MethodInfo<Req, Res>, request: MessageInput<Req>): Promise<Res[]> {
    return new Promise((resolve, reject) => {
      const messages: Res[] = [];
      const call = this.#client.makeServerStreamRequest(
        method.path,
        (message: MessageInput<Req>) => Buffer.from(encodeMessage(method.request, message)),
        (bytes) => decodeMessage(method.response, bytes),
        request,
      );
      call.on('data', (message: Res) => messages.push(message));
      call.on('error', reject);
      call.on('end', () => resolve(messages));
    });
  }
}

export const bytes = (text: string): Uint8Array => Buffer.from(text);
export const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();
export const end = (prefix: string): Uint8Array =>
  Buffer.from(`${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`);

export async function put(
  client: ConformanceClient,
  key: string,
  value: string,
  lease = 0n,
): Promise<number> {
  const { header } = await client.ok(etcdserverpb.KVService.Put, {
    key: bytes(key),
    value: bytes(value),
    lease,
  });
  return header?.revision ?? 0;
}

export const keysOf = (prefix: string, response: etcdserverpb.RangeResponse): string =>
  response.kvs.map((kv) => text(kv.key).slice(prefix.length)).join(' ');

export type Watching = Bidi<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

export async function createWatch(
  stream: Watching,
  request: MessageInput<etcdserverpb.WatchCreateRequest>,
): Promise<etcdserverpb.WatchResponse> {
  stream.send({ createRequest: request });
  return stream.next();
}

export const eventText = (prefix: string, event: mvccpb.Event): string =>
  `${event.type === 0 ? 'PUT' : 'DELETE'} ${text(event.kv?.key).slice(prefix.length)}=${text(event.kv?.value)}${event.prevKv ? ` was ${text(event.prevKv.value)}` : ''}`;

/** Reads until `count` events came; they may be spread over messages. */
export async function readEvents(stream: Watching, count: number): Promise<mvccpb.Event[]> {
  const events: mvccpb.Event[] = [];
  while (events.length < count) events.push(...(await stream.next()).events);
  return events;
}
