import { decodeMessage, mvccpb } from '@pilothouse/proto';
import { keyText, type KeyText } from '../key-text.ts';
import { limits } from '../limits.ts';
import { GarbageQueue, type Garbage } from './garbage.ts';
import { revisionSum, RevisionSums } from './revision-sums.ts';
import { TreeIndex } from './tree-index.ts';

/** What memory knows of a stored state; built from its revisions one after the other, in their order. */
export class StoredIndex {
  readonly index = new TreeIndex();
  readonly garbage = new GarbageQueue();
  readonly sums = new RevisionSums();
  /** Leases of the keys that exist; keys without one are not in it. */
  readonly leases = new Map<KeyText, bigint>();
  liveBytes = 0;
  liveKeys = 0;
  lastMain = 0;
  #tombstones: Garbage[] = [];

  add(main: number, sub: number, stored: Uint8Array): void {
    const value = decodeMessage(mvccpb.KeyValue, stored);
    const key = keyText(value.key);
    const index = this.index.getOrAdd(key);
    // A tombstone of a revision can go one revision later than what it replaced.
    if (main !== this.lastMain) this.#flush();
    this.lastMain = main;
    const isAlive = index.isAlive;
    if (isAlive) this.garbage.push({ at: main, ...index.newest });
    const bytes = stored.length + limits.putOverheadBytes;
    const sum = revisionSum(sub, stored);
    index.restore({ main, sub, bytes, sum }, value.createRevision, value.version);
    this.sums.add(main, sum);
    this.liveBytes += bytes;
    if (value.createRevision === 0) {
      this.#tombstones.push({ at: main + 1, ...index.newest });
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

  #flush(): void {
    for (const each of this.#tombstones) this.garbage.push(each);
    if (this.#tombstones.length > 0) this.#tombstones = [];
  }
}
