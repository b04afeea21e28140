import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import { createAuthority, createSigningKey, FileWatcher, FlagError, nodeClock } from '@pilothouse/host';
import { followSigningFiles } from './signing-files.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'signing-'));
const watcher = new FileWatcher();
after(() => {
  watcher.close();
  rmSync(folder, { recursive: true });
});
const file = (name: string): string => path.join(folder, name);
/** Nobody looks but the test. */
const stopped: Clock = { ...nodeClock, setInterval: () => ({ cancel: () => undefined }) };
const flags =
  (given: Record<string, string>): ((flag: string) => string) =>
  (flag) =>
    given[flag] ?? '';
async function authority(name: string): Promise<void> {
  const made = await createAuthority('kubernetes', Date.now() - 60_000, Date.now() + 3_600_000);
  writeFileSync(file(`${name}.crt`), made.certPem);
  writeFileSync(file(`${name}.key`), made.keyPem);
}

test('what signs and what is published follow their files; a pair that does not fit waits', async () => {
  await authority('ca');
  writeFileSync(file('sa.key'), (await createSigningKey()).privatePem);
  const settings = followSigningFiles(
    watcher,
    flags({
      'root-ca-file': file('ca.crt'),
      'cluster-signing-cert-file': file('ca.crt'),
      'cluster-signing-key-file': file('ca.key'),
      'service-account-private-key-file': file('sa.key'),
    }),
  );
  const first = settings.signing;
  assert.ok(
    first !== undefined && settings.rootCa === first.cert && settings.serviceAccountKey !== undefined,
  );
  let told = 0;
  const end = settings.onFileChange?.(() => told++);
  await authority('next');
  writeFileSync(file('ca.key'), readFileSync(file('next.key')));
  watcher.look();
  assert.equal(settings.signing, first, 'the certificate is still the old one');
  writeFileSync(file('ca.crt'), readFileSync(file('next.crt')));
  watcher.look();
  assert.notEqual(settings.signing, first);
  assert.equal(settings.rootCa, settings.signing?.cert);
  assert.equal(told, 2);
  end?.();
});

test('pairs of single signers, and what is refused', async () => {
  await authority('serving');
  const pair = {
    'cluster-signing-kubelet-serving-cert-file': file('serving.crt'),
    'cluster-signing-kubelet-serving-key-file': file('serving.key'),
  };
  const settings = followSigningFiles(new FileWatcher({ clock: stopped }), flags(pair));
  assert.deepEqual(Object.keys(settings.signers ?? {}), ['kubernetes.io/kubelet-serving']);
  assert.equal(settings.signing, undefined);
  const refused = (given: Record<string, string>, pattern: RegExp): void => {
    assert.throws(
      () => followSigningFiles(new FileWatcher({ clock: stopped }), flags(given)),
      (error) => error instanceof FlagError && pattern.test(error.message),
    );
  };
  refused({ ...pair, 'cluster-signing-cert-file': file('serving.crt') }, /at the same time/);
  refused({ 'cluster-signing-legacy-unknown-cert-file': file('serving.crt') }, /must be given together/);
  refused({ ...pair, 'cluster-signing-kubelet-serving-key-file': file('sa.key') }, /do not belong together/);
  refused({ 'root-ca-file': file('nowhere') }, /Cannot use ".*nowhere" of --root-ca-file: ENOENT/);
});
