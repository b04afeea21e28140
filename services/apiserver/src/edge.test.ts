import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import https from 'node:https';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { nodeClock } from '@pilothouse/host';
import { parseConfig } from './config.ts';
import { selfSignedTls } from './tls-files.ts';
import { testServer } from './testing/test-server.ts';

/** A server with the flags of a command line that concern its port. */
async function serverWith(...flags: string[]): Promise<{ port: number; close(): Promise<void> }> {
  const { config } = parseConfig(['--authorization-mode=AlwaysAllow', ...flags]);
  const tls = await selfSignedTls(nodeClock, ['localhost']);
  const { server } = await testServer({
    tls,
    tlsPolicy: config.tlsPolicy,
    ...(config.edge === undefined ? {} : { edge: config.edge }),
    health: { hookDone: () => false },
  });
  const { port } = await server.listen('127.0.0.1', 0);
  return { port, close: () => server.close() };
}

async function ask(
  port: number,
  path: string,
  options: { method?: string; origin?: string } = {},
): Promise<IncomingMessage> {
  const request = https.request({
    host: '127.0.0.1',
    port,
    path,
    method: options.method ?? 'GET',
    rejectUnauthorized: false,
    headers: options.origin === undefined ? {} : { origin: options.origin },
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return response;
}

test('pages of admitted origins may call, and browsers are told to stay with TLS', async () => {
  const server = await serverWith(
    '--cors-allowed-origins=//console\\.example\\.com(:|$)',
    '--strict-transport-security-directives=max-age=3600,includeSubDomains',
  );
  try {
    const origin = 'https://console.example.com:8443';
    const question = await ask(server.port, '/api/v1/namespaces', { method: 'OPTIONS', origin });
    assert.equal(question.statusCode, 204);
    assert.equal(question.headers['access-control-allow-origin'], origin);
    assert.equal(question.headers['access-control-allow-methods'], 'POST, GET, OPTIONS, PUT, DELETE, PATCH');
    assert.equal(question.headers['access-control-allow-credentials'], 'true');
    const answer = await ask(server.port, '/version', { origin });
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers['access-control-allow-origin'], origin);
    assert.equal(answer.headers['strict-transport-security'], 'max-age=3600; includeSubDomains');
    for (const other of ['https://console.example.com.evil.net', 'https://evil.net', undefined]) {
      const refused = await ask(server.port, '/version', other === undefined ? {} : { origin: other });
      assert.equal(refused.headers['access-control-allow-origin'], undefined, other);
    }
    const stranger = await ask(server.port, '/version', { method: 'OPTIONS', origin: 'https://evil.net' });
    assert.notEqual(stranger.statusCode, 204);
  } finally {
    await server.close();
  }
});

const handshake = async (port: number, options: Record<string, unknown>): Promise<string> => {
  const socket: TLSSocket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  try {
    const [event] = await Promise.race([
      once(socket, 'secureConnect').then(() => ['connected']),
      once(socket, 'error').then(() => ['refused']),
    ]);
    return event === 'connected' ? `connected ${String(socket.alpnProtocol)}` : 'refused';
  } catch {
    return 'refused';
  } finally {
    socket.destroy();
  }
};

test('curves and protocols are those of the flags', async () => {
  const server = await serverWith('--tls-curve-preferences=24', '--disable-http2-serving');
  try {
    const ALPNProtocols = ['h2', 'http/1.1'];
    assert.equal(await handshake(server.port, { ALPNProtocols, ecdhCurve: 'P-384' }), 'connected http/1.1');
    assert.equal(await handshake(server.port, { ALPNProtocols, ecdhCurve: 'X25519' }), 'refused');
  } finally {
    await server.close();
  }
});

test('a client may have as many streams as the flag says', async () => {
  const server = await serverWith('--http2-max-streams-per-connection=7');
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, { rejectUnauthorized: false });
  try {
    const [settings] = (await once(session, 'remoteSettings')) as [{ maxConcurrentStreams?: number }];
    assert.equal(settings.maxConcurrentStreams, 7);
  } finally {
    session.destroy();
    await server.close();
  }
});

test('for a while /livez does not mind what the start still has to do', async () => {
  const [patient, strict] = [await serverWith('--livez-grace-period=1h'), await serverWith()];
  try {
    assert.equal((await ask(patient.port, '/livez')).statusCode, 200);
    assert.equal((await ask(patient.port, '/readyz')).statusCode, 500);
    assert.equal((await ask(strict.port, '/livez')).statusCode, 500);
  } finally {
    await patient.close();
    await strict.close();
  }
});

test('what cannot be obeyed is refused', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['--cors-allowed-origins=example.com', /does not pin to start\/end of host in the origin header/],
    ['--cors-allowed-origins=//(', /--cors-allowed-origins has an invalid regular expression/],
    ['--strict-transport-security-directives=maxage=3', /allowed values: max-age=expireTime/],
    ['--tls-curve-preferences=23,23', /^duplicate curve preference 23$/],
    ['--tls-curve-preferences=4588', /^curve preference 4588 is not supported/],
    ['--tls-curve-preferences=0', /^curve preference 0 is out of range \(must be 1-65535\)$/],
    ['--etcd-servers-overrides=/events#https://other:2379', /--etcd-servers-overrides is not supported/],
    ['--egress-selector-config-file=/x', /--egress-selector-config-file is not supported/],
    ['--storage-backend=etcd2', /allowed values: etcd3/],
    ['--endpoint-reconciler-type=master-count', /use lease, or none/],
    ['--kubernetes-service-node-port=70000', /must be between 0 and 65535, inclusive/],
    ['--http2-max-streams-per-connection=-1', /can not be negative value/],
  ];
  for (const [flag, message] of cases) assert.throws(() => parseConfig([flag]), { message }, flag);
});
