import { assert } from '@pilothouse/base';

/** What an entry's payload carries inside: kind (1 byte), proposer's random number (8), its sequence (8), content. */
export type EnvelopeKind = 'proposal' | 'memberUpdate' | 'memberChange';

const kinds: readonly EnvelopeKind[] = ['proposal', 'memberUpdate', 'memberChange'];
const headerBytes = 17;

export interface ProposalEnvelope {
  readonly kind: EnvelopeKind;
  /** Random per start of a replica, so that only the proposer's own incarnation takes the result. */
  readonly proposer: bigint;
  readonly sequence: number;
  readonly content: Uint8Array;
}

export function encodeEnvelope(envelope: ProposalEnvelope): Uint8Array {
  const bytes = new Uint8Array(headerBytes + envelope.content.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = kinds.indexOf(envelope.kind);
  view.setBigUint64(1, envelope.proposer, true);
  view.setFloat64(9, envelope.sequence, true);
  bytes.set(envelope.content, headerBytes);
  return bytes;
}

/** The content is a view of `bytes`. */
export function decodeEnvelope(bytes: Uint8Array): ProposalEnvelope {
  const kind = kinds[bytes[0] ?? 255];
  assert(kind !== undefined && bytes.length >= headerBytes, 'An entry carries an envelope of a known kind');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    kind,
    proposer: view.getBigUint64(1, true),
    sequence: view.getFloat64(9, true),
    content: bytes.subarray(headerBytes),
  };
}
