import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import type { Clock, Random } from '@pilothouse/base';
import { Informer } from './informer.ts';
import { RestClient } from './rest-client.ts';
import type { Transport, TransportRequest } from './transport.ts';

const clock: Clock = {
  now: () => 0,
  monotonic: () => 0,
  setTimeout(callback) {
    setImmediate(callback);
    return { cancel() {} };
  },
  setInterval: () => ({ cancel() {} }),
};
const random: Random = { bytes: (length) => new Uint8Array(length), float: () => 0.5, integer: () => 0 };
const pod = (name: string, rv: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'd', uid: name, resourceVersion: rv },
});
const bookmark = (rv: string, end = false) => ({
  type: 'BOOKMARK',
  object: {
    kind: 'Pod',
    metadata: {
      resourceVersion: rv,
      ...(end ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    },
  },
});

/** A server that answers each request from a script: a status and lines, or 'hang' to keep the stream open. */
function scripted(script: { status?: number; lines: unknown[]; hang?: boolean }[]): {
  transport: Transport;
  requests: string[];
} {
  const requests: string[] = [];
  return {
    requests,
    transport: {
      close() {},
      request(request: TransportRequest) {
        requests.push(request.path);
        const step = script.shift() ?? { lines: [], hang: true };
        const encoder = new TextEncoder();
        return Promise.resolve({
          status: step.status ?? 200,
          headers: {},
          body: (async function* () {
            for (const line of step.lines) yield encoder.encode(JSON.stringify(line) + '\n');
            if (step.hang)
              await new Promise<void>((resolve) =>
                request.signal?.addEventListener('abort', () => resolve()),
              );
          })(),
        });
      },
    },
  };
}

function informerOn(transport: Transport): { informer: Informer; calls: string[] } {
  const client = new RestClient(transport, { clock, userAgent: 'test' });
  const informer = new Informer(
    { group: '', version: 'v1', resource: 'pods' },
    {},
    { client, clock, random, logger: silentLogger },
  );
  const calls: string[] = [];
  informer.addHandler({
    onAdd: (object) => calls.push(`add ${object.metadata.name}`),
    onUpdate: (object) => calls.push(`update ${object.metadata.name}`),
    onDelete: (object) => calls.push(`delete ${object.metadata.name}`),
  });
  return { informer, calls };
}

const until = async (condition: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 500 && !condition(); turn++)
    await new Promise((resolve) => setImmediate(resolve));
  assert.ok(condition());
};

test('Informer fills from a WatchList stream and resumes at its resourceVersion after a break', async () => {
  const { transport, requests } = scripted([
    {
      lines: [
        { type: 'ADDED', object: pod('a', '1') },
        bookmark('5', true),
        { type: 'MODIFIED', object: pod('a', '6') },
      ],
    },
    { lines: [{ type: 'DELETED', object: pod('a', '9') }], hang: true },
  ]);
  const { informer, calls } = informerOn(transport);
  informer.start();
  await until(() => calls.length === 3);
  assert.deepEqual(calls, ['add a', 'update a', 'delete a']);
  assert.match(requests[0] ?? '', /sendInitialEvents=true/);
  assert.match(requests[1] ?? '', /resourceVersion=6/);
  await informer.stop();
});

test('Informer falls back to LIST and WATCH when the server refuses WatchList', async () => {
  const { transport, requests } = scripted([
    { status: 422, lines: [{ kind: 'Status', code: 422, reason: 'Invalid', message: 'no' }] },
    {
      lines: [
        {
          kind: 'PodList',
          apiVersion: 'v1',
          metadata: { resourceVersion: '7' },
          items: [{ metadata: pod('a', '3').metadata }],
        },
      ],
    },
    { lines: [], hang: true },
  ]);
  const { informer, calls } = informerOn(transport);
  informer.start();
  await until(() => requests.length === 3);
  assert.deepEqual(calls, ['add a']);
  assert.equal(informer.lister.get('a', 'd')?.kind, 'Pod');
  assert.match(requests[2] ?? '', /resourceVersion=7/);
  await informer.stop();
});

test('Informer relists after 410 and tells of objects that vanished meanwhile', async () => {
  const { transport } = scripted([
    {
      lines: [
        { type: 'ADDED', object: pod('a', '1') },
        { type: 'ADDED', object: pod('b', '2') },
        bookmark('2', true),
      ],
    },
    { lines: [{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', metadata: {} } }] },
    { lines: [{ type: 'ADDED', object: pod('b', '2') }, bookmark('9', true)], hang: true },
  ]);
  const { informer, calls } = informerOn(transport);
  informer.start();
  await until(() => calls.length === 3);
  assert.deepEqual(calls, ['add a', 'add b', 'delete a']);
  await informer.stop();
});
