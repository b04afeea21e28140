import http2 from 'node:http2';
import { decodeMessage, encodeMessage, etcdserverpb, type MessageInput } from '@pilothouse/proto';
import { run, type Checks } from '../checks.ts';
import { Cluster, findEtcd, type Side } from './cluster.ts';

const { WatchService } = etcdserverpb;

function frameOf(request: MessageInput<etcdserverpb.WatchRequest>): Buffer {
  const body = encodeMessage(WatchService.Watch.request, request);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** A stream with `count` watches of keys that nobody writes. Resolves when all are created; rejects when the server ends it. */
function openWatches(session: http2.ClientHttp2Session, count: number, first: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': WatchService.Watch.path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let pending: Buffer = Buffer.alloc(0);
    let created = 0;
    stream.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 5 && pending.length >= 5 + pending.readUInt32BE(1)) {
        const end = 5 + pending.readUInt32BE(1);
        if (decodeMessage(WatchService.Watch.response, pending.subarray(5, end)).created) created++;
        pending = pending.subarray(end);
      }
      if (created === count) resolve();
    });
    stream.on('error', reject);
    stream.on('close', () => reject(new Error(`The server ended the stream after ${created} watches`)));
    for (let index = 0; index < count; index++)
      stream.write(frameOf({ createRequest: { key: Buffer.from(`idle/${first + index}`) } }));
  });
}

/** Many idle watchers on one member of a real etcd and of our store: what they cost, and whether others are still served. */
export async function idleWatchers(checks: Checks, port: number, total: number): Promise<void> {
  const programs = await findEtcd();
  const perStream = 100;
  for (const side of ['etcd', 'pilothouse'] satisfies Side[]) {
    const cluster = await new Cluster({ side, programs, port, size: 1 }).start();
    const sessions: http2.ClientHttp2Session[] = [];
    try {
      const member = cluster.members[0];
      if (member === undefined) throw new Error('There is no member');
      const name = side === 'etcd' ? 'a real etcd' : 'our store';
      const put = async (): Promise<number> => {
        const started = performance.now();
        const result = await run(programs.etcdctl, ['--endpoints', member.client, 'put', 'busy', '1']);
        if (result.code !== 0) throw new Error(result.stderr);
        return performance.now() - started;
      };
      await put();
      const before = member.residentBytes();
      await checks.check(`${name}: ${total} idle watchers are opened`, async () => {
        const started = performance.now();
        for (let opened = 0; opened < total;) {
          // As real clients do: 100 streams on one connection.
          const session = http2.connect(member.client);
          session.on('error', () => {});
          sessions.push(session);
          const streams: Promise<void>[] = [];
          for (; streams.length < 100 && opened < total; opened += perStream)
            streams.push(openWatches(session, Math.min(perStream, total - opened), opened));
          await Promise.all(streams);
        }
        const metrics = await (await fetch(`${member.client}/metrics`)).text();
        const watchers = Number(/^etcd_debugging_mvcc_watcher_total (\S+)/m.exec(metrics)?.[1]);
        if (watchers !== total) throw new Error(`The member counts ${watchers} watchers`);
        const bytes = member.residentBytes() - before;
        process.stdout.write(
          `      ${((performance.now() - started) / 1000).toFixed(1)} s, ${(bytes / 1024 / 1024).toFixed(0)} MiB more, ${Math.round(bytes / total)} bytes a watcher\n`,
        );
      });
      await checks.check(`${name}: writes and reads go on`, async () => {
        const ms = await put();
        process.stdout.write(`      an etcdctl put took ${ms.toFixed(0)} ms\n`);
        if (ms > 2000) throw new Error(`${ms} ms`);
      });
    } finally {
      for (const session of sessions) session.destroy();
      await cluster.stop();
    }
  }
}
