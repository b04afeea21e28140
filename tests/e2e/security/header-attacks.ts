import http2 from 'node:http2';
import type { Checks } from '../checks.ts';
import { raw } from '../auth/attacks.ts';
import type { Answer, AuthServer } from '../auth/server.ts';
import { expectAnswer, staticToken } from '../auth/server.ts';

const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const secrets = '/api/v1/secrets';

interface Identity {
  readonly username?: string;
  readonly groups?: readonly string[];
}

/** Headers that one parser splits and another does not, identities in places where none belong, and bodies that are not what they say. */
export async function headerAttacks(checks: Checks, server: AuthServer): Promise<void> {
  await identities(checks, server);
  await elsewhere(checks, server);
  await webSockets(checks, server);
  await protobuf(checks, server);
}

/** Whom the server takes a request for, by both protocols. */
async function whoAmI(
  server: AuthServer,
  cert: { readonly certPem: string; readonly keyPem: string },
  headers: Record<string, string | string[]>,
): Promise<[Identity, Identity]> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const first = await server.ask(review, { method: 'POST', body, headers, cert });
  expectAnswer(first, 201);
  const second = await overHttp2(server, cert, { ':method': 'POST', ':path': review, ...headers }, body);
  expectAnswer(second, 201);
  return [first, second].map(
    (answer) => (answer.body['status'] as { userInfo: Identity }).userInfo,
  ) as unknown as [Identity, Identity];
}

function overHttp2(
  server: AuthServer,
  cert: { readonly certPem: string; readonly keyPem: string } | undefined,
  headers: Record<string, string | string[]>,
  body?: object,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`https://127.0.0.1:${server.port}`, {
      ca: server.pki.ca.certPem,
      ...(cert === undefined ? {} : { cert: cert.certPem, key: cert.keyPem }),
    });
    session.on('error', reject);
    const stream = session.request({ 'content-type': 'application/json', ...headers });
    let status = 0;
    let text = '';
    stream.on('response', (answer) => (status = Number(answer[':status'])));
    stream.on('data', (piece: Buffer) => (text += piece.toString()));
    stream.on('error', reject);
    stream.on('close', () => {
      session.close();
      let parsed: Answer['body'] = {};
      try {
        parsed = JSON.parse(text) as Answer['body'];
      } catch {
        // Plain text.
      }
      resolve({ status, text, body: parsed });
    });
    stream.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function identities(checks: Checks, server: AuthServer): Promise<void> {
  const { frontProxyClient, admin } = server.pki;
  await checks.check('attack: a group with a comma from a front proxy stays one group', async () => {
    const headers = { 'x-remote-user': 'mallory', 'x-remote-group': ['a, system:masters', 'b'] };
    for (const { groups } of await whoAmI(server, frontProxyClient, headers)) {
      const own = JSON.stringify(groups?.filter((group) => group !== 'system:authenticated'));
      if (own !== '["a, system:masters","b"]') throw new Error(own);
    }
    const asked = { 'x-remote-user': 'mallory', 'x-remote-group': 'a, system:masters' };
    expectAnswer(await server.ask(secrets, { headers: asked, cert: frontProxyClient }), 403, /mallory/);
  });
  await checks.check(
    'attack: a second user from a front proxy or of an impersonation is not looked at',
    async () => {
      for (const { username } of await whoAmI(server, frontProxyClient, {
        'x-remote-user': ['mallory', 'admin'],
      }))
        if (username !== 'mallory') throw new Error(username);
      for (const { username, groups } of await whoAmI(server, admin, {
        'impersonate-user': ['mallory', 'admin'],
        'impersonate-group': ['a, system:masters'],
      }))
        if (username !== 'mallory' || groups?.includes('system:masters') === true)
          throw new Error(`${username} ${groups?.join()}`);
    },
  );
  await checks.check('attack: impersonation headers in any case count, and need the right', async () => {
    for (const name of ['Impersonate-User', 'IMPERSONATE-USER', 'impersonate-USER']) {
      const text = await raw(
        server,
        `GET ${secrets} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${staticToken}\r\n${name}: kubernetes-admin\r\nImpersonate-Group: system:masters\r\nConnection: close\r\n\r\n`,
        8000,
      );
      if (!/^HTTP\/1\.1 403/.test(text) || !text.includes('cannot impersonate'))
        throw new Error(text.slice(0, 400));
    }
  });
}

/** Tokens where proxies and browsers would leave them in logs, or send them by themselves. */
async function elsewhere(checks: Checks, server: AuthServer): Promise<void> {
  const places: Readonly<Record<string, { path?: string; headers?: Record<string, string> }>> = {
    'the query (token)': { path: `${secrets}?token=${staticToken}` },
    'the query (access_token)': { path: `${secrets}?access_token=${staticToken}` },
    'the query (authorization)': { path: `${secrets}?authorization=Bearer%20${staticToken}` },
    'a cookie': { headers: { cookie: `token=${staticToken}; Authorization=Bearer ${staticToken}` } },
    'Proxy-Authorization': { headers: { 'proxy-authorization': `Bearer ${staticToken}` } },
    'X-Forwarded-Authorization': { headers: { 'x-forwarded-authorization': `Bearer ${staticToken}` } },
    'a user of Basic': {
      headers: { authorization: `Basic ${Buffer.from(`alice:${staticToken}`).toString('base64')}` },
    },
    'X-Forwarded-User': { headers: { 'x-forwarded-user': 'kubernetes-admin' } },
  };
  for (const [place, { path = secrets, headers = {} }] of Object.entries(places))
    await checks.check(`attack: a credential in ${place}: 401`, async () => {
      const answer = await server.ask(path, { headers });
      expectAnswer(answer, 401);
      expectAnswer(await overHttp2(server, undefined, { ':path': path, ...headers }), 401);
    });
}

async function webSockets(checks: Checks, server: AuthServer): Promise<void> {
  const protocol = 'base64url.bearer.authorization.k8s.io.';
  const carried = (token: string): string => `${protocol}${Buffer.from(token).toString('base64url')}`;
  const upgrade = (headers: string): Promise<string> =>
    raw(
      server,
      `GET /api/v1/namespaces/default/pods/p/exec?command=id&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${headers}\r\n`,
      8000,
    );
  const cases: readonly (readonly [name: string, headers: string, status: RegExp])[] = [
    ['without a credential, from another origin', 'Origin: https://evil.example\r\n', /^HTTP\/1\.1 401/],
    [
      'with a cookie, from another origin',
      `Origin: https://evil.example\r\nCookie: token=${staticToken}\r\n`,
      /^HTTP\/1\.1 401/,
    ],
    [
      'with a token among the subprotocols and no other',
      `Sec-WebSocket-Protocol: ${carried(staticToken)}\r\n`,
      /^HTTP\/1\.1 401/,
    ],
    [
      'with two tokens among the subprotocols',
      `Sec-WebSocket-Protocol: ${carried(staticToken)}, ${carried('other')}, v4.channel.k8s.io\r\n`,
      /^HTTP\/1\.1 401/,
    ],
    [
      'with a token that is no base64',
      `Sec-WebSocket-Protocol: ${protocol}!!!, v4.channel.k8s.io\r\n`,
      /^HTTP\/1\.1 401/,
    ],
    [
      'with the token of somebody without the right',
      `Origin: https://evil.example\r\nSec-WebSocket-Protocol: ${carried(staticToken)}, v4.channel.k8s.io\r\n`,
      /^HTTP\/1\.1 403[^]*alice/,
    ],
  ];
  for (const [name, headers, wanted] of cases)
    await checks.check(`attack: a WebSocket ${name}: refused before it is one`, async () => {
      const text = await upgrade(headers);
      if (!wanted.test(text) || /101 Switching/.test(text)) throw new Error(text.slice(0, 300));
    });
}

/** Bodies of protobuf that claim more than they hold, or hold each other. */
async function protobuf(checks: Checks, server: AuthServer): Promise<void> {
  const magic = Buffer.from('k8s\0', 'latin1');
  const field = (number: number, content: Buffer): Buffer =>
    Buffer.concat([varint((number << 3) | 2), varint(content.length), content]);
  const unknown = (object: Buffer): Buffer =>
    Buffer.concat([
      magic,
      field(1, Buffer.concat([field(1, Buffer.from('v1')), field(2, Buffer.from('ConfigMap'))])),
      field(2, object),
    ]);
  let nested: Buffer = Buffer.alloc(0);
  for (let depth = 0; depth < 20_000; depth++) nested = field(1, nested);
  const bodies: Readonly<Record<string, Buffer>> = {
    'a length of 2⁶³ bytes': Buffer.concat([
      magic,
      Buffer.of(0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
    ]),
    'a length of 4 GiB in an object': unknown(Buffer.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f)),
    'a number without end': unknown(Buffer.alloc(64, 0xff)),
    'messages within messages, 20,000 deep': unknown(nested),
    'groups within groups, 100,000 deep': unknown(Buffer.alloc(100_000, 0x0b)),
    'a million empty fields': unknown(
      Buffer.concat(Array.from({ length: 500_000 }, () => Buffer.of(0x12, 0))),
    ),
    'no object at all': magic,
  };
  for (const [name, body] of Object.entries(bodies))
    await checks.check(`attack: protobuf: ${name}: 4xx at once`, async () => {
      const started = process.hrtime.bigint();
      const answer = await protobufAsAdmin(server, body);
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      if (answer < 400 || answer > 499) throw new Error(`status ${answer}`);
      if (seconds > 10) throw new Error(`${seconds} s`);
    });
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

function protobufAsAdmin(server: AuthServer, body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`https://127.0.0.1:${server.port}`, {
      ca: server.pki.ca.certPem,
      cert: server.pki.admin.certPem,
      key: server.pki.admin.keyPem,
    });
    session.on('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/api/v1/namespaces/default/configmaps',
      'content-type': 'application/vnd.kubernetes.protobuf',
    });
    stream.on('response', (answer) => {
      resolve(Number(answer[':status']));
      session.destroy();
    });
    stream.on('error', reject);
    stream.end(body);
  });
}
