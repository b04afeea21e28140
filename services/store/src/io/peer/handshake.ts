import type { MemberId } from '@pilothouse/raft';
import { ByteReader, ByteWriter, MalformedError } from '../wal/binary.ts';

/** First frame of each connection, from the dialling side. */
export interface Handshake {
  readonly clusterId: bigint;
  readonly from: MemberId;
  readonly to: MemberId;
  /** A snapshot has a connection of its own, so that heartbeats never queue behind it. */
  readonly purpose: 'messages' | 'snapshot';
}

const magic = 0x50484b31;
const protocolVersion = 1;

export function encodeHandshake(handshake: Handshake): Uint8Array {
  const writer = new ByteWriter(32);
  writer.uint32(magic);
  writer.uint8(protocolVersion);
  writer.uint64(handshake.clusterId);
  writer.uint64(handshake.from);
  writer.uint64(handshake.to);
  writer.uint8(handshake.purpose === 'messages' ? 0 : 1);
  return writer.finish();
}

export function decodeHandshake(bytes: Uint8Array): Handshake {
  const reader = new ByteReader(bytes);
  if (reader.uint32() !== magic) throw new MalformedError('The other side does not speak the peer protocol');
  const version = reader.uint8();
  if (version !== protocolVersion)
    throw new MalformedError(`Unknown version ${version} of the peer protocol`);
  return {
    clusterId: reader.uint64(),
    from: reader.uint64() as MemberId,
    to: reader.uint64() as MemberId,
    purpose: reader.uint8() === 0 ? 'messages' : 'snapshot',
  };
}
