import { encodeMessage, mvccpb } from '@pilothouse/proto';
import type { Change, MvccStore } from '../mvcc/mvcc-store.ts';

/** A change in the shared log; its encodings are made at most once for all watchers. */
export class LogEvent {
  readonly change: Change;
  #plain: Uint8Array | undefined;
  #withPrev: Uint8Array | undefined;

  constructor(change: Change) {
    this.change = change;
  }

  /** The encoded mvccpb.Event. */
  encoded(store: MvccStore, withPrev: boolean): Uint8Array {
    if (withPrev)
      return (this.#withPrev ??= this.#encode(store.valueAt(this.change.key, this.change.main - 1)));
    return (this.#plain ??= this.#encode(undefined));
  }

  #encode(prevKv: Uint8Array | undefined): Uint8Array {
    return encodeMessage(mvccpb.Event, { type: this.change.isDelete ? 1 : 0, kv: this.change.bytes, prevKv });
  }
}
