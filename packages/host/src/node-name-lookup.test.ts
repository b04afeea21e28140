import { test } from 'node:test';
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { nodeNameLookup } from './node-name-lookup.ts';

/** Answers SRV questions for one name with one record, all others with NXDOMAIN. */
function answer(question: Buffer, known: string): Buffer {
  let at = 12;
  const labels: string[] = [];
  for (let length = question[at] as number; length > 0; length = question[at] as number) {
    labels.push(question.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const end = at + 5;
  const head = Buffer.from(question.subarray(0, end));
  const isKnown = labels.join('.') === known;
  head.writeUInt16BE(isKnown ? 0x8180 : 0x8183, 2);
  head.writeUInt16BE(isKnown ? 1 : 0, 6);
  head.fill(0, 8, 12);
  if (!isKnown) return head;
  const target = Buffer.concat([
    ...['m1', 'example', 'com'].map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0),
  ]);
  const record = Buffer.alloc(18);
  record.writeUInt16BE(0xc00c, 0);
  record.writeUInt16BE(33, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt32BE(60, 6);
  record.writeUInt16BE(6 + target.length, 10);
  record.writeUInt16BE(5, 12);
  record.writeUInt16BE(7, 14);
  record.writeUInt16BE(2380, 16);
  return Buffer.concat([head, record, target]);
}

test('SRV records come from a name server; a name without them is refused; an address is its own', async () => {
  const known = '_etcd-server._tcp.example.com';
  const server = dgram.createSocket('udp4');
  server.on('message', (question, from) => server.send(answer(question, known), from.port, from.address));
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const lookup = nodeNameLookup([`127.0.0.1:${port}`]);
    assert.deepEqual(await lookup.services(known), [
      { host: 'm1.example.com', port: 2380, priority: 5, weight: 7 },
    ]);
    await assert.rejects(lookup.services('_etcd-server._tcp.nowhere.test'), /ENOTFOUND/);
    assert.deepEqual(await lookup.addresses('127.0.0.1'), ['127.0.0.1']);
  } finally {
    server.close();
  }
});
