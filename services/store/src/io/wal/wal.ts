import { CodedError, assert } from '@pilothouse/base';
import type { Disk, DiskFile } from '@pilothouse/base';
import type { Entry, HardState, LogIndex, SnapshotMetadata } from '@pilothouse/raft';
import { ByteReader, ByteWriter } from './binary.ts';
import {
  readConfigState,
  readEntry,
  readHardState,
  writeConfigState,
  writeEntry,
  writeHardState,
} from './raft-codec.ts';
import { frameBytes, parseFrame, recordTypes, syncedBeforeFlag, writeFrame } from './record.ts';
import type { WalRecord } from './record.ts';

/** A log that cannot be used. The message names the file and says what to do. */
export class WalError extends CodedError {
  constructor(code: 'corrupt' | 'foreign' | 'unreadable', message: string) {
    super(code, message);
  }
}

/** Whose log this is. */
export interface WalMetadata {
  readonly clusterId: bigint;
  readonly memberId: bigint;
}

/** Where the log begins. `members` is the replica's own encoding of the member list as of that index. */
export interface WalSnapshot extends SnapshotMetadata {
  readonly members: Uint8Array;
}

/** Where writing goes on: enough for another thread to take over. */
export interface WalPosition {
  readonly sequence: number;
  readonly offset: number;
  readonly crc: number;
  /** Index after the last entry, which names the next segment. */
  readonly nextIndex: number;
  /** First index named by each segment, ascending by sequence. */
  readonly segments: readonly { readonly sequence: number; readonly index: number }[];
  /** Newest record of each kind that a new segment repeats. */
  readonly metadata: Uint8Array;
  readonly hardState: Uint8Array | undefined;
  readonly snapshot: Uint8Array | undefined;
}

/** What a log held when it was opened. */
export interface WalContents {
  readonly metadata: WalMetadata;
  readonly hardState: HardState | undefined;
  readonly snapshot: WalSnapshot | undefined;
  /** After the snapshot, without gaps. */
  readonly entries: readonly Entry[];
  readonly position: WalPosition;
  /** Bytes of a torn tail that were cut off; 0 normally. */
  readonly repairedBytes: number;
}

export interface WalOptions {
  /** Size of a segment; a batch that does not fit makes one that is larger. */
  readonly segmentBytes: number;
}

export const defaultWalOptions: WalOptions = { segmentBytes: 16 * 1024 * 1024 };

const formatVersion = 1;
const segmentPattern = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/;
const zeros = new Uint8Array(1024 * 1024);

const hex = (value: number): string => value.toString(16).padStart(16, '0');
const segmentName = (sequence: number, index: number): string => `${hex(sequence)}-${hex(index)}.wal`;

export function encodeMetadata(metadata: WalMetadata): Uint8Array {
  const writer = new ByteWriter(32);
  writer.varint(formatVersion);
  writer.uint64(metadata.clusterId);
  writer.uint64(metadata.memberId);
  return writer.finish();
}

export function encodeWalSnapshot(snapshot: WalSnapshot): Uint8Array {
  const writer = new ByteWriter(256);
  writer.varint(snapshot.index);
  writer.varint(snapshot.term);
  writeConfigState(writer, snapshot.config);
  writer.bytes(snapshot.members);
  return writer.finish();
}

function decodeWalSnapshot(payload: Uint8Array): WalSnapshot {
  const reader = new ByteReader(payload);
  return {
    index: reader.varint() as LogIndex,
    term: reader.varint() as SnapshotMetadata['term'],
    config: readConfigState(reader),
    members: reader.bytes().slice(),
  };
}

/** One batch to write: what a Ready asks to persist. */
export interface WalBatch {
  readonly snapshot?: WalSnapshot;
  readonly entries: readonly Entry[];
  readonly hardState?: HardState;
}

export function encodeBatch(batch: WalBatch): WalRecord[] {
  const records: WalRecord[] = [];
  if (batch.snapshot)
    records.push({ type: recordTypes.snapshot, payload: encodeWalSnapshot(batch.snapshot) });
  for (const entry of batch.entries) {
    const writer = new ByteWriter(entry.kind === 'normal' ? entry.payload.length + 24 : 128);
    writeEntry(writer, entry);
    records.push({ type: recordTypes.entry, payload: writer.finish() });
  }
  if (batch.hardState) {
    const writer = new ByteWriter(32);
    writeHardState(writer, batch.hardState);
    records.push({ type: recordTypes.hardState, payload: writer.finish() });
  }
  return records;
}

/** Whether `directory` holds a log. */
export function walExists(disk: Disk, directory: string): boolean {
  return disk.exists(directory) && disk.list(directory).some((name) => segmentPattern.test(name));
}

/** Starts a log in an empty directory; durable when it returns. */
export function createWal(
  disk: Disk,
  directory: string,
  metadata: WalMetadata,
  options = defaultWalOptions,
): WalPosition {
  disk.makeDirectory(directory);
  const payload = encodeMetadata(metadata);
  const start: WalPosition = {
    sequence: -1,
    offset: 0,
    crc: 0,
    nextIndex: 1,
    segments: [],
    metadata: payload,
    hardState: undefined,
    snapshot: undefined,
  };
  const writer = new WalWriter(disk, directory, start, options);
  const position = writer.position;
  writer.close();
  return position;
}

/**
 * Reads a log back and repairs its tail: a record that a crash left half-written is cut off (it was never acknowledged).
 * Damage anywhere else is refused with {@link WalError}, for cutting there would lose acknowledged entries.
 */
export function openWal(disk: Disk, directory: string): WalContents {
  const segments: { name: string; sequence: number; index: number }[] = [];
  for (const name of disk.list(directory)) {
    const match = segmentPattern.exec(name);
    if (match)
      segments.push({
        name,
        sequence: parseInt(match[1] as string, 16),
        index: parseInt(match[2] as string, 16),
      });
    else if (name.endsWith('.tmp')) disk.remove(`${directory}/${name}`);
  }
  segments.sort((a, b) => a.sequence - b.sequence);
  for (const [at, segment] of segments.entries()) {
    const previous = segments[at - 1];
    if (previous && previous.sequence + 1 !== segment.sequence) {
      throw new WalError(
        'corrupt',
        `WAL segment ${previous.sequence + 1} is missing in ${directory}: ${remedy}`,
      );
    }
  }
  let metadata: Uint8Array | undefined;
  let hardState: Uint8Array | undefined;
  let snapshotPayload: Uint8Array | undefined;
  let snapshot: WalSnapshot | undefined;
  let entries: Entry[] = [];
  let base = 0;
  let crc: number | undefined;
  let offset = 0;
  let repairedBytes = 0;
  let gap: { readonly path: string; readonly offset: number; readonly missing: number } | undefined;
  for (const [number, segment] of segments.entries()) {
    const path = `${directory}/${segment.name}`;
    const isLast = number === segments.length - 1;
    const file = disk.open(path, isLast ? 'write' : 'read');
    try {
      const source = file.read(0, file.size());
      const refuse = (at: number, reason: string): never => {
        throw new WalError('corrupt', `WAL is damaged: ${path}, offset ${at}: ${reason}. ${remedy}`);
      };
      offset = 0;
      for (;;) {
        const frame = parseFrame(source, offset);
        if (frame.kind === 'record') {
          if (crc !== undefined && frame.previousCrc !== crc)
            refuse(offset, 'the record does not follow the one before');
          switch (frame.type) {
            case recordTypes.metadata:
              if (metadata && Buffer.compare(metadata, frame.payload) !== 0)
                refuse(offset, 'it belongs to another member');
              metadata = frame.payload.slice();
              break;
            case recordTypes.hardState:
              hardState = frame.payload.slice();
              break;
            case recordTypes.entry: {
              const entry = readEntry(new ByteReader(frame.payload));
              if (entry.index <= base) break;
              const position = entry.index - base - 1;
              if (position > entries.length) {
                // Segments before this one were released; a snapshot recorded further on must cover what they held.
                gap ??= { path, offset, missing: base + entries.length + 1 };
                base = entry.index - 1;
                entries = [entry];
                break;
              }
              entries.length = position;
              entries.push(entry);
              break;
            }
            case recordTypes.snapshot: {
              snapshotPayload = frame.payload.slice();
              const next = decodeWalSnapshot(frame.payload);
              if (gap && next.index < base) {
                snapshot = next;
                break;
              }
              gap = undefined;
              if (snapshot && next.index < snapshot.index) refuse(offset, 'snapshot indexes go backwards');
              const isKept = next.index === base || entries[next.index - base - 1]?.term === next.term;
              entries = isKept ? entries.slice(next.index - base) : [];
              base = next.index;
              snapshot = next;
              break;
            }
            default:
              refuse(offset, `unknown record type ${String(frame.type)}`);
          }
          crc = frame.crc;
          offset = frame.end;
          continue;
        }
        if (!isLast) {
          if (frame.kind === 'damaged') refuse(offset, frame.reason);
          break;
        }
        if (frame.kind === 'damaged' && !frame.mayBeTorn) {
          refuse(offset, frame.reason);
        }
        const later = findSyncedRecord(source, offset + 8);
        if (later !== undefined)
          refuse(offset, `the record is lost, but a later one at ${later} proves that it was durable`);
        repairedBytes = wipeTail(file, source, offset);
        break;
      }
    } finally {
      file.close();
    }
  }
  if (gap) {
    throw new WalError(
      'corrupt',
      `WAL is damaged: ${gap.path}, offset ${gap.offset}: entry ${gap.missing} is missing. ${remedy}`,
    );
  }
  if (!metadata) throw new WalError('unreadable', `No WAL metadata in ${directory}: ${remedy}`);
  const reader = new ByteReader(metadata);
  const version = reader.varint();
  if (version !== formatVersion) {
    throw new WalError(
      'unreadable',
      `WAL format ${version} in ${directory} is newer than this program, which reads ${formatVersion}`,
    );
  }
  return {
    metadata: { clusterId: reader.uint64(), memberId: reader.uint64() },
    hardState: hardState && readHardState(new ByteReader(hardState)),
    snapshot,
    entries,
    repairedBytes,
    position: {
      sequence: segments.at(-1)?.sequence ?? 0,
      offset,
      crc: crc ?? 0,
      nextIndex: base + entries.length + 1,
      segments: segments.map(({ sequence, index }) => ({ sequence, index })),
      metadata,
      hardState,
      snapshot: snapshotPayload,
    },
  };
}

const remedy =
  'Remove this member from the cluster, empty its data directory and add it again, so that it copies the data from the others (pilothouse store --resync=CLIENT-URL,… does that)';

function findSyncedRecord(source: Uint8Array, from: number): number | undefined {
  for (let at = from; at + 13 <= source.length; at += 8) {
    if (source[at] === 0 && source[at + 1] === 0 && source[at + 2] === 0 && source[at + 3] === 0) continue;
    const frame = parseFrame(source, at);
    if (frame.kind === 'record' && frame.isSyncedBefore) return at;
  }
  return undefined;
}

/** Zeroes what lies after `offset`, so that no remnant can pass for a record later. Returns how far the remnants reached. */
function wipeTail(file: DiskFile, source: Uint8Array, offset: number): number {
  let end = source.length;
  while (end > offset && source[end - 1] === 0) end--;
  if (end === offset) return 0;
  for (let at = offset; at < end; at += zeros.length)
    file.write(at, zeros.subarray(0, Math.min(zeros.length, end - at)));
  file.sync();
  return end - offset;
}

/**
 * Writes batches at the end of the log. Synchronous: it lives in a thread that may block, or under a simulated disk.
 * `append` leaves bytes in the page cache; they are durable after `sync`.
 */
export class WalWriter {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #options: WalOptions;
  #file: DiskFile;
  #sequence: number;
  #offset: number;
  #capacity: number;
  #crc: number;
  #nextIndex: number;
  #segments: { sequence: number; index: number }[];
  #metadata: Uint8Array;
  #hardState: Uint8Array | undefined;
  #snapshot: Uint8Array | undefined;
  #isDirty = false;
  #spare: { file: DiskFile; filled: number } | undefined;

  constructor(disk: Disk, directory: string, position: WalPosition, options: WalOptions = defaultWalOptions) {
    this.#disk = disk;
    this.#directory = directory;
    this.#options = options;
    this.#sequence = position.sequence;
    this.#offset = position.offset;
    this.#crc = position.crc;
    this.#nextIndex = position.nextIndex;
    this.#segments = [...position.segments];
    this.#metadata = position.metadata;
    this.#hardState = position.hardState;
    this.#snapshot = position.snapshot;
    const current = this.#segments.at(-1);
    if (current) {
      this.#file = disk.open(`${directory}/${segmentName(current.sequence, current.index)}`, 'write');
      this.#capacity = this.#file.size();
    } else {
      this.#capacity = 0;
      this.#file = this.#cut(0);
    }
  }

  get position(): WalPosition {
    return {
      sequence: this.#sequence,
      offset: this.#offset,
      crc: this.#crc,
      nextIndex: this.#nextIndex,
      segments: [...this.#segments],
      metadata: this.#metadata,
      hardState: this.#hardState,
      snapshot: this.#snapshot,
    };
  }

  /** Writes `records` in one piece. */
  append(records: readonly WalRecord[]): void {
    if (records.length === 0) return;
    let bytes = 0;
    for (const record of records) bytes += frameBytes(record.payload.length);
    if (this.#offset + bytes > this.#capacity) this.#file = this.#cut(bytes);
    this.#write(records, bytes);
  }

  #write(records: readonly WalRecord[], bytes: number): void {
    const buffer = new Uint8Array(bytes);
    let at = 0;
    for (const { type, payload } of records) {
      const flag = !this.#isDirty && at === 0 ? syncedBeforeFlag : 0;
      this.#crc = writeFrame(buffer, at, { type: type | flag, payload, previousCrc: this.#crc });
      at += frameBytes(payload.length);
      if (type === recordTypes.hardState) this.#hardState = payload.slice();
      else if (type === recordTypes.snapshot) {
        this.#snapshot = payload.slice();
        this.#nextIndex = Math.max(this.#nextIndex, decodeWalSnapshot(payload).index + 1);
      } else if (type === recordTypes.entry) this.#nextIndex = readEntry(new ByteReader(payload)).index + 1;
    }
    this.#isDirty = true;
    this.#file.write(this.#offset, buffer);
    this.#offset += bytes;
  }

  /** Makes everything appended durable. After an error nothing is known about the disk: the member must stop. */
  sync(): void {
    if (!this.#isDirty) return;
    this.#file.sync();
    this.#isDirty = false;
  }

  /** Ends the current segment and goes on in a new one that begins with what a reader needs. */
  #cut(bytesNeeded: number): DiskFile {
    if (this.#segments.length > 0) {
      this.sync();
      this.#file.close();
    }
    const head: WalRecord[] = [{ type: recordTypes.metadata, payload: this.#metadata }];
    if (this.#snapshot) head.push({ type: recordTypes.snapshot, payload: this.#snapshot });
    if (this.#hardState) head.push({ type: recordTypes.hardState, payload: this.#hardState });
    let headBytes = 0;
    for (const { payload } of head) headBytes += frameBytes(payload.length);
    const capacity = Math.max(this.#options.segmentBytes, headBytes + bytesNeeded);
    const temporary = `${this.#directory}/next.tmp`;
    const file = this.#spare?.file ?? this.#createSpare(temporary);
    fill(file, this.#spare?.filled ?? 0, capacity);
    this.#spare = undefined;
    this.#file = file;
    this.#offset = 0;
    this.#capacity = capacity;
    this.#sequence++;
    this.#isDirty = false;
    this.#write(head, headBytes);
    this.sync();
    const segment = { sequence: this.#sequence, index: this.#nextIndex };
    this.#disk.rename(temporary, `${this.#directory}/${segmentName(segment.sequence, segment.index)}`);
    this.#disk.syncDirectory(this.#directory);
    this.#segments.push(segment);
    return file;
  }

  #createSpare(path: string): DiskFile {
    if (this.#disk.exists(path)) this.#disk.remove(path);
    return this.#disk.open(path, 'create');
  }

  /** Prepares a little of the next segment once the current one is half full, so that a cut does not wait. True: more to do. */
  prepareNext(): boolean {
    if (this.#offset * 2 < this.#capacity) return false;
    this.#spare ??= { file: this.#createSpare(`${this.#directory}/next.tmp`), filled: 0 };
    if (this.#spare.filled >= this.#options.segmentBytes) return false;
    const until = Math.min(this.#options.segmentBytes, this.#spare.filled + zeros.length);
    fill(this.#spare.file, this.#spare.filled, until);
    this.#spare.file.sync();
    this.#spare.filled = until;
    return until < this.#options.segmentBytes;
  }

  /** Removes segments that hold nothing after `index`. */
  release(index: number): void {
    let isChanged = false;
    while (this.#segments.length > 1 && (this.#segments[1]?.index ?? Infinity) <= index + 1) {
      const segment = this.#segments.shift();
      assert(segment, 'There is a segment to release');
      this.#disk.remove(`${this.#directory}/${segmentName(segment.sequence, segment.index)}`);
      isChanged = true;
    }
    if (isChanged) this.#disk.syncDirectory(this.#directory);
  }

  close(): void {
    this.#file.close();
    this.#spare?.file.close();
  }
}

function fill(file: DiskFile, from: number, to: number): void {
  for (let at = from; at < to; at += zeros.length)
    file.write(at, zeros.subarray(0, Math.min(zeros.length, to - at)));
}
