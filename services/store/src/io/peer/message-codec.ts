import type { Entry, LogIndex, MemberId, Message, Proposal, SnapshotMetadata, Term } from '@pilothouse/raft';
import { ByteReader, ByteWriter, MalformedError } from '../wal/binary.ts';
import {
  readConfigChange,
  readConfigState,
  readEntry,
  writeConfigChange,
  writeConfigState,
  writeEntry,
} from '../wal/raft-codec.ts';

/** The number of each kind on the wire; never reused. */
const kinds: readonly Message['kind'][] = [
  'preVote',
  'preVoteResponse',
  'vote',
  'voteResponse',
  'append',
  'appendResponse',
  'heartbeat',
  'heartbeatResponse',
  'snapshot',
  'timeoutNow',
  'propose',
  'readIndex',
  'readIndexResponse',
  'removed',
];

export function writeSnapshotMetadata(writer: ByteWriter, snapshot: SnapshotMetadata): void {
  writer.varint(snapshot.index);
  writer.varint(snapshot.term);
  writeConfigState(writer, snapshot.config);
}

export function readSnapshotMetadata(reader: ByteReader): SnapshotMetadata {
  return {
    index: reader.varint() as LogIndex,
    term: reader.varint() as Term,
    config: readConfigState(reader),
  };
}

/** One message as bytes: kind u8 | from | to | term | the kind's fields in the order below. */
export function encodeMessage(message: Message): Uint8Array {
  const writer = new ByteWriter(96);
  writeMessage(writer, message);
  return writer.finish();
}

/** Where the receiver stands in a message. */
export const toOffset = 9;

export function writeMessage(writer: ByteWriter, message: Message): void {
  writer.uint8(kinds.indexOf(message.kind));
  writer.uint64(message.from);
  writer.uint64(message.to);
  writer.varint(message.term);
  switch (message.kind) {
    case 'preVote':
    case 'vote':
      writer.varint(message.lastIndex);
      writer.varint(message.lastTerm);
      writer.uint8(message.isTransfer ? 1 : 0);
      writer.varint(message.commit);
      writer.varint(message.commitTerm);
      break;
    case 'preVoteResponse':
    case 'voteResponse':
      writer.uint8(message.isGranted ? 1 : 0);
      writer.varint(message.commit);
      writer.varint(message.commitTerm);
      break;
    case 'append':
      writer.varint(message.prevIndex);
      writer.varint(message.prevTerm);
      writer.varint(message.commit);
      writer.varint(message.entries.length);
      for (const entry of message.entries) writeEntry(writer, entry);
      break;
    case 'appendResponse':
      writer.varint(message.index);
      writer.uint8(message.isRejected ? 1 : 0);
      writer.varint(message.hintIndex);
      writer.varint(message.hintTerm);
      break;
    case 'heartbeat':
      writer.varint(message.commit);
      writer.varint(message.round);
      break;
    case 'heartbeatResponse':
      writer.varint(message.round);
      break;
    case 'snapshot':
      writeSnapshotMetadata(writer, message.snapshot);
      break;
    case 'timeoutNow':
    case 'removed':
      break;
    case 'propose':
      writer.varint(message.incarnation);
      writer.varint(message.batch);
      writer.varint(message.proposals.length);
      for (const proposal of message.proposals) writeProposal(writer, proposal);
      break;
    case 'readIndex':
      writer.varint(message.context);
      break;
    case 'readIndexResponse':
      writer.varint(message.context);
      writer.varint(message.index);
      break;
  }
}

/** Throws {@link MalformedError} on anything that is not a message. Payloads are views of `bytes`. */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new ByteReader(bytes);
  const kind = kinds[reader.uint8()];
  const from = reader.uint64() as MemberId;
  const to = reader.uint64() as MemberId;
  const term = reader.varint() as Term;
  const envelope = { from, to, term };
  switch (kind) {
    case 'preVote':
    case 'vote':
      return {
        ...envelope,
        kind,
        lastIndex: reader.varint() as LogIndex,
        lastTerm: reader.varint() as Term,
        isTransfer: reader.uint8() === 1,
        commit: reader.varint() as LogIndex,
        commitTerm: reader.varint() as Term,
      };
    case 'preVoteResponse':
    case 'voteResponse':
      return {
        ...envelope,
        kind,
        isGranted: reader.uint8() === 1,
        commit: reader.varint() as LogIndex,
        commitTerm: reader.varint() as Term,
      };
    case 'append': {
      const prevIndex = reader.varint() as LogIndex;
      const prevTerm = reader.varint() as Term;
      const commit = reader.varint() as LogIndex;
      const entries: Entry[] = [];
      for (let count = reader.varint(); count > 0; count--) {
        const entry = readEntry(reader);
        if (entry.index !== prevIndex + entries.length + 1) throw new MalformedError('Entries have gaps');
        entries.push(entry);
      }
      return { ...envelope, kind, prevIndex, prevTerm, commit, entries };
    }
    case 'appendResponse':
      return {
        ...envelope,
        kind,
        index: reader.varint() as LogIndex,
        isRejected: reader.uint8() === 1,
        hintIndex: reader.varint() as LogIndex,
        hintTerm: reader.varint() as Term,
      };
    case 'heartbeat':
      return { ...envelope, kind, commit: reader.varint() as LogIndex, round: reader.varint() };
    case 'heartbeatResponse':
      return { ...envelope, kind, round: reader.varint() };
    case 'snapshot':
      return { ...envelope, kind, snapshot: readSnapshotMetadata(reader) };
    case 'timeoutNow':
    case 'removed':
      return { ...envelope, kind };
    case 'propose': {
      const incarnation = reader.varint();
      const batch = reader.varint();
      const proposals: Proposal[] = [];
      for (let count = reader.varint(); count > 0; count--) proposals.push(readProposal(reader));
      return { ...envelope, kind, incarnation, batch, proposals };
    }
    case 'readIndex':
      return { ...envelope, kind, context: reader.varint() };
    case 'readIndexResponse':
      return { ...envelope, kind, context: reader.varint(), index: reader.varint() as LogIndex };
    default:
      throw new MalformedError('Unknown kind of message');
  }
}

function writeProposal(writer: ByteWriter, proposal: Proposal): void {
  writer.uint8(proposal.kind === 'normal' ? 0 : 1);
  if (proposal.kind === 'normal') writer.bytes(proposal.payload);
  else {
    writeConfigChange(writer, proposal.change);
    writer.bytes(proposal.context);
  }
}

function readProposal(reader: ByteReader): Proposal {
  if (reader.uint8() === 0) return { kind: 'normal', payload: reader.bytes() };
  return { kind: 'configChange', change: readConfigChange(reader), context: reader.bytes() };
}
