import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { resyncArguments } from './resync.ts';

const nobody = 'http://127.0.0.1:1';

test('--resync changes nothing while the others cannot be asked, and wants to know where they are', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'pilothouse-resync-'));
  const flags = ['--name=a', `--data-dir=${directory}`];
  try {
    assert.deepEqual(await resyncArguments(flags), flags);
    await assert.rejects(resyncArguments([...flags, '--resync']), /needs the client URLs/);
    await assert.rejects(resyncArguments(['--resync', nobody]), /needs --data-dir/);
    // A directory that is empty already: the rest is what a lost member does.
    assert.deepEqual(await resyncArguments([...flags, '--resync', nobody]), [
      ...flags,
      `--replace-lost-member=${nobody}`,
    ]);
    const identity = path.join(directory, 'member', 'identity.json');
    mkdirSync(path.dirname(identity));
    writeFileSync(identity, '{"memberId":"ab"}');
    await assert.rejects(resyncArguments([...flags, `--resync=${nobody}`]), /Nothing was changed/);
    assert.ok(existsSync(identity));
    writeFileSync(path.join(directory, 'resync.done'), 'yesterday');
    const said: string[] = [];
    assert.deepEqual(
      await resyncArguments([...flags, `--resync=${nobody}`], (line) => said.push(line)),
      flags,
    );
    assert.match(said.join(), /carried out before \(yesterday\)/);
    assert.ok(existsSync(identity));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
