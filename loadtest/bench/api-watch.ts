import { randomBytes } from 'node:crypto';
import type { ApiClient } from './api-client.ts';
import { configMap, configMaps } from './api-objects.ts';
import type { ApiSide } from './api-servers.ts';
import type { Run } from './measure.ts';
import { summarize } from './measure.ts';
import { pause } from './server-process.ts';

/** Fewer than any server's limit of streams on one connection. */
const watchersPerConnection = 80;
const watchedObjects = 50;
/** Before anything is counted: a server that nobody has written to yet runs code that is not compiled. */
const warmUpMs = 3000;
/** Window of a stalled watcher: after so many bytes the server cannot send to it. */
const stalledWindowBytes = 2048;

export interface WatchBenchOptions {
  readonly watchers: number;
  /** Watchers beside them that never read. */
  readonly stalled: number;
  readonly seconds: number;
  /** Pause between two writes, milliseconds; 0: the writer waits only for its answers. */
  readonly pauseMs: number;
  cpuSeconds(): number;
}

/**
 * One writer updates one object after the other; every watcher gets every change. The latency is from sending the write to a watcher's
 * receipt, the rate is of events delivered to all watchers.
 */
export async function watchFanOut(api: ApiSide, options: WatchBenchOptions): Promise<Run> {
  const { watchers, stalled, seconds, pauseMs, cpuSeconds } = options;
  const clients: ApiClient[] = [];
  try {
    const client = await api.connect(Math.ceil(watchers / watchersPerConnection));
    const writer = await api.connect(1);
    clients.push(client, writer);
    const latencies: number[] = [];
    const sentMs: number[] = [];
    const mark = `m${randomBytes(3).toString('hex')}-`;
    // From the state of now on, so that no watcher begins with the whole list.
    const list = JSON.parse((await writer.expect(200, 'GET', `${configMaps}?limit=1`)).toString()) as {
      metadata: { resourceVersion: string };
    };
    const path = `${configMaps}?watch=true&resourceVersion=${list.metadata.resourceVersion}`;
    await Promise.all(
      Array.from({ length: watchers }, () => client.watch(path, eventReader(mark, sentMs, latencies))),
    );
    if (stalled > 0) {
      const sleepy = await api.connect(stalled, stalledWindowBytes);
      clients.push(sleepy);
      await Promise.all(Array.from({ length: stalled }, () => sleepy.watch(path, () => undefined)));
    }
    const write = async (text: string): Promise<void> => {
      const name = `cm-${sentMs.length % watchedObjects}`;
      sentMs.push(performance.now());
      await writer.expect(200, 'PUT', `${configMaps}/${name}`, configMap(name, { turn: text }), {
        keepBody: false,
      });
    };
    const writeFor = async (durationMs: number): Promise<void> => {
      const before = sentMs.length;
      const until = performance.now() + durationMs;
      while (performance.now() < until) {
        await write(`${mark}${sentMs.length}.`);
        if (pauseMs > 0) await pause(pauseMs);
      }
      const expected = (sentMs.length - before) * watchers;
      const deadline = performance.now() + 15_000;
      while (latencies.length < expected && performance.now() < deadline) await pause(5);
      if (latencies.length < expected)
        throw new Error(`${api.side}: ${latencies.length} of ${expected} watch events arrived`);
    };
    await writeFor(warmUpMs);
    latencies.length = 0;
    const cpuBefore = cpuSeconds();
    const started = performance.now();
    await writeFor(seconds * 1000);
    return summarize(latencies, (performance.now() - started) / 1000, cpuSeconds() - cpuBefore);
  } finally {
    for (const each of clients) each.close();
  }
}

/** Finds the numbers behind `mark` in the bytes of a watch, wherever they were cut. */
function eventReader(mark: string, sentMs: readonly number[], latencies: number[]): (piece: Buffer) => void {
  // A mark and its number fit in so many bytes.
  const tailBytes = mark.length + 10;
  let tail = Buffer.alloc(0);
  return (piece) => {
    const bytes = tail.length === 0 ? piece : Buffer.concat([tail, piece]);
    const now = performance.now();
    let from = 0;
    for (;;) {
      const at = bytes.indexOf(mark, from, 'latin1');
      if (at < 0) break;
      const end = bytes.indexOf(46, at + mark.length);
      if (end < 0) {
        from = at;
        tail = Buffer.from(bytes.subarray(at));
        return;
      }
      latencies.push(now - (sentMs[Number(bytes.toString('latin1', at + mark.length, end))] ?? now));
      from = end;
    }
    tail = Buffer.from(bytes.subarray(Math.max(from, bytes.length - tailBytes)));
  };
}
