import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Append, Entry, LogIndex, MemberId, Message, Term } from '@pilothouse/raft';
import { FrameReader } from './frame.ts';
import { decodeMessage } from './message-codec.ts';
import { MessageFramer } from './message-framer.ts';

const entry = (index: number, text: string): Entry => ({
  kind: 'normal',
  index: index as LogIndex,
  term: 2 as Term,
  payload: Buffer.from(text),
});
const append = (to: bigint, entries: readonly Entry[], commit = 4): Append => ({
  kind: 'append',
  from: 1n as MemberId,
  to: to as MemberId,
  term: 2 as Term,
  prevIndex: 4 as LogIndex,
  prevTerm: 2 as Term,
  commit: commit as LogIndex,
  entries,
});

function readBack(frame: Uint8Array): Message {
  const [body] = new FrameReader(1 << 20).push(Buffer.from(frame));
  assert.ok(body);
  return decodeMessage(body);
}
const plain = (message: Message): unknown =>
  JSON.parse(
    JSON.stringify(message, (_, value: unknown) =>
      typeof value === 'bigint'
        ? String(value)
        : value instanceof Uint8Array
          ? Buffer.from(value).toString()
          : value,
    ),
  );

test('each receiver gets what is meant for it, also where members get the same', () => {
  const framer = new MessageFramer();
  const first = entry(5, 'a');
  const messages: Message[] = [
    append(2n, [first, entry(6, 'b')]),
    append(3n, [first]),
    append(2n, [first]),
    append(3n, [first], 5),
    append(2n, []),
    append(3n, []),
    { kind: 'timeoutNow', from: 1n as MemberId, to: 2n as MemberId, term: 2 as Term },
    append(2n, [entry(5, 'x'.repeat(2_000_000))]),
    append(3n, [entry(5, 'y')]),
  ];
  const frames = messages.map((message) => framer.frame(message));
  for (const [at, message] of messages.entries()) {
    if (at === 7) assert.equal(frames[at]?.length !== undefined && frames[at].length > 2_000_000, true);
    else assert.deepEqual(plain(readBack(frames[at] as Uint8Array)), plain(message), `message ${at}`);
  }
});
