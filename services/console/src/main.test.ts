import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlagError } from '@pilothouse/host';
import { runConsole } from './main.ts';

const refused = (argv: readonly string[], pattern: RegExp): Promise<void> =>
  assert.rejects(runConsole(argv), (error) => error instanceof FlagError && pattern.test(error.message));
const server = '--server=https://127.0.0.1:1';

test('a start that would be unsafe or cannot work is refused with what to do', async () => {
  await refused([], /Want --kubeconfig FILE or --server URL/);
  await refused([server, '--kubeconfig=x'], /not both/);
  await refused(['--server=http://127.0.0.1:1'], /want https/);
  await refused([server, '--bind-address=0.0.0.0'], /in the clear.*--tls-cert-file/);
  await refused(
    [server, '--bind-address=0.0.0.0', '--tls-cert-file=a', '--tls-private-key-file=b'],
    /--allowed-hosts/,
  );
  await refused([server, '--tls-cert-file=a'], /belong together/);
  await refused([server, 'more'], /Unexpected argument "more"/);
});
