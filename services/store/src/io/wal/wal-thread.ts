// The thread that writes the log: synchronous writes and fdatasync, so that the event loop never waits for the disk. Between batches
// it sleeps on the shared ring, so it has no event loop of its own to turn.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { errorMessage } from '@pilothouse/base';
import { nodeDisk } from '@pilothouse/host';
import type { WalRecord } from './record.ts';
import { RingReader } from './shared-ring.ts';
import { WalWriter } from './wal.ts';
import type { WalOptions, WalPosition } from './wal.ts';

export interface WalThreadData {
  readonly directory: string;
  readonly position: WalPosition;
  readonly options: WalOptions;
  readonly memory: SharedArrayBuffer;
}

/** An append that is too large for the ring. */
export interface PostedAppend {
  readonly mustSync: boolean;
  readonly records: readonly WalRecord[];
}

export type WalThreadReply =
  | { readonly kind: 'durable' }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'closed' };

const port = parentPort;
if (!port) throw new Error('The WAL thread runs as a worker');
const data = workerData as WalThreadData;
const durable: WalThreadReply = { kind: 'durable' };

function serve(): void {
  const ring = new RingReader(data.memory);
  const writer = new WalWriter(nodeDisk, data.directory, data.position, data.options);
  for (;;) {
    // A little of the next segment at a time, while nothing waits.
    while (ring.isEmpty && writer.prepareNext());
    ring.wait();
    // Everything that has queued up shares one sync.
    const records: WalRecord[] = [];
    let lastId: number | undefined;
    let mustSync = false;
    let releaseIndex = 0;
    let isClosing = false;
    for (const request of ring.take()) {
      switch (request.kind) {
        case 'append':
        case 'appendLazily':
          for (const record of request.records) records.push(record);
          lastId = request.id;
          mustSync ||= request.kind === 'append';
          break;
        case 'posted': {
          const posted = (receiveMessageOnPort(port!) as { message: PostedAppend }).message;
          for (const record of posted.records) records.push(record);
          lastId = request.id;
          mustSync ||= posted.mustSync;
          break;
        }
        case 'release':
          releaseIndex = Math.max(releaseIndex, request.index);
          break;
        case 'close':
          isClosing = true;
      }
    }
    writer.append(records);
    ring.release();
    if (mustSync || isClosing) {
      const start = process.hrtime.bigint();
      writer.sync();
      if (mustSync) ring.noteSync(Number(process.hrtime.bigint() - start) / 1e9);
    }
    if (lastId !== undefined && ring.setDurable(lastId)) port!.postMessage(durable);
    if (releaseIndex > 0) writer.release(releaseIndex);
    if (isClosing) {
      writer.close();
      port!.postMessage({ kind: 'closed' } satisfies WalThreadReply);
      return;
    }
  }
}

try {
  serve();
} catch (error) {
  port.postMessage({ kind: 'error', message: errorMessage(error) } satisfies WalThreadReply);
}
port.close();
