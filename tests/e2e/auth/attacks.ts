import { generateKeyPairSync, randomBytes } from 'node:crypto';
import tls from 'node:tls';
import { createAuthority, createSigningRequest, issueCertificate } from '@pilothouse/host';
import type { Checks } from '../checks.ts';
import type { AuthServer } from './server.ts';
import { expectAnswer, staticToken } from './server.ts';
import { forge } from './tokens.ts';

const dayMs = 86_400_000;
const rbac = '/apis/rbac.authorization.k8s.io/v1';
/** Longer than the server waits for the headers of a request. */
const slowClientMs = 45_000;

/** What must not work, with the status that says so. */
export async function attacks(checks: Checks, server: AuthServer): Promise<void> {
  const { pki } = server;
  const check = (name: string, body: () => Promise<void>) => checks.check(`attack: ${name}`, body);
  await server.admin('/api/v1/namespaces/default/serviceaccounts', {
    method: 'POST',
    body: { metadata: { name: 'target' } },
  });
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  const issued = await server.admin(`${accounts}/target/token`, {
    method: 'POST',
    body: { spec: { expirationSeconds: 600 } },
  });
  const good = (issued.body['status'] as { token: string }).token;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const foreignKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const isRsa = JSON.parse(Buffer.from(good.split('.')[0] as string, 'base64url').toString()) as {
    alg: string;
  };
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const forged = await forge(
    server,
    good,
    isRsa.alg === 'RS256' ? foreignKeyPem : (ec.export({ type: 'pkcs8', format: 'pem' }) as string),
  );
  const now = Math.floor(Date.now() / 1000);
  await check('the good token works (so the others fail for their own reason)', async () =>
    expectAnswer(await server.ask('/api/v1/namespaces/default/pods', { token: good }), 403, /target/),
  );
  const badTokens: [string, string][] = [
    ['a token without a signature (alg none)', forged.unsigned],
    ['a token signed with the public key as HMAC secret', forged.confused],
    ['claims changed under an old signature', forged.altered],
    ['a token of a foreign key under a known key id', forged.foreign],
    ['a key id that is a path', `${await forged.signed({}, { kid: '../../../dev/null' })}x`],
    ['an expired token', await forged.signed({ exp: now - 1 })],
    ['a token that is not valid yet', await forged.signed({ nbf: now + 900 })],
    ['a token for another audience', await forged.signed({ aud: ['https://elsewhere.example'] })],
    ['a token of another issuer', await forged.signed({ iss: 'https://elsewhere.example' })],
    [
      'a token of a deleted account',
      await forged.signed({
        'kubernetes.io': {
          namespace: 'default',
          serviceaccount: { name: 'target', uid: '00000000-0000-0000-0000-000000000000' },
        },
      }),
    ],
    [
      'a token bound to a pod that is gone',
      await forged.signed({
        'kubernetes.io': {
          ...(
            JSON.parse(Buffer.from(good.split('.')[1] as string, 'base64url').toString()) as Record<
              string,
              object
            >
          )['kubernetes.io'],
          pod: { name: 'gone', uid: '1' },
        },
      }),
    ],
    ['a prefix of a static token', staticToken.slice(0, -1)],
    ['a bootstrap token that nobody made', 'abcdef.0123456789abcdef'],
  ];
  for (const [name, token] of badTokens)
    await check(`${name}: 401`, async () =>
      expectAnswer(await server.ask('/api/v1/namespaces', { token }), 401, /"message":\s*"Unauthorized"/),
    );

  const nowMs = Date.now();
  const rogue = await createAuthority('kubernetes', nowMs - dayMs, nowMs + dayMs);
  const certificate = (
    authority: Parameters<typeof issueCertificate>[0],
    more: Partial<Parameters<typeof issueCertificate>[1]>,
  ) =>
    issueCertificate(authority, {
      commonName: 'root',
      organizations: ['system:masters'],
      usage: 'client',
      notBefore: nowMs - dayMs,
      notAfter: nowMs + dayMs,
      ...more,
    });
  const badCertificates: [string, { certPem: string; keyPem: string }][] = [
    ['a certificate of another CA of the same name', await certificate(rogue, {})],
    ['an expired certificate', await certificate(pki.ca, { notAfter: nowMs - 1000 })],
    ['a certificate that may only serve', await certificate(pki.ca, { usage: 'server', hosts: ['x'] })],
    ['a certificate of the front proxies without headers', pki.frontProxyClient],
  ];
  for (const [name, cert] of badCertificates)
    await check(`${name}: 401`, async () =>
      expectAnswer(await server.ask('/api/v1/namespaces', { cert }), 401),
    );

  const smuggled = { 'X-Remote-User': 'root', 'X-Remote-Group': 'system:masters' };
  await check('X-Remote-User without a certificate: still nobody', async () =>
    expectAnswer(await server.ask('/api/v1/secrets', { headers: smuggled }), 401),
  );
  await check('X-Remote-User beside a token: the token counts', async () =>
    expectAnswer(
      await server.ask('/api/v1/secrets', { headers: smuggled, token: staticToken }),
      403,
      /User \\"alice\\" cannot list resource \\"secrets\\"/,
    ),
  );
  await check('X-Remote-User with a client certificate: the certificate counts', async () => {
    const cert = await certificate(pki.ca, { commonName: 'carl', organizations: [] });
    expectAnswer(await server.ask('/api/v1/secrets', { headers: smuggled, cert }), 403, /User \\"carl\\"/);
  });
  await check('X-Remote-User by a front proxy of another name: 401', async () => {
    const cert = await certificate(pki.frontProxyCa, { commonName: 'other-proxy', organizations: [] });
    expectAnswer(await server.ask('/api/v1/secrets', { headers: smuggled, cert }), 401);
  });
  await check('X_Remote_User (underscores): nobody, also by a front proxy', async () => {
    const headers = { X_Remote_User: 'root', X_Remote_Group: 'system:masters' };
    expectAnswer(await server.ask('/api/v1/secrets', { headers, cert: pki.frontProxyClient }), 401);
  });

  const asAlice = (target: string, body: unknown, headers: Record<string, string | string[]> = {}) =>
    server.ask(target, { method: body === undefined ? 'GET' : 'POST', token: staticToken, body, headers });
  await check('impersonation without the right: 403', async () => {
    for (const headers of [
      { 'Impersonate-User': 'kubernetes-admin' },
      { 'Impersonate-User': 'alice', 'Impersonate-Group': 'system:masters' },
      { 'Impersonate-User': 'alice', 'Impersonate-Uid': 'other' },
      { 'Impersonate-User': 'alice', 'Impersonate-Extra-scopes': 'all' },
      { 'Impersonate-User': 'system:serviceaccount:kube-system:default' },
      { 'Impersonate-User': 'system:node:n1' },
    ])
      expectAnswer(
        await asAlice('/api/v1/secrets', undefined, headers as Record<string, string>),
        403,
        /cannot impersonate/,
      );
  });
  await check('impersonation headers without a user: refused', async () =>
    expectAnswer(
      await asAlice('/api/v1/secrets', undefined, { 'Impersonate-Group': 'system:masters' }),
      400,
      /without impersonating a user name/,
    ),
  );

  // Alice may write RBAC objects from here on, and nothing else.
  const right = (name: string, rules: object[]) =>
    server.admin(`${rbac}/clusterroles`, { method: 'POST', body: { metadata: { name }, rules } });
  await right('rbac-writer', [
    {
      apiGroups: ['rbac.authorization.k8s.io'],
      resources: ['*'],
      verbs: ['create', 'update', 'patch', 'get', 'list'],
    },
    {
      apiGroups: ['certificates.k8s.io'],
      resources: ['certificatesigningrequests'],
      verbs: ['create', 'get', 'update'],
    },
  ]);
  const admins = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
  await server.admin(`${rbac}/clusterrolebindings`, {
    method: 'POST',
    body: {
      metadata: { name: 'alice-rbac' },
      roleRef: { ...admins, name: 'rbac-writer' },
      subjects: [{ kind: 'User', apiGroup: admins.apiGroup, name: 'alice' }],
    },
  });
  const subjects = [{ kind: 'User', apiGroup: admins.apiGroup, name: 'alice' }];
  await checks.check(
    'attack: a role with more than its writer holds: 403',
    async () =>
      expectAnswer(
        await asAlice(`${rbac}/namespaces/default/roles`, {
          metadata: { name: 'r' },
          rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['*'] }],
        }),
        403,
        /attempting to grant RBAC permissions not currently held/,
      ),
    5000,
  );
  await check('a binding to cluster-admin: 403', async () => {
    const answer = await asAlice(`${rbac}/clusterrolebindings`, {
      metadata: { name: 'b' },
      roleRef: admins,
      subjects,
    });
    expectAnswer(answer, 403, /attempting to grant RBAC permissions not currently held/);
  });
  await check('an aggregated cluster role that would collect everything: 403', async () => {
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { any: 'thing' } }] };
    const answer = await asAlice(`${rbac}/clusterroles`, { metadata: { name: 'c' }, aggregationRule });
    expectAnswer(answer, 403, /must have cluster-admin privileges to use the aggregationRule/);
  });
  await check('adding a rule to a role by patch: 403', async () => {
    const answer = await server.ask(`${rbac}/clusterroles/rbac-writer`, {
      method: 'PATCH',
      token: staticToken,
      headers: { 'content-type': 'application/json-patch+json' },
      body: [{ op: 'add', path: '/rules/-', value: { apiGroups: ['*'], resources: ['*'], verbs: ['*'] } }],
    });
    expectAnswer(answer, 403, /attempting to grant RBAC permissions not currently held/);
  });

  const csrs = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const { requestPem } = await createSigningRequest('root', ['system:masters']);
  const csr = (name: string) => ({
    metadata: { name },
    spec: {
      request: Buffer.from(requestPem).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client',
      usages: ['client auth'],
    },
  });
  await check('a signing request for system:masters: 403', async () =>
    expectAnswer(await asAlice(csrs, csr('masters')), 403, /system:masters/),
  );
  await check('approving a signing request without the right: 403', async () => {
    const plain = await createSigningRequest('alice2', []);
    const created = await asAlice(csrs, {
      metadata: { name: 'mine' },
      spec: { ...csr('mine').spec, request: Buffer.from(plain.requestPem).toString('base64') },
    });
    expectAnswer(created, 201);
    const answer = await server.ask(`${csrs}/mine/approval`, {
      method: 'PUT',
      token: staticToken,
      body: { ...created.body, status: { conditions: [{ type: 'Approved', status: 'True', reason: 'x' }] } },
    });
    expectAnswer(answer, 403);
  });
  await check('a token for an account that is not one’s own: 403', async () =>
    expectAnswer(
      await asAlice(`${accounts}/target/token`, { spec: {} }),
      403,
      /cannot create resource \\"serviceaccounts\/token\\"/,
    ),
  );
  await check('a node that asks for a token of a pod elsewhere: 403', async () => {
    const cert = await certificate(pki.ca, { commonName: 'system:node:n1', organizations: ['system:nodes'] });
    const answer = await server.ask(`${accounts}/target/token`, {
      method: 'POST',
      cert,
      body: { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: 'u' } } },
    });
    expectAnswer(answer, 403);
    expectAnswer(await server.ask('/api/v1/namespaces/default/secrets/x', { cert }), 403);
  });

  await check('both Content-Length and Transfer-Encoding: 400 or no answer', async () => {
    const text = await raw(
      server,
      'POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n',
      5000,
    );
    if (text !== '' && !/^HTTP\/1\.1 400/.test(text)) throw new Error(text.slice(0, 300));
    if ((text.match(/HTTP\/1\.1/g) ?? []).length > 1) throw new Error('the second request was answered');
  });
  await check('300 guesses of a token: all 401, and the server goes on', async () => {
    const started = process.hrtime.bigint();
    for (let round = 0; round < 15; round++) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          server.ask('/api/v1/namespaces', {
            token: `${staticToken.slice(0, -6)}${randomBytes(3).toString('hex')}`,
          }),
        ),
      );
      for (const answer of answers) expectAnswer(answer, 401);
    }
    expectAnswer(await server.admin('/api/v1/namespaces'), 200);
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;
    process.stdout.write(`        300 guesses took ${seconds.toFixed(1)} s\n`);
  });
  await check(
    '20 clients that never finish their headers are cut off, others are served meanwhile',
    async () => {
      const slow = Array.from({ length: 20 }, () =>
        raw(server, 'GET /readyz HTTP/1.1\r\nHost: x\r\nX-Slow: ', slowClientMs),
      );
      expectAnswer(await server.admin('/api/v1/namespaces'), 200);
      const answers = await Promise.all(slow);
      for (const text of answers) if (text === 'still open') throw new Error('a slow client was not cut off');
    },
  );
  await check('no credential in the log', async () => {
    const log = server.log();
    for (const secret of [good, staticToken, forged.confused, forged.altered, good.split('.')[2] as string])
      if (log.includes(secret)) throw new Error('the log has a credential');
    if (/-----BEGIN [A-Z ]*PRIVATE KEY/.test(log)) throw new Error('the log has a key');
  });
}

/** What the server says to these bytes until it closes; `still open` after `waitMs`. */
export function raw(server: AuthServer, bytes: string, waitMs: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = tls.connect({
      host: '127.0.0.1',
      port: server.port,
      ca: server.pki.ca.certPem,
      ALPNProtocols: ['http/1.1'],
    });
    const timer = setTimeout(() => {
      socket.destroy();
      resolve(text === '' ? 'still open' : text);
    }, waitMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.once('secureConnect', () => socket.write(bytes));
    socket.on('data', (piece: Buffer) => (text += piece.toString()));
    socket.on('error', done);
    socket.on('close', done);
  });
}
