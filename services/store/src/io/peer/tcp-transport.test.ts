import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger, type Clock } from '@pilothouse/base';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { SeededRandom } from '@pilothouse/testkit';
import { emptyConfig } from '@pilothouse/raft';
import type { LogIndex, MemberId, Message, Term } from '@pilothouse/raft';
import { MalformedError } from '../wal/binary.ts';
import { FrameReader, encodeFrame } from './frame.ts';
import { decodeMessage, encodeMessage } from './message-codec.ts';
import { TcpTransport } from './tcp-transport.ts';
import type { PeerTls } from './tcp-transport.ts';
import type { PeerHandler, SnapshotHeader } from './transport.ts';

const id = (n: number): MemberId => BigInt(n) as MemberId;
const heartbeat = (from: number, to: number): Message => ({
  kind: 'heartbeat',
  from: id(from),
  to: id(to),
  term: 3 as Term,
  commit: 7 as LogIndex,
  round: 9,
});

interface Endpoint {
  readonly transport: TcpTransport;
  readonly messages: Message[];
  readonly disconnected: MemberId[];
  readonly images: { header: SnapshotHeader; bytes: Buffer }[];
  readonly url: string;
}

const opened: TcpTransport[] = [];
after(() => Promise.all(opened.map((transport) => transport.close())));

async function endpoint(
  member: number,
  options: { clusterId?: bigint; tls?: PeerTls; clock?: Clock } = {},
): Promise<Endpoint> {
  const messages: Message[] = [];
  const disconnected: MemberId[] = [];
  const images: { header: SnapshotHeader; bytes: Buffer }[] = [];
  const transport = new TcpTransport({
    memberId: id(member),
    clusterId: options.clusterId ?? 1n,
    listen: [{ host: '127.0.0.1', port: 0 }],
    clock: options.clock ?? nodeClock,
    random: nodeRandom,
    logger: silentLogger,
    ...(options.tls ? { tls: options.tls } : {}),
  });
  const handler: PeerHandler = {
    onMessage: (message) => messages.push(message),
    onDisconnect: (peer) => disconnected.push(peer),
    async onSnapshot(header, chunks) {
      const parts: Uint8Array[] = [];
      for await (const chunk of chunks) parts.push(chunk);
      images.push({ header, bytes: Buffer.concat(parts) });
    },
  };
  await transport.start(handler);
  opened.push(transport);
  const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${transport.addresses[0]?.port}`;
  return { transport, messages, disconnected, images, url };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const start = Date.now();
  while (!condition()) {
    if (Date.now() - start > 20_000) throw new Error(`Waited in vain for ${what}`);
    await sleep(2);
  }
}

/** Sends until something arrives: connections come up in the background. */
async function exchange(from: Endpoint, to: Endpoint, message: Message): Promise<void> {
  await until(() => {
    from.transport.send(message);
    return to.messages.length > 0;
  }, 'a message');
}

function connect(...endpoints: Endpoint[]): void {
  const peers = new Map(endpoints.map(({ url }, at) => [id(at + 1), [url]]));
  for (const { transport } of endpoints) transport.setPeers(peers);
}

test('members exchange messages and images, and learn at once when the other is gone', async () => {
  let isTimeOver = false;
  const clock: Clock = {
    ...nodeClock,
    setTimeout: (callback, delayMs) => nodeClock.setTimeout(() => isTimeOver || callback(), delayMs),
    setInterval: (callback, periodMs) => nodeClock.setInterval(() => isTimeOver || callback(), periodMs),
  };
  const one = await endpoint(1, { clock });
  const two = await endpoint(2);
  connect(one, two);
  await exchange(one, two, heartbeat(1, 2));
  await exchange(two, one, heartbeat(2, 1));
  assert.deepEqual(two.messages[0], heartbeat(1, 2));

  const image = Buffer.from(nodeRandom.bytes(3_000_000));
  const header: SnapshotHeader = {
    from: id(1),
    to: id(2),
    term: 3 as Term,
    snapshot: { index: 5 as LogIndex, term: 2 as Term, config: { ...emptyConfig, voters: [id(1), id(2)] } },
    members: Buffer.from('members'),
  };
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < image.length; at += 700_000) yield image.subarray(at, at + 700_000);
  };
  assert.equal(await one.transport.sendSnapshot(header, chunks()), true);
  assert.ok(two.images[0]?.bytes.equals(image));
  assert.deepEqual(two.images[0]?.header.snapshot, header.snapshot);

  // At once, and not after some time without news: no timer of its own goes off any more.
  isTimeOver = true;
  await two.transport.close();
  await until(() => one.disconnected.includes(id(2)), 'the disconnect');
  assert.equal(await one.transport.sendSnapshot(header, chunks()), false);
  await one.transport.close();
});

test('another cluster, another member and garbage are turned away', async () => {
  const one = await endpoint(1);
  const stranger = await endpoint(2, { clusterId: 99n });
  connect(one, stranger);
  const misled = await endpoint(3);
  misled.transport.setPeers(new Map([[id(2), [one.url]]]));
  const socket = net.connect(Number(new URL(one.url).port), '127.0.0.1');
  let isClosed = false;
  socket.on('close', () => (isClosed = true)).on('error', () => {});
  socket.write('GET / HTTP/1.1\r\n\r\n');
  for (let n = 0; n < 30; n++) {
    stranger.transport.send(heartbeat(2, 1));
    misled.transport.send(heartbeat(3, 2));
    await sleep(5);
  }
  await until(() => isClosed, 'the connection to be closed');
  assert.equal(one.messages.length, 0);
  for (const { transport } of [one, stranger, misled]) await transport.close();
});

test('with TLS only peers with a certificate of the CA get in', async (context) => {
  if (spawnSync('openssl', ['version']).status !== 0) return context.skip('openssl is not installed');
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'peer-tls-'));
  after(() => fs.rmSync(directory, { recursive: true, force: true }));
  const file = (name: string): string => path.join(directory, name);
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const certificate = (name: string, ca: string): PeerTls => {
    openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    fs.writeFileSync(
      file(`${name}.ext`),
      'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n',
    );
    openssl(
      'x509',
      ...['-req', '-in', `${name}.csr`, '-CA', `${ca}.crt`, '-CAkey', `${ca}.key`, '-CAcreateserial'],
      ...['-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.crt`],
    );
    return {
      ca: fs.readFileSync(file('ca.crt')),
      cert: fs.readFileSync(file(`${name}.crt`)),
      key: fs.readFileSync(file(`${name}.key`)),
      clientCertAuth: true,
    };
  };
  for (const ca of ['ca', 'other']) {
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${ca}.key`,
      '-out',
      `${ca}.crt`,
      '-subj',
      `/CN=${ca}`,
      '-days',
      '2',
    );
  }
  const one = await endpoint(1, { tls: certificate('one', 'ca') });
  const two = await endpoint(2, { tls: certificate('two', 'ca') });
  const intruder = await endpoint(2, { tls: certificate('intruder', 'other') });
  connect(one, two);
  intruder.transport.setPeers(new Map([[id(1), [one.url]]]));
  await exchange(one, two, heartbeat(1, 2));
  await exchange(two, one, heartbeat(2, 1));
  const forged: Message = { ...heartbeat(2, 1), term: 99 as Term };
  for (let n = 0; n < 30; n++) {
    intruder.transport.send(forged);
    await sleep(5);
  }
  assert.ok(!one.messages.some(({ term }) => term === forged.term));
  for (const { transport } of [one, two, intruder]) await transport.close();
});

test('messages survive encoding, and damaged bytes never pass as something else than an error or a message', () => {
  const envelope = { from: id(1), to: id(2), term: 5 as Term };
  const index = (2 ** 40) as LogIndex;
  const context = Uint8Array.of(1, 2);
  const change = { transition: 'joint', changes: [{ kind: 'addVoter', id: id(2 ** 40) }] } as const;
  const messages: Message[] = [
    {
      ...envelope,
      kind: 'vote',
      lastIndex: index,
      lastTerm: 4 as Term,
      isTransfer: true,
      commit: index,
      commitTerm: 4 as Term,
    },
    { ...envelope, kind: 'preVoteResponse', isGranted: true, commit: index, commitTerm: 2 as Term },
    {
      ...envelope,
      kind: 'append',
      prevIndex: index,
      prevTerm: 4 as Term,
      commit: index,
      entries: [
        { kind: 'normal', index: (index + 1) as LogIndex, term: 4 as Term, payload: Uint8Array.of(9, 8, 7) },
        { kind: 'configChange', index: (index + 2) as LogIndex, term: 5 as Term, change, context },
      ],
    },
    { ...envelope, kind: 'appendResponse', index, isRejected: true, hintIndex: index, hintTerm: 3 as Term },
    heartbeat(1, 2),
    {
      ...envelope,
      kind: 'propose',
      incarnation: 2 ** 47,
      batch: 3,
      proposals: [{ kind: 'configChange', change, context }],
    },
    { ...envelope, kind: 'readIndexResponse', context: 12, index },
    { ...envelope, kind: 'removed' },
  ];
  const random = new SeededRandom(3);
  for (const message of messages) {
    const bytes = encodeMessage(message);
    assert.deepEqual(decodeMessage(bytes), message);
    for (let round = 0; round < 200; round++) {
      const damaged = bytes.slice(0, random.chance(0.3) ? random.integer(bytes.length) : bytes.length);
      if (damaged.length > 0) damaged[random.integer(damaged.length)] = random.integer(256);
      try {
        decodeMessage(damaged);
      } catch (error) {
        assert.ok(error instanceof MalformedError, String(error));
      }
    }
  }
});

test('frames are cut from a stream wherever it is split, and a wrong checksum or length ends it', () => {
  const bodies = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(5000, 'x')];
  const stream = Buffer.concat(bodies.map(encodeFrame));
  for (const step of [1, 7, 64, 9000]) {
    const reader = new FrameReader(10_000);
    const seen: Buffer[] = [];
    for (let at = 0; at < stream.length; at += step)
      seen.push(...reader.push(stream.subarray(at, at + step)));
    assert.deepEqual(seen.map(String), bodies.map(String));
  }
  assert.throws(() => new FrameReader(100).push(stream), /exceeds the limit/);
  const damaged = Buffer.from(stream);
  damaged[8] = 0x62;
  assert.throws(() => new FrameReader(10_000).push(damaged), /wrong checksum/);
});
