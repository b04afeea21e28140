import { decodeMessage, mvccpb } from '@pilothouse/proto';
import { keyText, type KeyText } from '../key-text.ts';
import { limits } from '../limits.ts';
import { GarbageQueue } from './garbage.ts';
import { KeyTable } from './key-table.ts';
import { revisionSum, RevisionSums } from './revision-sums.ts';

/** What memory knows of a stored state; built from its revisions one after the other, in their order. */
export class StoredIndex {
  readonly keys = new KeyTable();
  readonly garbage = new GarbageQueue();
  readonly sums = new RevisionSums();
  /** Leases of the keys that exist; keys without one are not in it. */
  readonly leases = new Map<KeyText, bigint>();
  liveBytes = 0;
  liveKeys = 0;
  lastMain = 0;
  #tombstones: number[] = [];

  add(main: number, sub: number, stored: Uint8Array): void {
    const value = decodeMessage(mvccpb.KeyValue, stored);
    const key = keyText(value.key);
    const { keys } = this;
    const slot = keys.findOrAdd(key);
    // A tombstone of a revision can go one revision later than what it replaced.
    if (main !== this.lastMain) this.#flush();
    this.lastMain = main;
    const isAlive = keys.isAlive(slot);
    if (isAlive) this.supersede(keys.newest(slot), main);
    const row = keys.add(slot, main, sub, value.createRevision, value.version);
    this.stored(row, main, sub, stored);
    if (value.createRevision === 0) {
      this.#tombstones.push(row);
      if (isAlive) this.liveKeys--;
      this.leases.delete(key);
      return;
    }
    if (!isAlive) this.liveKeys++;
    if (value.lease !== 0n) this.leases.set(key, value.lease);
    else if (this.leases.size > 0) this.leases.delete(key);
  }

  /** All revisions were added. */
  finish(): void {
    this.#flush();
  }

  /** A compaction at `at` or later may remove the revision of `row`. */
  supersede(row: number, at: number): void {
    this.garbage.push(at, row, this.keys.revisions.sumOf(row));
  }

  /** Takes note of the bytes that are stored for a row. */
  stored(row: number, main: number, sub: number, bytes: Uint8Array): void {
    const taken = bytes.length + limits.putOverheadBytes;
    const sum = revisionSum(sub, bytes);
    this.keys.revisions.stored(row, taken, sum);
    this.sums.add(main, sum);
    this.liveBytes += taken;
  }

  #flush(): void {
    for (const row of this.#tombstones) this.supersede(row, this.keys.revisions.mainOf(row) + 1);
    if (this.#tombstones.length > 0) this.#tombstones = [];
  }
}
