/** One HTTP exchange, as little of it as a Kubernetes client needs. */
export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path with query, starting with `/`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Milliseconds until the answer's headers must have come, and between two pieces of a non-streaming body. */
  readonly timeoutMs?: number;
  /** Ends the exchange. */
  readonly signal?: AbortSignal;
}

export interface TransportResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Pieces of the body as they arrive; stop iterating to cancel. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Sends requests to one cluster. Rejects with TransportError when there is no answer. */
export interface Transport {
  request(request: TransportRequest): Promise<TransportResponse>;
  close(): void;
}
