import assert from 'node:assert/strict';
import { test } from 'node:test';
import tls from 'node:tls';
import { openSocket, parseEndpoint } from './endpoint.ts';

test('a TLS socket never waits to gather small writes', (context) => {
  // tls.connect ignores `noDelay`; without the call a second frame waited 40 ms for the acknowledgement of the first.
  const setNoDelay = context.mock.method(tls.TLSSocket.prototype, 'setNoDelay');
  const socket = openSocket(parseEndpoint('https://127.0.0.1:1', false), undefined);
  socket.on('error', () => {});
  assert.deepEqual(
    setNoDelay.mock.calls.map((call) => call.arguments),
    [[true]],
  );
  socket.destroy();
});
