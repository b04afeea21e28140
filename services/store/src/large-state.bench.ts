// The state machine and its backend alone with many keys, in one process: what each piece of work costs, and how long it takes the event loop in one go.
//   node scripts/run.mjs services/store/src/large-state.bench.ts [KEYS=1000000] [BYTES=256]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { nodeClock } from '@pilothouse/host';
import { encodeMessage, etcdserverpb, type MessageInput } from '@pilothouse/proto';
import { StoreStateMachine } from './core/index.ts';
import type { LogIndex, Term } from './core/replication.ts';
import { makeBackup } from './io/backup/backup.ts';
import { LmdbBackend } from './io/backend/lmdb-backend.ts';

const keys = Number(process.argv[2] ?? 1_000_000);
const value = Buffer.alloc(Number(process.argv[3] ?? 256), 0x77);
const few = 10_000;
const root = fs.mkdtempSync(path.join(process.env['BENCH_DIR'] ?? os.tmpdir(), 'pilothouse-large-'));
const turn = (ms = 0): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** CPU time and time of waiting for a core of the main thread, milliseconds. */
function mainThread(): { cpu: number; delay: number } {
  const [cpu, delay] = fs.readFileSync('/proc/self/schedstat', 'latin1').split(' ').map(Number);
  return { cpu: (cpu ?? 0) / 1e6, delay: (delay ?? 0) / 1e6 };
}

/** Longest turn of the event loop: without the time in which the system let others run, and its CPU time. */
let longest = { stop: 0, cpu: 0 };
let isDone = false;
async function watchLoop(): Promise<void> {
  let last = { at: performance.now(), ...mainThread() };
  while (!isDone) {
    await turn(1);
    const now = { at: performance.now(), ...mainThread() };
    longest.stop = Math.max(longest.stop, now.at - last.at - (now.delay - last.delay));
    longest.cpu = Math.max(longest.cpu, now.cpu - last.cpu);
    last = now;
  }
}

async function phase(name: string, work: () => Promise<unknown>): Promise<void> {
  await turn(20);
  longest = { stop: 0, cpu: 0 };
  const began = performance.now();
  const { cpu } = mainThread();
  await work();
  const took = performance.now() - began;
  const spent = mainThread().cpu - cpu;
  await turn(20);
  const rss = process.memoryUsage().rss / 2 ** 20;
  console.log(
    `${name}: ${(took / 1000).toFixed(1)} s, CPU of the main thread ${(spent / 1000).toFixed(2)} s, ` +
      `longest turn ${longest.stop.toFixed(0)} ms, its CPU ${longest.cpu.toFixed(0)} ms, ${rss.toFixed(0)} MiB`,
  );
}

const open = (name: string): LmdbBackend =>
  new LmdbBackend({ directory: path.join(root, name), clock: nodeClock });
const backend = open('state');
const machine = new StoreStateMachine({ backend, monotonic: () => nodeClock.monotonic() });
let index = 0;
const apply = (command: MessageInput<etcdserverpb.InternalRaftRequest>): void => {
  const payload = encodeMessage(etcdserverpb.InternalRaftRequest, command);
  machine.apply({ index: ++index as LogIndex, term: 1 as Term, payload });
};
const keyAt = (at: number): Buffer => Buffer.from(`/large/${String(at).padStart(9, '0')}`);

async function fill(from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += 100) {
    const success = Array.from({ length: Math.min(100, to - first) }, (_, at) => ({
      requestPut: { key: keyAt(first + at), value },
    }));
    apply({ txn: { success } });
    if (first % 200 === 0) await turn();
  }
}

async function puts(among: number): Promise<void> {
  for (let at = 0; at < 20_000; at++) {
    apply({ put: { key: keyAt((at * 7919) % among), value } });
    if (at % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

const watching = watchLoop();
await phase(`${few} keys written in`, () => fill(0, few));
await puts(few);
await phase(`20000 puts among ${few}`, () => puts(few));
await phase(`${keys} keys written in`, () => fill(few, keys));
await phase(`20000 puts among ${keys}`, () => puts(keys));
await phase('every key once more', () => fill(0, keys));
await backend.flush();
await phase('hash', () => Promise.resolve(machine.store.hash(0)));
await phase('compaction', async () => {
  apply({ compaction: { revision: machine.store.currentRevision } });
  for (let hasMore = true; hasMore;) {
    const end = performance.now() + 5;
    do hasMore = machine.store.compactStep(50);
    while (hasMore && performance.now() < end);
    await turn(10);
  }
});
await backend.flush();
await phase('defragmentation', () => backend.defragment());
await phase('backup', async () => (await makeBackup(machine, root)).release());
await phase('a received snapshot', async () => {
  const copy = open('copy');
  const image = machine.snapshot();
  const other = new StoreStateMachine({ backend: copy });
  await other.restore(image.chunks());
  image.release();
  if (other.store.hash(0).hash !== machine.store.hash(0).hash) throw new Error('The copy is another');
  await copy.close();
});
isDone = true;
await watching;
await backend.close();
fs.rmSync(root, { recursive: true });
