import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { silentLogger } from '@pilothouse/base';
import {
  createAuthority,
  createSigningKey,
  issueCertificate,
  type CertificateAndKey,
} from '@pilothouse/host';
import { etcdserverpb } from '@pilothouse/proto';
import { parseConfig } from './config.ts';
import { ConformanceClient } from './io/rpc/conformance.ts';
import { startStore, type StoreServer } from './server.ts';

const { KVService, AuthService } = etcdserverpb;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-tls-'));
const file = (name: string): string => path.join(directory, name);
const bytes = (text: string): Uint8Array => Buffer.from(text);
const now = Date.now();
let authority: CertificateAndKey;

async function issue(name: string, commonName: string, hosts = ['localhost', '127.0.0.1']): Promise<void> {
  const issued = await issueCertificate(authority, {
    commonName,
    hosts,
    usage: 'peer',
    notBefore: now - 60_000,
    notAfter: now + 3_600_000,
  });
  fs.writeFileSync(file(`${name}.crt`), issued.certPem);
  fs.writeFileSync(file(`${name}.key`), issued.keyPem);
}

let count = 0;
async function start(flags: readonly string[], secure: boolean): Promise<StoreServer> {
  const scheme = secure ? 'https' : 'http';
  const parsed = parseConfig(
    [
      `--data-dir=${file(`data${++count}`)}`,
      `--listen-client-urls=${scheme}://127.0.0.1:0`,
      `--advertise-client-urls=${scheme}://127.0.0.1:0`,
      '--listen-peer-urls=http://127.0.0.1:0',
      '--initial-advertise-peer-urls=http://127.0.0.1:0',
      '--heartbeat-interval=20',
      '--election-timeout=100',
      '--bcrypt-cost=4',
      ...flags,
    ],
    {},
  );
  assert.ok(parsed.kind === 'config');
  const server = await startStore(parsed.config, { logger: silentLogger });
  await server.ready;
  return server;
}

const address = (server: StoreServer): string => (server.clientUrls[0] as string).replace(/^\w+:\/\//, '');

function secureClient(server: StoreServer, name?: string): ConformanceClient {
  const own =
    name === undefined ? [] : [fs.readFileSync(file(`${name}.key`)), fs.readFileSync(file(`${name}.crt`))];
  return new ConformanceClient(
    address(server),
    grpc.credentials.createSsl(fs.readFileSync(file('ca.crt')), ...(own as [Buffer, Buffer])),
  );
}

const put = (client: ConformanceClient): Promise<unknown> =>
  client.try(KVService.Put, { key: bytes('a'), value: bytes('1') }, {}, 2000);

before(async () => {
  authority = await createAuthority('test-ca', now - 60_000, now + 3_600_000);
  fs.writeFileSync(file('ca.crt'), authority.certPem);
  fs.writeFileSync(file('ca.key'), authority.keyPem);
  await issue('server', 'server');
  await issue('root', 'root');
  await issue('alice', 'alice', ['alice.example']);
  await issue('bob', 'bob', ['bob.example']);
});

after(() => fs.rmSync(directory, { recursive: true, force: true }));

const serverFlags = (): string[] => [`--cert-file=${file('server.crt')}`, `--key-file=${file('server.key')}`];
const mutualFlags = (): string[] => [
  ...serverFlags(),
  `--trusted-ca-file=${file('ca.crt')}`,
  '--client-cert-auth',
];

test('the common name of a client certificate is the user', async () => {
  const server = await start(mutualFlags(), true);
  const root = secureClient(server, 'root');
  const alice = secureClient(server, 'alice');
  try {
    await root.ok(AuthService.UserAdd, { name: 'root', options: { noPassword: true } });
    await root.ok(AuthService.UserGrantRole, { user: 'root', role: 'root' });
    await root.ok(AuthService.UserAdd, { name: 'alice', options: { noPassword: true } });
    await root.ok(AuthService.RoleAdd, { name: 'a' });
    await root.ok(AuthService.RoleGrantPermission, {
      name: 'a',
      perm: { permType: 2, key: bytes('a'), rangeEnd: bytes('b') },
    });
    await root.ok(AuthService.UserGrantRole, { user: 'alice', role: 'a' });
    await root.ok(AuthService.AuthEnable, {});
    await alice.ok(KVService.Put, { key: bytes('a/1') });
    await alice.fails(KVService.Put, { key: bytes('b') }, 7, 'etcdserver: permission denied');
    await root.ok(KVService.Put, { key: bytes('b') });
    await alice.fails(AuthService.UserAdd, { name: 'x', password: 'x' }, 7, 'etcdserver: permission denied');
    const bob = secureClient(server, 'bob');
    await bob.fails(KVService.Put, { key: bytes('a/1') }, 7, 'etcdserver: permission denied');
    bob.close();
  } finally {
    root.close();
    alice.close();
    await server.close();
  }
});

test('only clients with an allowed common name or host name come in; revoked ones do not', async () => {
  const outcomes = async (server: StoreServer): Promise<string> => {
    const words: string[] = [];
    for (const name of ['alice', 'bob']) {
      const client = secureClient(server, name);
      words.push('ok' in ((await put(client)) as object) ? name : `no ${name}`);
      client.close();
    }
    await server.close();
    return words.join(', ');
  };
  assert.equal(
    await outcomes(await start([...mutualFlags(), '--client-cert-allowed-cn=alice'], true)),
    'alice, no bob',
  );
  assert.equal(
    await outcomes(await start([...mutualFlags(), '--client-cert-allowed-hostname=bob.example'], true)),
    'no alice, bob',
  );
  fs.writeFileSync(file('index.txt'), '');
  fs.writeFileSync(
    file('ca.cnf'),
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${file('index.txt')}\ndefault_md=sha256\ndefault_crl_days=1\n`,
  );
  const openssl = (...args: string[]): unknown =>
    execFileSync(
      'openssl',
      ['ca', '-config', file('ca.cnf'), '-cert', file('ca.crt'), '-keyfile', file('ca.key'), ...args],
      {
        stdio: 'pipe',
      },
    );
  openssl('-revoke', file('bob.crt'));
  openssl('-gencrl', '-out', file('crl.pem'));
  assert.equal(
    await outcomes(await start([...mutualFlags(), `--client-crl-file=${file('crl.pem')}`], true)),
    'alice, no bob',
  );
});

test('renewed certificates are used without a restart; auto-tls makes one', async () => {
  const serial = (server: StoreServer): Promise<string> =>
    new Promise((resolve, reject) => {
      const [host, port] = address(server).split(':') as [string, string];
      const socket = tls.connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  const server = await start(serverFlags(), true);
  const before = await serial(server);
  assert.equal(await serial(server), before);
  fs.writeFileSync(file('server.crt'), 'half written');
  assert.equal(await serial(server), before, 'files that cannot be used are left alone');
  await issue('server', 'server');
  assert.notEqual(await serial(server), before);
  await server.close();
  const automatic = await start(['--auto-tls'], true);
  assert.match(await serial(automatic), /^[0-9A-F]+$/);
  await automatic.close();
});

test('signed tokens: given out, checked, old after a change of users, refused when forged or late', async () => {
  const pair = await createSigningKey();
  const other = await createSigningKey();
  fs.writeFileSync(file('jwt.key'), pair.privatePem);
  fs.writeFileSync(file('other.key'), other.privatePem);
  const flags = (key: string): string[] => [
    `--auth-token=jwt,sign-method=ES256,priv-key=${file(key)},ttl=2s`,
  ];
  const server = await start(flags('jwt.key'), false);
  const client = new ConformanceClient(address(server));
  const foreign = await start(flags('other.key'), false);
  const foreignClient = new ConformanceClient(address(foreign));
  try {
    for (const each of [client, foreignClient]) {
      await each.ok(AuthService.UserAdd, { name: 'root', password: 'pw' });
      await each.ok(AuthService.UserGrantRole, { user: 'root', role: 'root' });
      await each.ok(AuthService.AuthEnable, {});
    }
    const login = async (each: ConformanceClient): Promise<{ token: string }> => ({
      token: (await each.ok(AuthService.Authenticate, { name: 'root', password: 'pw' })).token,
    });
    const old = await login(client);
    const [, payload] = old.token.split('.') as [string, string];
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    assert.equal(claims['username'], 'root');
    await client.ok(KVService.Put, { key: bytes('a') }, old);
    const request = { key: bytes('a') };
    const forged = await login(foreignClient);
    await client.fails(KVService.Put, request, 16, 'etcdserver: invalid auth token', forged);
    const tampered = {
      token: old.token.replace(
        payload,
        Buffer.from('{"username":"root","revision":99,"exp":99999999999}').toString('base64url'),
      ),
    };
    await client.fails(KVService.Put, request, 16, 'etcdserver: invalid auth token', tampered);
    await client.ok(AuthService.UserAdd, { name: 'new', password: 'x' }, old);
    await client.fails(KVService.Put, request, 3, 'etcdserver: revision of auth store is old', old);
    const fresh = await login(client);
    await client.ok(KVService.Put, request, fresh);
    const gateway = await fetch(`${server.clientUrls[0] as string}/v3/kv/put`, {
      method: 'POST',
      headers: { authorization: fresh.token },
      body: '{"key":"YQ=="}',
    });
    assert.equal(gateway.status, 200);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await client.fails(KVService.Put, request, 16, 'etcdserver: invalid auth token', fresh);
  } finally {
    client.close();
    foreignClient.close();
    await server.close();
    await foreign.close();
  }
});
