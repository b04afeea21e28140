import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import { decodeMessage, encodeMessage, etcdserverpb } from '@pilothouse/proto';
import type { Random } from '@pilothouse/base';
import { FakeClock } from '@pilothouse/testkit';
import { createEtcdClient, EtcdError, type EtcdClient } from './index.ts';
import { Deframer, frame } from './connection.ts';

const random: Random = { bytes: (length) => new Uint8Array(length), float: () => 0, integer: () => 0 };
const key = Buffer.from('k');
const ok = { ':status': 200, 'content-type': 'application/grpc' };

/** A member on a network of its own: its connections stand while it is frozen, and nothing passes. */
class Member {
  readonly #server = http2.createServer();
  readonly #halves = new Set<Half>();
  readonly paths: string[] = [];
  readonly starts: number[] = [];
  pings = 0;
  dials = 0;
  isFrozen = false;
  /** Calls are answered after so long, or never. */
  answerMs = 0;
  revision = 10;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
    this.#server.on('session', (session) => {
      session.on('error', () => {});
      session.on('ping', () => this.pings++);
    });
    this.#server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      const path = String(headers[':path']);
      this.paths.push(path);
      if (path.endsWith('/Watch')) this.#watch(stream);
      else {
        stream.resume();
        stream.on('end', () => this.#clock.setTimeout(() => this.#reply(stream), this.answerMs));
      }
    });
  }

  #reply(stream: http2.ServerHttp2Stream): void {
    if (stream.destroyed) return;
    stream.respond(ok, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(frame(encodeMessage(etcdserverpb.RangeResponse, { count: 7 })));
  }

  #watch(stream: http2.ServerHttp2Stream): void {
    stream.respond(ok);
    const deframer = new Deframer();
    stream.on('data', (piece: Buffer) =>
      deframer.push(piece, (message) => {
        const { createRequest } = decodeMessage(etcdserverpb.WatchRequest, message);
        if (!createRequest) return;
        this.starts.push(createRequest.startRevision);
        const { watchId } = createRequest;
        const { revision } = this;
        stream.write(
          frame(encodeMessage(etcdserverpb.WatchResponse, { watchId, created: true, header: { revision } })),
        );
      }),
    );
  }

  dial(): Duplex {
    this.dials++;
    const [mine, theirs] = [new Half(this), new Half(this)];
    mine.other = theirs;
    theirs.other = mine;
    this.#halves.add(mine).add(theirs);
    this.#server.emit('connection', mine);
    // A frozen system still takes connections.
    setImmediate(() => theirs.emit('connect'));
    return theirs;
  }

  thaw(): void {
    this.isFrozen = false;
    for (const half of this.#halves) half.release();
  }

  close(): void {
    for (const half of this.#halves) half.destroy();
    this.#server.close();
  }
}

class Half extends Duplex {
  other: Half | undefined;
  readonly #member: Member;
  #held: (() => void)[] = [];

  constructor(member: Member) {
    super();
    this.#member = member;
    this.on('error', () => {});
  }

  release(): void {
    for (const each of this.#held.splice(0)) each();
  }

  override _read(): void {}
  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    const pass = (): void => {
      if (this.other?.destroyed === false) this.other.push(Buffer.from(piece));
      done();
    };
    if (this.#member.isFrozen) this.#held.push(pass);
    else pass();
  }
  override _destroy(_error: Error | null, done: () => void): void {
    const { other } = this;
    setImmediate(() => other?.destroy());
    done();
  }
}

let closers: { close(): void }[] = [];
afterEach(() => {
  for (const closer of closers) closer.close();
  closers = [];
});

function setUp(count: number): { clock: FakeClock; members: Member[]; client: EtcdClient } {
  const clock = new FakeClock();
  const members = Array.from({ length: count }, () => new Member(clock));
  const client = createEtcdClient({
    endpoints: members.map((_, index) => `http://m${index}:1`),
    clock,
    random,
    dial: ({ host }) => (members[Number(host.slice(1))] as Member).dial(),
  });
  closers.push(client, ...members);
  return { clock, members, client };
}

/** Lets virtual time pass, with real turns for the streams in between. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 20) {
    for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(20);
  }
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Virtual time until the promise has settled. */
async function timed(clock: FakeClock, promise: Promise<unknown>, maxMs: number): Promise<number> {
  const began = clock.monotonic();
  let isDone = false;
  promise.then(
    () => (isDone = true),
    () => (isDone = true),
  );
  while (!isDone && clock.monotonic() - began < maxMs) await pass(clock, 20);
  assert.ok(isDone, `Nothing within ${maxMs} ms`);
  return clock.monotonic() - began;
}

test('calls leave a member that stands still: a read is repeated elsewhere, a write ends as unknown', async () => {
  const { clock, members, client } = setUp(3);
  const [frozen, other] = members as [Member, Member];
  await timed(clock, client.kv.range({ key }), 500);
  frozen.isFrozen = true;
  const read = client.kv.range({ key });
  const write = client.kv.put({ key, value: key });
  write.catch(() => {});
  const tookMs = await timed(clock, read, 5000);
  assert.ok(tookMs >= 500 && tookMs <= 1000, `${tookMs} ms`);
  await assert.rejects(write, (error) => error instanceof EtcdError && error.isUnavailable && !error.notSent);
  assert.equal(other.paths.filter((path) => path.endsWith('/Put')).length, 0, 'A write is not repeated');
  assert.ok((await timed(clock, client.kv.put({ key, value: key }), 500)) < 200, 'Later calls do not wait');
});

test('a member that only takes long keeps its calls, and is not pinged more than a stock one takes', async () => {
  const { clock, members, client } = setUp(3);
  const [slow, other] = members as [Member, Member];
  await timed(clock, client.kv.range({ key }), 500);
  slow.answerMs = 9000;
  await timed(clock, client.kv.put({ key, value: key }), 9500);
  assert.equal(slow.paths.length, 2);
  assert.equal(other.paths.length, 0);
  assert.ok(slow.pings >= 1 && slow.pings <= 2, `${slow.pings} pings`);
});

test('watches go on elsewhere, also when nobody calls anything', async () => {
  const { clock, members, client } = setUp(3);
  const [frozen, other] = members as [Member, Member];
  const created: number[] = [];
  client.watcher.watch({ key }, { onCreated: (at) => created.push(at), onEvents() {}, onEnd() {} });
  await pass(clock, 3000);
  assert.deepEqual(created, [10]);
  assert.ok(frozen.paths.length <= 4, 'An idle connection is asked about once a second');
  frozen.isFrozen = true;
  other.revision = 15;
  await pass(clock, 2500);
  assert.deepEqual(created, [10, 15]);
  assert.deepEqual(other.starts, [11]);
});

test('where all stand still nothing is given up', async () => {
  const { clock, members, client } = setUp(3);
  await timed(clock, client.kv.range({ key }), 500);
  for (const member of members) member.isFrozen = true;
  const write = client.kv.put({ key, value: key });
  await pass(clock, 3000);
  for (const member of members) member.thaw();
  await timed(clock, write, 500);
  await write;
});

test('a member that fell silent is the last choice for some time', async () => {
  const { clock, members, client } = setUp(2);
  const [frozen, other] = members as [Member, Member];
  await timed(clock, client.kv.range({ key }), 500);
  frozen.isFrozen = true;
  await timed(clock, client.kv.range({ key }), 2000);
  const { dials } = frozen;
  // The other one goes away for a moment: it is tried again before the silent one.
  const again = client.kv.range({ key });
  other.close();
  await timed(clock, again, 3000).catch(() => {});
  assert.ok(other.dials >= 2, 'The other one is tried first');
  assert.equal(dials, 1);
});

test('a single endpoint is waited for', async () => {
  const { clock, members, client } = setUp(1);
  const [only] = members as [Member];
  await timed(clock, client.kv.range({ key }), 500);
  only.isFrozen = true;
  const write = client.kv.put({ key, value: key });
  await pass(clock, 4000);
  only.thaw();
  await timed(clock, write, 500);
  await write;
  assert.equal(only.dials, 1);
});
