import { test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { nodeClock } from '@pilothouse/host';
import { backendSuites } from '../../core/backend-conformance.ts';
import type { Backend } from '../../core/backend.ts';
import { MemoryBackend } from '../../core/memory-backend.ts';
import { LmdbBackend } from './lmdb-backend.ts';

const temporary = (): string => fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-backend-'));
const check = (actual: unknown, expected: unknown, what: string): void =>
  assert.deepEqual(actual, expected, what);

for (const suite of backendSuites) {
  test(`MemoryBackend ${suite.name}`, () => suite.run(() => Promise.resolve(new MemoryBackend()), check));
  test(`LmdbBackend ${suite.name}`, async () => {
    const directory = temporary();
    const opened: Backend[] = [];
    try {
      await suite.run(async () => {
        const backend = new LmdbBackend({ directory, clock: nodeClock });
        opened.push(backend);
        return Promise.resolve(backend);
      }, check);
    } finally {
      for (const backend of opened) await backend.close();
      fs.rmSync(directory, { recursive: true });
    }
  });
}

test('LmdbBackend keeps flushed state over a restart, also after defragmentation', async () => {
  const directory = temporary();
  let backend = new LmdbBackend({ directory, clock: nodeClock });
  backend.writeRevision(2, 0, Uint8Array.of(1));
  backend.writeRecord('meta/applied', Uint8Array.of(7));
  await backend.close();
  backend = new LmdbBackend({ directory, clock: nodeClock });
  assert.deepEqual([...(backend.readRecord('meta/applied') as Uint8Array)], [7]);
  await backend.defragment();
  backend.writeRevision(3, 0, Uint8Array.of(2));
  await backend.close();
  backend = new LmdbBackend({ directory, clock: nodeClock });
  assert.deepEqual(
    [...backend.scanRevisions(0, 10)].map(({ main }) => main),
    [2, 3],
  );
  await backend.close();
  fs.rmSync(directory, { recursive: true });
});
