import { decodeMessage, encodeMessage, etcdserverpb, type MessageInput } from '@pilothouse/proto';

/** One request that changes state, as it stands in the log. Exactly one request field is set. */
export type Command = etcdserverpb.InternalRaftRequest;

/** The bytes to propose. */
export function encodeCommand(command: MessageInput<Command>): Uint8Array {
  return encodeMessage(etcdserverpb.InternalRaftRequest, command);
}

/** Throws WireError when `payload` is no command. */
export function decodeCommand(payload: Uint8Array): Command {
  return decodeMessage(etcdserverpb.InternalRaftRequest, payload);
}
