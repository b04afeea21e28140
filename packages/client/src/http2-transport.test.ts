import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import { createHttp2Transport } from './http2-transport.ts';
import { kubeconfigFiles, loadKubeconfig } from './kubeconfig.ts';

const clock: Clock = {
  now: () => 0,
  monotonic: () => 0,
  setTimeout: (callback, ms) => {
    const timer = setTimeout(callback, ms);
    return { cancel: () => clearTimeout(timer) };
  },
  setInterval: (callback, ms) => {
    const timer = setInterval(callback, ms);
    return { cancel: () => clearInterval(timer) };
  },
};

test('renewed credentials are used at once, an open exchange goes on and takes its connection with it', async () => {
  const tokens: (string | undefined)[] = [];
  const ended: number[] = [];
  let sessions = 0;
  const server = http2.createServer();
  server.on('session', (session) => {
    const number = ++sessions;
    session.once('close', () => ended.push(number));
  });
  let watch: http2.ServerHttp2Stream | undefined;
  server.on('stream', (stream, headers) => {
    tokens.push(headers.authorization);
    stream.respond({ ':status': 200 });
    if (headers[':path'] === '/watch') watch = stream;
    else stream.end('done');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const transport = createHttp2Transport({ server: url, token: 'old' }, clock);
  const get = async (): Promise<void> => {
    const { body } = await transport.request({ method: 'GET', path: '/' });
    for await (const _ of body);
  };
  const watching = await transport.request({ method: 'GET', path: '/watch' });
  await get();
  transport.use({ server: url, token: 'new' });
  await get();
  assert.deepEqual(tokens, ['Bearer old', 'Bearer old', 'Bearer new']);
  assert.equal(sessions, 2);
  assert.deepEqual(ended, [], 'the watch keeps its connection');
  watch?.end('event');
  let text = '';
  for await (const piece of watching.body) text += Buffer.from(piece).toString();
  assert.equal(text, 'event');
  for (let turn = 0; turn < 100 && ended.length === 0; turn++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(ended, [1]);
  // A renewal while the connection is being made.
  transport.use({ server: url, token: 'third' });
  const racing = get();
  transport.use({ server: url, token: 'fourth' });
  await racing;
  assert.equal(tokens.at(-1), 'Bearer fourth');
  transport.close();
  server.close();
});

test('the files behind a kubeconfig are those that its context names', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'kubeconfig-'));
  for (const name of ['ca.crt', 'a.crt', 'a.key', 'token']) writeFileSync(path.join(folder, name), name);
  const file = path.join(folder, 'config.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
      clusters: [{ name: 'k', cluster: { server: 'https://x', 'certificate-authority': 'ca.crt' } }],
      users: [
        {
          name: 'u',
          user: { 'client-certificate': 'a.crt', 'client-key': 'a.key', tokenFile: 'token' },
        },
      ],
    }),
  );
  const names = kubeconfigFiles(file).map((each) => path.basename(each));
  assert.deepEqual(names.sort(), ['a.crt', 'a.key', 'ca.crt', 'config.yaml', 'token']);
  assert.deepEqual(loadKubeconfig(file), {
    server: 'https://x',
    ca: 'ca.crt',
    cert: 'a.crt',
    key: 'a.key',
    token: 'token',
  });
  rmSync(folder, { recursive: true });
});
