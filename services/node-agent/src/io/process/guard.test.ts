import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { nodeClock } from '@pilothouse/host';
import { parseEntry } from '../../core/process/log-line.ts';
import { ContainerProcess } from './container-process.ts';
import { RotatingLog } from './rotating-log.ts';
import type { ShimSpec } from './shim-protocol.ts';
import { replaceFiles } from './volume-manager.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-guard-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function spec(name: string, script: string, more: Partial<ShimSpec> = {}): ShimSpec {
  return {
    argv: ['sh', '-c', script],
    env: { PATH: process.env['PATH'] ?? '', WORD: 'hello' },
    cwd: directory,
    tty: false,
    stdin: false,
    stdinOnce: false,
    logFile: path.join(directory, `${name}.log`),
    logBytesMax: 1 << 20,
    logFilesMax: 2,
    socket: path.join(directory, `${name}.sock`),
    exitFile: path.join(directory, `${name}.exit`),
    ...more,
  };
}

const start = (name: string, script: string, more?: Partial<ShimSpec>): Promise<ContainerProcess> =>
  ContainerProcess.start(name, spec(name, script, more), path.join(directory, `${name}.json`), nodeClock);

const logOf = (name: string): string[] =>
  readFileSync(path.join(directory, `${name}.log`), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const entry = parseEntry(Buffer.from(line));
      return entry ? `${entry.stream}${entry.complete ? '' : '…'} ${entry.text.toString()}` : line;
    });

test('a guard writes the log and tells the exit code, also to the next agent', async () => {
  const started = await start('one', 'echo $WORD; sleep 0.2; echo bad >&2; printf end; exit 3');
  const exit = await started.exited;
  assert.equal(exit.exitCode, 3);
  assert.deepEqual(logOf('one'), ['stdout hello', 'stderr bad', 'stdout… end']);
  const { id, pid, startedMs } = started;
  const again = ContainerProcess.adopt(
    { id, pid, startedMs, socket: path.join(directory, 'one.sock') },
    path.join(directory, 'one.exit'),
    nodeClock,
  );
  assert.equal((await again.exited).exitCode, 3);
});

test('stdin and output of an attached client; a signal is an exit code', async () => {
  const started = await start('two', 'read line; echo got $line; exec sleep 100', { stdin: true });
  const streams = await started.attach(true);
  const seen = new Promise<string>((resolve) => {
    streams.listen(
      (_stream, data, done) => {
        done();
        resolve(data.toString());
      },
      () => undefined,
    );
  });
  streams.write(Buffer.from('word\n'), () => undefined);
  assert.equal(await seen, 'got word\n');
  started.signal('SIGTERM');
  const exit = await started.exited;
  assert.deepEqual([exit.exitCode, exit.signal], [143, 15]);
});

test('a program that is not there is named', async () => {
  await assert.rejects(
    start('three', '', { argv: ['no-such-program'] }),
    /exec: "no-such-program": executable file not found in \$PATH/,
  );
});

test('a log that is full gives way to a new one, the oldest goes', () => {
  const file = path.join(directory, 'rotated.log');
  const log = new RotatingLog(file, 300, 3);
  const time = '2026-01-02T03:04:05.000000000Z';
  for (let count = 0; count < 20; count++)
    log.write({ time, stream: 'stdout', complete: true, text: Buffer.from(`line ${count}`) });
  log.close();
  const files = readdirSync(directory)
    .filter((each) => each.startsWith('rotated.log'))
    .sort();
  assert.deepEqual(files, ['rotated.log', 'rotated.log.1', 'rotated.log.2']);
  assert.match(readFileSync(file, 'utf8'), /line 19/);
});

test('files of a volume change all at once and only when they changed', () => {
  const volume = path.join(directory, 'volume');
  const files = (entries: Record<string, string>) =>
    Object.entries(entries).map(([name, text]) => ({ path: name, data: Buffer.from(text), mode: 0o600 }));
  replaceFiles(volume, files({ a: '1', 'd/b': '2' }));
  const read = (name: string): string => readFileSync(path.join(volume, name), 'utf8');
  assert.deepEqual([read('a'), read('d/b')], ['1', '2']);
  replaceFiles(volume, files({ a: '1', 'd/b': '2' }));
  assert.equal(existsSync(path.join(volume, '..1')), true);
  replaceFiles(volume, files({ a: '3' }));
  assert.equal(read('a'), '3');
  assert.deepEqual(readdirSync(volume).sort(), ['..2', '..data', 'a']);
});
