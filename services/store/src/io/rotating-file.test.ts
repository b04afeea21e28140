import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { RotatingFile, type LogRotation } from './rotating-file.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-log-'));
after(() => fs.rmSync(directory, { recursive: true }));

const rotation: LogRotation = {
  bytesMax: 100,
  ageMaxMs: 0,
  backupsMax: 0,
  isLocalTime: false,
  isCompressed: false,
};
const line = (at: number): string => `${String(at).padStart(39, '0')}\n`;

async function written(name: string, lines: number, changes: Partial<LogRotation> = {}): Promise<string[]> {
  const folder = path.join(directory, name);
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'etcd-other.log'), 'not one of ours');
  let now = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
  const file = new RotatingFile(path.join(folder, 'etcd.log'), { ...rotation, ...changes }, () => now);
  for (let at = 0; at < lines; at++) {
    file.write(line(at));
    await file.tidied;
    now += 1000;
  }
  return fs.readdirSync(folder).sort();
}

test('a full file is renamed with its time, and nothing is lost', async () => {
  const names = await written('all', 5);
  assert.deepEqual(names, [
    'etcd-2026-01-02T03-04-07.006.log',
    'etcd-2026-01-02T03-04-09.006.log',
    'etcd-other.log',
    'etcd.log',
  ]);
  const text = names
    .filter((name) => name !== 'etcd-other.log')
    .map((name) => fs.readFileSync(path.join(directory, 'all', name), 'utf8'));
  assert.equal(text.join(''), [0, 1, 2, 3, 4].map(line).join(''));
  const again = new RotatingFile(path.join(directory, 'all', 'etcd.log'), rotation, () => 0);
  again.write('x\n');
  assert.equal(fs.readFileSync(path.join(directory, 'all', 'etcd.log'), 'utf8'), `${line(4)}x\n`);
});

test('old files go by number and by age, and are compressed', async () => {
  assert.equal((await written('two', 21, { backupsMax: 2 })).length, 4);
  assert.equal((await written('young', 21, { ageMaxMs: 5000 })).length, 5);
  const packed = (await written('packed', 5, { isCompressed: true })).filter((name) => name.endsWith('.gz'));
  assert.deepEqual(packed, ['etcd-2026-01-02T03-04-07.006.log.gz', 'etcd-2026-01-02T03-04-09.006.log.gz']);
  const bytes = fs.readFileSync(path.join(directory, 'packed', packed[0] as string));
  assert.equal(zlib.gunzipSync(bytes).toString(), line(0) + line(1));
});
