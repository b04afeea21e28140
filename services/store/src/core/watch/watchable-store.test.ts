import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeMessage, etcdserverpb } from '@pilothouse/proto';
import { StoreStateMachine } from '../apply/state-machine.ts';
import { encodeCommand } from '../apply/command.ts';
import { MemoryBackend } from '../memory-backend.ts';
import type { LogIndex, Term } from '../replication.ts';
import type { WatchMessage, WatchSpec } from './watchable-store.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('watches that are told the same share one encoding, others do not', () => {
  const machine = new StoreStateMachine({ backend: new MemoryBackend() });
  let index = 0;
  const put = (key: string): void => {
    const payload = encodeCommand({ put: { key: bytes(key), value: bytes('v') } });
    machine.apply({ index: ++index as LogIndex, term: 1 as Term, payload });
  };
  const spec: WatchSpec = {
    key: bytes('a'),
    rangeEnd: bytes('b'),
    startRevision: 0,
    prevKv: false,
    progressNotify: false,
    noPut: false,
    noDelete: false,
  };
  const specs: readonly WatchSpec[] = [
    spec,
    spec,
    { ...spec, prevKv: true },
    { ...spec, noPut: true },
    { ...spec, rangeEnd: bytes('c') },
    // A key and a range from that key to the end are not the same, nor is a key alone.
    { ...spec, rangeEnd: Uint8Array.of(0) },
    { ...spec, rangeEnd: new Uint8Array(0) },
    spec,
  ];
  const told = specs.map((each, at) => {
    const messages: WatchMessage[] = [];
    const stream = machine.watchable.stream({ send: (message) => messages.push(message) > 0 });
    if (at === specs.length - 1) stream.watch(at, { ...each, startRevision: 100 });
    else stream.watch(at, each);
    return messages;
  });
  for (const key of ['a', 'a1', 'b']) {
    put(key);
    machine.watchable.deliver();
  }
  const batches = (at: number): unknown[] =>
    (told[at] ?? []).map((message) => (message.kind === 'events' ? message.batch : undefined));
  assert.deepEqual(
    told.map((messages) => messages.length),
    [2, 2, 2, 0, 3, 3, 1, 0],
  );
  assert.ok(batches(0).every((batch, at) => batch === batches(1)[at]));
  for (const other of [2, 4, 5, 6]) assert.notEqual(batches(0)[0], batches(other)[0]);
  const [message] = told[0] ?? [];
  assert.ok(message?.kind === 'events');
  assert.deepEqual(
    decodeMessage(etcdserverpb.WatchResponse, message.batch.encoded).events.map(({ kv }) => kv?.modRevision),
    [2],
  );
});
