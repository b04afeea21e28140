import type { Append, Message } from '@pilothouse/raft';
import { ByteWriter } from '../wal/binary.ts';
import { encodeFrame, frameHeadBytes, sealFrame } from './frame.ts';
import { toOffset, writeMessage } from './message-codec.ts';

/** Memory that is kept for the next message; a larger one has its own. */
const scratchBytesMax = 1024 * 1024;

/** Makes frames of messages. What goes to several members alike is encoded once. */
export class MessageFramer {
  #writer = new ByteWriter(16 * 1024);
  #last: { readonly append: Append; readonly frame: Buffer } | undefined;

  /** The frame belongs to the caller and is not written to again. */
  frame(message: Message): Uint8Array {
    if (message.kind !== 'append') return encodeFrame(this.#encode(message));
    const last = this.#last;
    this.#last = undefined;
    if (last !== undefined && isAlike(last.append, message)) {
      const frame = Buffer.allocUnsafe(last.frame.length);
      frame.set(last.frame);
      frame.writeBigUInt64LE(message.to, frameHeadBytes + toOffset);
      sealFrame(frame);
      return frame;
    }
    const frame = encodeFrame(this.#encode(message));
    this.#last = { append: message, frame };
    return frame;
  }

  #encode(message: Message): Uint8Array {
    if (this.#writer.length > scratchBytesMax) this.#writer = new ByteWriter(16 * 1024);
    this.#writer.reset();
    writeMessage(this.#writer, message);
    return this.#writer.view();
  }
}

/** Whether two appends differ in their receiver only. Entries of one log are the same where their first and last are. */
function isAlike(a: Append, b: Append): boolean {
  return (
    a.from === b.from &&
    a.term === b.term &&
    a.prevIndex === b.prevIndex &&
    a.prevTerm === b.prevTerm &&
    a.commit === b.commit &&
    a.entries.length === b.entries.length &&
    a.entries[0] === b.entries[0] &&
    a.entries.at(-1) === b.entries.at(-1)
  );
}
