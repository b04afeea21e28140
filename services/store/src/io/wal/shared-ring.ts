// Requests from the event loop to the WAL thread through memory that both see. Waking a thread that waits on a shared word takes a
// third of the processor time of a message port in each direction, and nothing is serialized or transferred.
//   control  words: head | tail | durable id | notified | syncs      (head and tail count bytes, modulo 2^32)
//   syncs    durations of the last syncs in seconds, float64
//   data     requests, 8-byte aligned: size u32 | kind u32 | id u32 | count u32 | count × (length u32 | type u32 | payload, padded to 4)
import type { RecordType, WalRecord } from './record.ts';

const word = { head: 0, tail: 1, durable: 2, notified: 3, syncs: 4 } as const;
const controlBytes = 64;
const syncsKept = 64;
const headerBytes = 16;
const dataStart = controlBytes + syncsKept * 8;

/** `skip` fills the end of the ring; `posted` stands for a request that is too large for it and came through the message port. */
const kinds = ['skip', 'append', 'appendLazily', 'release', 'close', 'posted'] as const;
export type RequestKind = (typeof kinds)[number];

export interface RingRequest {
  readonly kind: Exclude<RequestKind, 'skip'>;
  /** Of an append: its number, counting up and around at 2^32. */
  readonly id: number;
  /** Of an append: views of the ring, valid until {@link RingReader.release}. */
  readonly records: readonly WalRecord[];
  /** Of a release. */
  readonly index: number;
}

const noRecords: readonly WalRecord[] = [];
const align = (bytes: number, to: number): number => (bytes + to - 1) & -to;

/** `capacity` must be a power of two, at least 64. */
export function ringMemory(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(dataStart + capacity);
}

class Ring {
  readonly control: Int32Array;
  readonly syncs: Float64Array;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly capacity: number;

  constructor(memory: SharedArrayBuffer) {
    this.capacity = memory.byteLength - dataStart;
    this.control = new Int32Array(memory, 0, controlBytes / 4);
    this.syncs = new Float64Array(memory, controlBytes, syncsKept);
    this.bytes = new Uint8Array(memory, dataStart);
    this.words = new Uint32Array(memory, dataStart);
  }
}

/** The event loop's end. */
export class RingWriter {
  readonly #ring: Ring;
  #head = 0;
  #syncsSeen = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new Ring(memory);
  }

  /** Bytes of an append in the ring. Above half of the capacity it can never be sure to fit. */
  static bytesOf(records: readonly WalRecord[]): number {
    let size = headerBytes;
    for (const { payload } of records) size += 8 + align(payload.length, 4);
    return align(size, 8);
  }

  fitsEver(bytes: number): boolean {
    return bytes <= this.#ring.capacity / 2;
  }

  /** False: there is no room now; more comes with each append that is durable. */
  tryWrite(kind: RequestKind, id: number, records: readonly WalRecord[] = noRecords, index = 0): boolean {
    const { capacity, control, words, bytes } = this.#ring;
    const size = RingWriter.bytesOf(records);
    const at = this.#head & (capacity - 1);
    const rest = capacity - at;
    const skipped = size > rest ? rest : 0;
    const used = (this.#head - Atomics.load(control, word.tail)) >>> 0;
    if (used + skipped + size > capacity) return false;
    if (skipped > 0) {
      words[at >> 2] = skipped;
      words[(at >> 2) + 1] = 0;
    }
    let position = skipped > 0 ? 0 : at;
    let place = position >> 2;
    words[place] = size;
    words[place + 1] = kinds.indexOf(kind);
    words[place + 2] = kind === 'release' ? index >>> 0 : id;
    words[place + 3] = kind === 'release' ? Math.floor(index / 2 ** 32) : records.length;
    position += headerBytes;
    for (const { type, payload } of records) {
      place = position >> 2;
      words[place] = payload.length;
      words[place + 1] = type;
      bytes.set(payload, position + 8);
      position += 8 + align(payload.length, 4);
    }
    this.#head = (this.#head + skipped + size) | 0;
    Atomics.store(control, word.head, this.#head);
    Atomics.notify(control, word.head, 1);
    return true;
  }

  /** Number of the last append that is durable. From now on the thread sends a message for the next one. */
  takeDurable(): number {
    const { control } = this.#ring;
    Atomics.store(control, word.notified, 0);
    return Atomics.load(control, word.durable);
  }

  /** Durations in seconds of the syncs since the last call, as far as they are kept. */
  takeSyncs(take: (seconds: number) => void): void {
    const { control, syncs } = this.#ring;
    const count = Atomics.load(control, word.syncs);
    let from = this.#syncsSeen;
    if (((count - from) | 0) > syncsKept) from = (count - syncsKept) | 0;
    for (; from !== count; from = (from + 1) | 0) take(syncs[from & (syncsKept - 1)] as number);
    this.#syncsSeen = count;
  }
}

/** The thread's end. */
export class RingReader {
  readonly #ring: Ring;
  #next = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new Ring(memory);
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#ring.control, word.head) === this.#next;
  }

  /** Blocks the thread until there is a request. */
  wait(): void {
    Atomics.wait(this.#ring.control, word.head, this.#next);
  }

  /** Takes everything that is there. */
  take(): RingRequest[] {
    const { control, capacity, words, bytes } = this.#ring;
    const head = Atomics.load(control, word.head);
    const requests: RingRequest[] = [];
    while (this.#next !== head) {
      const at = this.#next & (capacity - 1);
      let place = at >> 2;
      const kind = kinds[words[place + 1] as number] as RequestKind;
      this.#next = (this.#next + (words[place] as number)) | 0;
      if (kind === 'skip') continue;
      const id = words[place + 2] as number;
      const count = words[place + 3] as number;
      if (kind === 'release') {
        requests.push({ kind, id: 0, records: noRecords, index: count * 2 ** 32 + id });
        continue;
      }
      const records: WalRecord[] = [];
      let position = at + headerBytes;
      for (let record = 0; record < count; record++) {
        place = position >> 2;
        const length = words[place] as number;
        const payload = bytes.subarray(position + 8, position + 8 + length);
        records.push({ type: words[place + 1] as RecordType, payload });
        position += 8 + align(length, 4);
      }
      requests.push({ kind, id, records, index: 0 });
    }
    return requests;
  }

  /** The room of everything taken may be used again. */
  release(): void {
    Atomics.store(this.#ring.control, word.tail, this.#next);
  }

  noteSync(seconds: number): void {
    const { control, syncs } = this.#ring;
    const count = Atomics.load(control, word.syncs);
    syncs[count & (syncsKept - 1)] = seconds;
    Atomics.store(control, word.syncs, (count + 1) | 0);
  }

  /** Everything up to append `id` is durable. True: the other end waits for a message about it. */
  setDurable(id: number): boolean {
    const { control } = this.#ring;
    Atomics.store(control, word.durable, id | 0);
    return Atomics.exchange(control, word.notified, 1) === 0;
  }
}
