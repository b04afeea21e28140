// How consensus values look in the WAL, in snapshots and between members. Numbers are base-128 varints, ids 8 bytes little-endian,
// byte strings carry their length before them. Not protobuf: these bytes are read by this program only, entries are never decoded
// into copies (payloads are views), and an unknown kind is an error instead of an empty field.
//   entry        kind u8 (0 normal, 1 config change) | index | term | payload, or change and context
//   change       transition u8 (0 auto, 1 joint) | count | (kind u8, id)…
//   config       voters | outgoing | learners | learnersNext (each count, ids…) | autoLeave u8
//   hard state   term | vote id (0: none) | commit
import type { ConfigChange, ConfigState, Entry, HardState, LogIndex, MemberId, Term } from '@pilothouse/raft';
import type { ByteReader, ByteWriter } from './binary.ts';
import { MalformedError } from './binary.ts';

const changeKinds = ['addVoter', 'addLearner', 'remove'] as const;

export function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.uint8(entry.kind === 'normal' ? 0 : 1);
  writer.varint(entry.index);
  writer.varint(entry.term);
  if (entry.kind === 'normal') writer.bytes(entry.payload);
  else {
    writeConfigChange(writer, entry.change);
    writer.bytes(entry.context);
  }
}

export function readEntry(reader: ByteReader): Entry {
  const kind = reader.uint8();
  const index = reader.varint() as LogIndex;
  const term = reader.varint() as Term;
  if (kind === 0) return { kind: 'normal', index, term, payload: reader.bytes() };
  if (kind !== 1) throw new MalformedError(`Unknown kind of entry ${kind}`);
  const change = readConfigChange(reader);
  return { kind: 'configChange', index, term, change, context: reader.bytes() };
}

export function writeConfigChange(writer: ByteWriter, change: ConfigChange): void {
  writer.uint8(change.transition === 'auto' ? 0 : 1);
  writer.varint(change.changes.length);
  for (const { kind, id } of change.changes) {
    writer.uint8(changeKinds.indexOf(kind));
    writer.uint64(id);
  }
}

export function readConfigChange(reader: ByteReader): ConfigChange {
  const transition = reader.uint8() === 0 ? 'auto' : 'joint';
  const changes: ConfigChange['changes'][number][] = [];
  for (let count = reader.varint(); count > 0; count--) {
    const kind = changeKinds[reader.uint8()];
    if (kind === undefined) throw new MalformedError('Unknown kind of configuration change');
    changes.push({ kind, id: reader.uint64() as MemberId });
  }
  return { transition, changes };
}

function writeIds(writer: ByteWriter, ids: readonly MemberId[]): void {
  writer.varint(ids.length);
  for (const id of ids) writer.uint64(id);
}

function readIds(reader: ByteReader): MemberId[] {
  const ids: MemberId[] = [];
  for (let count = reader.varint(); count > 0; count--) ids.push(reader.uint64() as MemberId);
  return ids;
}

export function writeConfigState(writer: ByteWriter, config: ConfigState): void {
  writeIds(writer, config.voters);
  writeIds(writer, config.outgoing);
  writeIds(writer, config.learners);
  writeIds(writer, config.learnersNext);
  writer.uint8(config.autoLeave ? 1 : 0);
}

export function readConfigState(reader: ByteReader): ConfigState {
  return {
    voters: readIds(reader),
    outgoing: readIds(reader),
    learners: readIds(reader),
    learnersNext: readIds(reader),
    autoLeave: reader.uint8() === 1,
  };
}

/** Member id 0 stands for no vote; ids are never 0. */
export function writeHardState(writer: ByteWriter, state: HardState): void {
  writer.varint(state.term);
  writer.uint64(state.vote ?? 0n);
  writer.varint(state.commit);
}

export function readHardState(reader: ByteReader): HardState {
  const term = reader.varint() as Term;
  const vote = reader.uint64();
  return { term, vote: vote === 0n ? undefined : (vote as MemberId), commit: reader.varint() as LogIndex };
}
