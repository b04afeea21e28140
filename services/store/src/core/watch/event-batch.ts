import { encodeMessage, etcdserverpb } from '@pilothouse/proto';

/** Encoded events that many watches are told alike. */
export class EventBatch {
  readonly events: readonly Uint8Array[];
  #encoded: Uint8Array | undefined;

  constructor(events: readonly Uint8Array[]) {
    this.events = events;
  }

  /** The events as the field of a WatchResponse; made once. */
  get encoded(): Uint8Array {
    return (this.#encoded ??= encodeMessage(etcdserverpb.WatchResponse, { events: this.events }));
  }
}
