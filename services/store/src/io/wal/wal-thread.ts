// The thread that writes the log: synchronous writes and fdatasync, so that the event loop never waits for the disk.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { errorMessage } from '@pilothouse/base';
import { nodeDisk } from '@pilothouse/host';
import type { RecordType, WalRecord } from './record.ts';
import { WalWriter } from './wal.ts';
import type { WalOptions, WalPosition } from './wal.ts';

export interface WalThreadData {
  readonly directory: string;
  readonly position: WalPosition;
  readonly options: WalOptions;
}

export type WalThreadRequest =
  | {
      readonly kind: 'append';
      readonly id: number;
      readonly mustSync: boolean;
      readonly buffer: Uint8Array;
      readonly spans: readonly number[];
    }
  | { readonly kind: 'release'; readonly index: number }
  | { readonly kind: 'close' };

export type WalThreadReply =
  | { readonly kind: 'durable'; readonly id: number; readonly syncSeconds: number }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'closed' };

const port = parentPort;
if (!port) throw new Error('The WAL thread runs as a worker');
const data = workerData as WalThreadData;
const writer = new WalWriter(nodeDisk, data.directory, data.position, data.options);
let isFailed = false;
let isPreparing = false;

/** `spans` holds type and payload length of each record in turn. */
function unpack(buffer: Uint8Array, spans: readonly number[]): WalRecord[] {
  const records: WalRecord[] = [];
  let at = 0;
  for (let span = 0; span < spans.length; span += 2) {
    const length = spans[span + 1] as number;
    records.push({ type: spans[span] as RecordType, payload: buffer.subarray(at, at + length) });
    at += length;
  }
  return records;
}

function handle(first: WalThreadRequest): void {
  if (isFailed) return;
  try {
    // Take everything that has queued up: one sync makes all of it durable.
    const requests = [first];
    for (let next = receiveMessageOnPort(port!); next; next = receiveMessageOnPort(port!)) {
      requests.push((next as { message: WalThreadRequest }).message);
    }
    const records: WalRecord[] = [];
    let lastId = 0;
    let mustSync = false;
    let releaseIndex = 0;
    let isClosing = false;
    for (const request of requests) {
      if (request.kind === 'append') {
        records.push(...unpack(request.buffer, request.spans));
        lastId = request.id;
        mustSync ||= request.mustSync;
      } else if (request.kind === 'release') releaseIndex = Math.max(releaseIndex, request.index);
      else isClosing = true;
    }
    writer.append(records);
    const start = process.hrtime.bigint();
    if (mustSync || isClosing) writer.sync();
    const syncSeconds = mustSync ? Number(process.hrtime.bigint() - start) / 1e9 : 0;
    if (lastId > 0) port!.postMessage({ kind: 'durable', id: lastId, syncSeconds } satisfies WalThreadReply);
    if (releaseIndex > 0) writer.release(releaseIndex);
    if (isClosing) {
      writer.close();
      port!.postMessage({ kind: 'closed' } satisfies WalThreadReply);
      port!.close();
      isFailed = true;
      return;
    }
    prepare();
  } catch (error) {
    isFailed = true;
    port!.postMessage({ kind: 'error', message: errorMessage(error) } satisfies WalThreadReply);
  }
}

function prepare(): void {
  if (isPreparing || isFailed) return;
  isPreparing = true;
  setImmediate(() => {
    isPreparing = false;
    if (isFailed) return;
    try {
      if (writer.prepareNext()) prepare();
    } catch (error) {
      isFailed = true;
      port!.postMessage({ kind: 'error', message: errorMessage(error) } satisfies WalThreadReply);
    }
  });
}

port.on('message', handle);
