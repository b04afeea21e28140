import type { Clock } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { EtcdError, grpcCode, GrpcConnection } from '@pilothouse/etcd-client';

/** Unary gRPC calls to a plugin behind a Unix socket. Connects when first used, and again after a loss. */
export class UnixGrpcClient {
  readonly #endpoint: string;
  readonly #socketPath: string;
  readonly #clock: Clock;
  /** Told of each call: method, code in Go's words (`OK`, `Unavailable`), seconds. */
  readonly #onCall: ((method: string, code: string, seconds: number) => void) | undefined;
  #connection: GrpcConnection | undefined;

  /** `endpoint` is for messages. A path that begins with a NUL is in Linux's abstract namespace. */
  constructor(
    endpoint: string,
    socketPath: string,
    clock: Clock,
    onCall?: (method: string, code: string, seconds: number) => void,
  ) {
    this.#onCall = onCall;
    this.#endpoint = endpoint;
    this.#socketPath = socketPath;
    this.#clock = clock;
  }

  /** The answer to `/package.Service/Method`. Rejects with an Error in Go's words: `rpc error: code = … desc = …`. */
  async call(method: string, message: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const connection = (this.#connection ??= new GrpcConnection(
      { text: this.#endpoint, secure: false, host: 'localhost', port: 80, socketPath: this.#socketPath },
      {
        clock: this.#clock,
        tls: undefined,
        onDown: (down) => {
          if (this.#connection === down) this.#connection = undefined;
        },
      },
    ));
    const startedMs = this.#clock.monotonic();
    let code = 'OK';
    try {
      await connection.ready();
      return await connection.unary(method, message, { timeoutMs, metadata: {} });
    } catch (error) {
      code = grpcCodeOf(error);
      throw new Error(reasonOf(error), { cause: error });
    } finally {
      this.#onCall?.(method, code, (this.#clock.monotonic() - startedMs) / 1000);
    }
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

/** The code of a failed call (or of what wraps one) in Go's words, for metrics. */
export function grpcCodeOf(error: unknown): string {
  for (let each = error; each instanceof Error; each = each.cause)
    if (each instanceof EtcdError) return codeText(each);
  return 'unknown-non-grpc';
}

function codeText(error: EtcdError): string {
  const code = Object.entries(grpcCode).find(([, value]) => value === error.grpcStatus)?.[0] ?? 'unknown';
  return `${code.charAt(0).toUpperCase()}${code.slice(1)}`;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof EtcdError)) return errorMessage(error);
  // The connection names its endpoint in words meant for the store.
  const text = error.cause instanceof Error ? error.cause.message : error.message;
  return `rpc error: code = ${codeText(error)} desc = ${text}`;
}
