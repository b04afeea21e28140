import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { X509Certificate } from 'node:crypto';
import type { Clock } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import type { Pki } from '@pilothouse/host';
import { ensurePki, nodeClock, nodeRandom } from '@pilothouse/host';
import { MemoryObjectAccess } from '../security/memory-object-access.ts';
import { resources } from '../security/object-access.ts';
import { createAuthentication } from './authentication.ts';
import type { Authentication } from './config.ts';

const issuer = 'https://kubernetes.default.svc';
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'authentication-'));
let pki: Pki;
let offsetMs = 0;
const clock: Clock = {
  ...nodeClock,
  now: () => nodeClock.now() + offsetMs,
  monotonic: () => nodeClock.monotonic() + offsetMs,
};
/** After so long a token that was good is looked at again. */
const forgottenMs = 10_001;
let objects: MemoryObjectAccess;
let authentication: Authentication;

before(async () => {
  pki = await ensurePki(directory, { nodes: [{ name: 'n1' }] });
  objects = new MemoryObjectAccess();
  authentication = createAuthentication(
    {
      clientCaPem: pki.ca.certPem,
      requestHeader: {
        caPem: pki.frontProxyCa.certPem,
        allowedNames: ['front-proxy-client'],
        usernameHeaders: ['X-Remote-User'],
        groupHeaders: ['X-Remote-Group'],
        uidHeaders: ['X-Remote-Uid'],
        extraHeaderPrefixes: ['X-Remote-Extra-'],
      },
      tokenFile: 'alicetoken,alice,alice-uid,"golden-devs,golden-all"\nplaintoken,carol,carol-uid\n',
      serviceAccounts: {
        issuers: [issuer],
        keyPems: [pki.serviceAccount.publicPem],
        signingKeyPem: pki.serviceAccount.privatePem,
      },
      bootstrapTokens: true,
    },
    { clock, random: nodeRandom, objects, logger: silentLogger },
  );
});
after(() => fs.rmSync(directory, { recursive: true, force: true }));

const der = (pem: string): Uint8Array => new X509Certificate(pem).raw;
const bearer = (token: string) =>
  authentication.authenticator.authenticate({ headers: { authorization: `Bearer ${token}` } });
const unauthorized = (error: unknown): boolean =>
  (error as { status: { code: number; message: string } }).status.code === 401 &&
  (error as Error).message === 'Unauthorized';

test('a request without a credential, or with an empty or foreign one, is anonymous', async () => {
  for (const authorization of [undefined, 'Bearer', 'Bearer ', 'Basic YTpi']) {
    const result = await authentication.authenticator.authenticate({ headers: { authorization } });
    assert.deepEqual(result?.user, { name: 'system:anonymous', groups: ['system:unauthenticated'] });
  }
});

test('a token of the token file gives name, uid and groups', async () => {
  assert.deepEqual((await bearer('alicetoken'))?.user, {
    name: 'alice',
    uid: 'alice-uid',
    groups: ['golden-devs', 'golden-all', 'system:authenticated'],
  });
  assert.deepEqual((await bearer('plaintoken'))?.user.groups, ['system:authenticated']);
  await assert.rejects(bearer('badtoken'), unauthorized);
});

test('a client certificate gives common name and organizations', async () => {
  const result = await authentication.authenticator.authenticate({
    headers: {},
    tlsPeerCertificates: [der(pki.nodes.get('n1')?.certPem ?? '')],
  });
  assert.equal(result?.user.name, 'system:node:n1');
  assert.deepEqual(result?.user.groups, ['system:nodes', 'system:authenticated']);
  assert.match(
    result?.user.extra?.['authentication.kubernetes.io/credential-id']?.[0] ?? '',
    /^X509SHA256=[0-9a-f]{64}$/,
  );
});

test('a token among the subprotocols of a WebSocket is good and taken out', async () => {
  const carried = (token: string): string =>
    `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`;
  const ask = (protocols: string | string[]) =>
    authentication.authenticator.authenticate({
      headers: { upgrade: 'websocket', 'sec-websocket-protocol': protocols },
    });
  const result = await ask(`v5.channel.k8s.io, ${carried('plaintoken')},v4.channel.k8s.io`);
  assert.equal(result?.user.name, 'carol');
  assert.equal(result?.webSocketProtocols, 'v5.channel.k8s.io,v4.channel.k8s.io');
  await assert.rejects(ask(carried('plaintoken')), unauthorized);
  await assert.rejects(
    ask([carried('plaintoken'), carried('plaintoken'), 'v4.channel.k8s.io']),
    unauthorized,
  );
  await assert.rejects(ask(`${carried('plaintoken')}!, v4.channel.k8s.io`), unauthorized);
  assert.equal((await ask('v4.channel.k8s.io'))?.user.name, 'system:anonymous');
});

test('a certificate of another CA, or one that may only serve, is refused', async () => {
  for (const pem of [pki.storeClient.certPem, pki.apiServer.certPem]) {
    await assert.rejects(
      authentication.authenticator.authenticate({ headers: {}, tlsPeerCertificates: [der(pem)] }),
      unauthorized,
    );
  }
});

test('headers of a front proxy count only with its certificate', async () => {
  const headers = { 'x-remote-user': 'jane', 'x-remote-group': ['a', 'b'], 'x-remote-extra-scopes': 'view' };
  const trusted = await authentication.authenticator.authenticate({
    headers,
    tlsPeerCertificates: [der(pki.frontProxyClient.certPem)],
  });
  assert.deepEqual(trusted?.user, {
    name: 'jane',
    groups: ['a', 'b', 'system:authenticated'],
    extra: { scopes: ['view'] },
  });
  // One value is one group, whatever is in it; bytes are UTF-8.
  const comma = await authentication.authenticator.authenticate({
    headers: {
      'x-remote-user': Buffer.from('jürgen').toString('latin1'),
      'x-remote-group': 'a, system:masters',
    },
    tlsPeerCertificates: [der(pki.frontProxyClient.certPem)],
  });
  assert.deepEqual(comma?.user, {
    name: 'jürgen',
    groups: ['a, system:masters', 'system:authenticated'],
  });
  const other = await authentication.authenticator.authenticate({
    headers,
    tlsPeerCertificates: [der(pki.admin.certPem)],
  });
  assert.equal(other?.user.name, 'kubernetes-admin');
});

test('a ServiceAccount token is bound to its pod, expires, and tells both in extra', async () => {
  const account = objects.put(resources.serviceAccounts, { metadata: { name: 'default', namespace: 'ns' } });
  objects.put(resources.nodes, { metadata: { name: 'n1', uid: 'node-uid' } });
  objects.put(resources.pods, {
    metadata: { name: 'p', namespace: 'ns', uid: 'pod-uid' },
    spec: { serviceAccountName: 'default', nodeName: 'n1' },
  });
  const answer = await authentication.issueToken(account, {
    metadata: {},
    spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' } },
  });
  assert.deepEqual(answer['spec'].audiences, [issuer]);
  assert.equal(answer['spec'].expirationSeconds, 3600);
  const token = answer['status'].token as string;
  const result = await bearer(token);
  assert.equal(result?.user.name, 'system:serviceaccount:ns:default');
  assert.equal(result?.user.uid, account.metadata.uid);
  assert.deepEqual(result?.user.groups, [
    'system:serviceaccounts',
    'system:serviceaccounts:ns',
    'system:authenticated',
  ]);
  const { 'authentication.kubernetes.io/credential-id': id, ...extra } = result?.user.extra ?? {};
  assert.match(id?.[0] ?? '', /^JTI=[0-9a-f-]{36}$/);
  assert.deepEqual(extra, {
    'authentication.kubernetes.io/node-name': ['n1'],
    'authentication.kubernetes.io/node-uid': ['node-uid'],
    'authentication.kubernetes.io/pod-name': ['p'],
    'authentication.kubernetes.io/pod-uid': ['pod-uid'],
  });
  offsetMs = 3_601_000;
  const expired = await authentication.reviewToken({ metadata: {}, spec: { token } });
  assert.equal(expired['status'].error, '[invalid bearer token, service account token has expired]');
  objects.remove(resources.pods, 'ns', 'p');
  offsetMs = forgottenMs;
  await assert.rejects(bearer(token), unauthorized);
  offsetMs = 0;
});

test('a forged token and one for another audience are refused', async () => {
  const account = objects.put(resources.serviceAccounts, { metadata: { name: 'a', namespace: 'ns' } });
  const made = await authentication.issueToken(account, {
    metadata: {},
    spec: { audiences: ['vault'], expirationSeconds: 600 },
  });
  const token = made['status'].token as string;
  await assert.rejects(bearer(token), unauthorized);
  const review = await authentication.reviewToken({
    metadata: {},
    spec: { token, audiences: ['vault', 'x'] },
  });
  assert.deepEqual(review['status'].audiences, ['vault']);
  const [head, payload, signature] = token.split('.') as [string, string, string];
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  const forged = Buffer.from(JSON.stringify({ ...claims, aud: [issuer] })).toString('base64url');
  await assert.rejects(bearer(`${head}.${forged}.${signature}`), unauthorized);
});

test('a lifetime under ten minutes is invalid', async () => {
  const account = objects.put(resources.serviceAccounts, { metadata: { name: 'b', namespace: 'ns' } });
  await assert.rejects(
    authentication.issueToken(account, { metadata: {}, spec: { expirationSeconds: 599 } }),
    /may not specify a duration less than 10 minutes/,
  );
});

test('the token of the standard volume outlives the time it announces', async () => {
  const account = objects.put(resources.serviceAccounts, { metadata: { name: 'c', namespace: 'ns' } });
  objects.put(resources.pods, {
    metadata: { name: 'q', namespace: 'ns' },
    spec: { serviceAccountName: 'c' },
  });
  const made = await authentication.issueToken(account, {
    metadata: {},
    spec: { expirationSeconds: 3607, boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'q' } },
  });
  const payload = (made['status'].token as string).split('.')[1] as string;
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  assert.equal(claims.exp - claims.iat, 365 * 24 * 3600);
  assert.equal(claims['kubernetes.io'].warnafter - claims.iat, 3607);
  const token = made['status'].token as string;
  assert.equal((await bearer(token))?.auditAnnotations, undefined);
  offsetMs += 3_617_000;
  const late = await bearer(token);
  offsetMs -= 3_617_000;
  assert.match(
    late?.auditAnnotations?.['authentication.k8s.io/stale-token'] ?? '',
    /^subject: system:serviceaccount:ns:c, seconds after warning threshold: (9|10|11)$/,
  );
});

test('a bootstrap token works while its secret says so', async () => {
  const data = (fields: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    );
  const put = (expiration: string) =>
    objects.put(resources.secrets, {
      metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system' },
      type: 'bootstrap.kubernetes.io/token',
      data: data({
        'token-id': 'abcdef',
        'token-secret': '0123456789abcdef',
        expiration,
        'usage-bootstrap-authentication': 'true',
        'auth-extra-groups': 'system:bootstrappers:workers',
      }),
    });
  put('2999-01-01T00:00:00Z');
  const result = await bearer('abcdef.0123456789abcdef');
  assert.equal(result?.user.name, 'system:bootstrap:abcdef');
  assert.deepEqual(result?.user.groups, [
    'system:bootstrappers',
    'system:bootstrappers:workers',
    'system:authenticated',
  ]);
  put('2001-01-01T00:00:00Z');
  offsetMs = forgottenMs;
  await assert.rejects(bearer('abcdef.0123456789abcdef'), unauthorized);
  offsetMs = 0;
});

test('TokenReview answers what stock servers answer', async () => {
  const review = (spec: object) => authentication.reviewToken({ metadata: {}, spec });
  assert.deepEqual((await review({ token: 'alicetoken' }))['status'], {
    authenticated: true,
    user: {
      username: 'alice',
      uid: 'alice-uid',
      groups: ['golden-devs', 'golden-all', 'system:authenticated'],
    },
    audiences: [issuer],
  });
  assert.deepEqual((await review({ token: 'bad' }))['status'], { user: {}, error: 'invalid bearer token' });
  assert.deepEqual((await review({ token: 'alicetoken', audiences: ['x'] }))['status'], {
    user: {},
    error: 'invalid bearer token',
  });
  await assert.rejects(review({ token: '' }), /token is required for TokenReview in authentication/);
});

test('discovery documents name issuer and keys', () => {
  const configuration = JSON.parse(authentication.openIdConfiguration() ?? '{}');
  assert.equal(configuration.issuer, issuer);
  const { keys } = JSON.parse(authentication.jsonWebKeySet());
  assert.equal(keys[0].alg, 'ES256');
  assert.equal(keys[0].kty, 'EC');
});
