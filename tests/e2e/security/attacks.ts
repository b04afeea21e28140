import { writeFileSync } from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import type { Checks } from '../checks.ts';
import { attacks, raw } from '../auth/attacks.ts';
import type { AuthServer } from '../auth/server.ts';
import { expectAnswer, prepareServer, startServer, staticToken } from '../auth/server.ts';
import { watched } from './attack-record.ts';
import { headerAttacks } from './header-attacks.ts';
import { http2Attacks } from './http2-attacks.ts';
import type { WatchedServer } from './attack-record.ts';

const policy =
  'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n';
const headerBytesMax = 1024 * 1024;

/**
 * Everything of the attackers' list against one API server that writes an audit log: each attempt is refused with its status, and the log
 * says who tried what. Parsers' attacks never become requests; there the connection must end.
 */
export async function attackSuite(checks: Checks, port: number): Promise<void> {
  const prepared = await prepareServer();
  const auditLog = path.join(prepared.directory, 'audit.log');
  const policyFile = path.join(prepared.directory, 'audit-policy.yaml');
  writeFileSync(policyFile, policy);
  const plain = await startServer(prepared, port, [
    '--authorization-mode=Node,RBAC',
    '--anonymous-auth=false',
    '--enable-admission-plugins=NodeRestriction',
    `--audit-policy-file=${policyFile}`,
    `--audit-log-path=${auditLog}`,
  ]);
  try {
    const server = watched(plain, auditLog);
    const recording = {
      check: (name: string, body: () => Promise<void>, withinMs?: number) =>
        checks.check(
          name,
          async () => {
            await body();
            await server.expectRecorded();
          },
          withinMs,
        ),
    } as Checks;
    await throughProxies(recording, server);
    await misshapen(recording, server);
    await oversized(recording, server);
    await attacks(recording, server);
    await http2Attacks(checks, plain);
    // Last: tokens in queries are in the audit log, which is looked through for tokens before.
    await headerAttacks(checks, plain);
  } finally {
    await plain.close();
  }
}

/** Where nobody may have this server connect to: metadata of clouds, its own ports, other protocols' addresses. */
const forbiddenAddresses = [
  '169.254.169.254',
  '127.0.0.1',
  '0.0.0.0',
  '224.0.0.1',
  '::1',
  'fe80::1',
  '::ffff:169.254.169.254',
];

async function throughProxies(checks: Checks, server: WatchedServer): Promise<void> {
  const created = async (target: string, body: object): Promise<void> => {
    const answer = await server.admin(target, { method: 'POST', body });
    if (answer.status !== 201) throw new Error(`${target}: ${answer.text}`);
  };
  const patched = async (target: string, body: object): Promise<void> => {
    const headers = { 'content-type': 'application/merge-patch+json' };
    expectAnswer(await server.admin(`${target}/status`, { method: 'PATCH', body, headers }), 200);
  };
  const space = '/api/v1/namespaces/default';
  await created(`${space}/serviceaccounts`, { metadata: { name: 'default' } });
  for (const [index, address] of forbiddenAddresses.entries()) {
    const name = `inner-${index}`;
    await checks.check(`attack: proxy of a node, a pod and a service at ${address}: refused`, async () => {
      await created('/api/v1/nodes', { metadata: { name } });
      await patched(`/api/v1/nodes/${name}`, {
        status: {
          addresses: [{ type: 'InternalIP', address }],
          daemonEndpoints: { kubeletEndpoint: { Port: server.port } },
        },
      });
      await created(`${space}/pods`, {
        metadata: { name, labels: { app: name } },
        spec: { nodeName: name, containers: [{ name: 'c', image: 'i' }] },
      });
      await patched(`${space}/pods/${name}`, {
        status: {
          phase: 'Running',
          podIP: address,
          podIPs: [{ ip: address }],
          hostIP: address,
          hostIPs: [{ ip: address }],
        },
      });
      await created(`${space}/services`, { metadata: { name }, spec: { ports: [{ port: server.port }] } });
      const slice = await server.admin('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
        method: 'POST',
        body: {
          metadata: { name, labels: { 'kubernetes.io/service-name': name } },
          addressType: address.includes(':') ? 'IPv6' : 'IPv4',
          endpoints: [{ addresses: [address] }],
          ports: [{ port: server.port }],
        },
      });
      for (const target of [
        `/api/v1/nodes/${name}/proxy/metrics`,
        `/api/v1/nodes/${name}:${server.port}/proxy/`,
        `/api/v1/nodes/https:${name}:${server.port}/proxy/api`,
        `${space}/pods/https:${name}:${server.port}/proxy/api`,
        // Of loopback only what a node says at fixed paths is read: nodes of a local cluster live there.
        ...(['127.0.0.1', '::1'].includes(address) ? [] : [`${space}/pods/${name}/log`]),
        ...(slice.status === 201 ? [`${space}/services/https:${name}:${server.port}/proxy/api`] : []),
      ]) {
        const answer = await server.admin(target);
        if (![400, 503].includes(answer.status))
          throw new Error(`${target}: ${answer.status} ${answer.text.slice(0, 300)}`);
      }
    });
  }
  await checks.check('attack: proxy and exec without the right: 403', async () => {
    for (const target of [
      '/api/v1/nodes/inner-0/proxy/',
      `${space}/pods/inner-0/proxy/`,
      `${space}/services/inner-0/proxy/`,
    ]) {
      for (const method of ['GET', 'POST', 'DELETE'])
        expectAnswer(await server.ask(target, { token: staticToken, method }), 403, /alice/);
    }
    expectAnswer(
      await server.ask(`${space}/pods/inner-0/exec?command=id`, { token: staticToken, method: 'POST' }),
      403,
    );
  });
}

/** What only one of two parsers would take, and paths that lead elsewhere. */
async function misshapen(checks: Checks, server: AuthServer): Promise<void> {
  const hidden = 'GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n';
  const post = (headers: string, body: string): string =>
    `POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;
  const requests: Readonly<Record<string, string>> = {
    'Transfer-Encoding and Content-Length': post(
      'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n',
      `0\r\n\r\n${hidden}`,
    ),
    'two lengths': post(`Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n`, hidden),
    'a signed length': post('Content-Length: +0\r\n', hidden),
    'a length with a comma': post(`Content-Length: 0, ${hidden.length}\r\n`, hidden),
    'an unknown coding': post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${hidden}`),
    'a space before the colon': post('Transfer-Encoding : chunked\r\n', `0\r\n\r\n${hidden}`),
    'a folded header': post('X-A: b\r\n Transfer-Encoding: chunked\r\n', `0\r\n\r\n${hidden}`),
    'a chunk size that is none': post('Transfer-Encoding: chunked\r\n', `0x5\r\nhello\r\n0\r\n\r\n${hidden}`),
    'a NUL in a header': `GET /version HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n`,
    'bare line feeds': `GET /version HTTP/1.1\nHost: x\n\n${hidden}`,
    'no host': 'GET /version HTTP/1.1\r\n\r\n',
    'another protocol': 'GET /version HTTP/9.9\r\nHost: x\r\n\r\n',
    'HTTP/2 by its preface over HTTP/1.1': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  };
  for (const [name, bytes] of Object.entries(requests)) {
    await checks.check(`attack: ${name}: 4xx or the end, and nothing behind it is served`, async () => {
      const text = await raw(server, bytes, 8000);
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
      if (
        text === 'still open' ||
        statuses.length > 1 ||
        statuses.some((status) => status < 400 || status > 505)
      )
        throw new Error(text.slice(0, 400));
    });
  }
  const paths = [
    '/../../etc/passwd',
    '/api/v1/../../../etc/passwd',
    '/api/v1/namespaces/default/%2e%2e/%2e%2e/secrets',
    '/api/v1/namespaces/default/pods/..%2f..%2fsecrets',
    '/api/v1/namespaces/default/pods/p/proxy/..%2f..%2f..%2fetc%2fpasswd',
    '/openapi/v3/../../api/v1/secrets',
    '/api//v1/secrets',
    '/api/v1/secrets/%00',
    'https://169.254.169.254/latest/meta-data/',
    '/livez/../api/v1/secrets',
  ];
  for (const target of paths) {
    await checks.check(`attack: path ${target}: a user without rights reads nothing`, async () => {
      const text = await raw(
        server,
        `GET ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${staticToken}\r\nConnection: close\r\n\r\n`,
        8000,
      );
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
      // 301 leads to the plain form of the path, under the same rights.
      if (![301, 400, 401, 403, 404].includes(status) || /root:|SecretList/.test(text))
        throw new Error(text.slice(0, 400));
    });
  }
}

async function oversized(checks: Checks, server: WatchedServer): Promise<void> {
  await checks.check('attack: headers beyond a mebibyte: 431', async () => {
    const text = await raw(
      server,
      `GET /version HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(headerBytesMax + 1)}\r\n\r\n`,
      10_000,
    );
    if (!/^HTTP\/1\.1 431/.test(text) && text !== '') throw new Error(text.slice(0, 200));
  });
  await checks.check('attack: a body that says it has 4 MiB: 413, before it comes', async () => {
    const answer = await server.admin('/api/v1/namespaces/default/configmaps', {
      method: 'POST',
      body: { metadata: { name: 'large' }, data: { a: 'a'.repeat(4 * 1024 * 1024) } },
    });
    expectAnswer(answer, 413);
  });
  await checks.check('attack: lists within lists, 20,000 deep: 400 or 422', async () => {
    const bytes = `{"metadata":{"name":"deep"},"data":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    const text = await rawAsAdmin(server, bytes);
    if (!/^HTTP\/1\.1 4\d\d/.test(text)) throw new Error(text.slice(0, 300));
  });
  await checks.check(
    'attack: 20 clients that send their bodies a byte at a time: others are served meanwhile',
    async () => {
      const sockets = Array.from({ length: 20 }, () => {
        const socket = tls.connect({
          host: '127.0.0.1',
          port: server.port,
          ca: server.pki.ca.certPem,
          cert: server.pki.admin.certPem,
          key: server.pki.admin.keyPem,
          ALPNProtocols: ['http/1.1'],
        });
        socket.on('error', () => undefined);
        socket.once('secureConnect', () =>
          socket.write(
            'POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
          ),
        );
        return socket;
      });
      const started = process.hrtime.bigint();
      for (let round = 0; round < 10; round++) {
        for (const socket of sockets) socket.write(' ');
        expectAnswer(await server.admin('/api/v1/namespaces'), 200);
      }
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      for (const socket of sockets) socket.destroy();
      if (seconds > 20) throw new Error(`ten lists took ${seconds} s`);
    },
  );
}

function rawAsAdmin(server: AuthServer, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const { certPem: cert, keyPem: key } = server.pki.admin;
    const socket = tls.connect({
      host: '127.0.0.1',
      port: server.port,
      ca: server.pki.ca.certPem,
      cert,
      key,
      ALPNProtocols: ['http/1.1'],
    });
    socket.once('secureConnect', () =>
      socket.write(
        `POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      ),
    );
    socket.on('data', (piece: Buffer) => (text += piece.toString()));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}
