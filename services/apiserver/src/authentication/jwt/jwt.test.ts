import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { SignJWT, UnsecuredJWT } from 'jose';
import { parseAuthenticationConfiguration, authenticatorOfFlags } from './configuration.ts';
import { jwtAuthenticator } from './jwt-authenticator.ts';
import { StructuredTokens } from './structured-tokens.ts';
import type { TestingProvider } from './testing-provider.ts';
import { startTestingProvider } from './testing-provider.ts';

let provider: TestingProvider;
let offsetMs = 0;
const clock: Clock = { ...nodeClock, monotonic: () => nodeClock.monotonic() + offsetMs };
before(async () => {
  provider = await startTestingProvider('kubernetes');
});
after(() => provider.close());

const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n';
const indented = (pem: string): string => pem.trim().replaceAll('\n', '\n        ');
const issuerYaml = (audiences = '[kubernetes]'): string => `jwt:
  - issuer:
      url: ${provider.issuer}
      audiences: ${audiences}
      audienceMatchPolicy: MatchAny
      certificateAuthority: |
        ${indented(provider.caPem)}
`;
function authenticator(mappings: string, audiences?: string) {
  const parsed = parseAuthenticationConfiguration(head + issuerYaml(audiences) + mappings, []);
  const { config, programs } = parsed.jwt[0] as (typeof parsed.jwt)[0];
  return jwtAuthenticator(config, programs, { clock, logger: silentLogger });
}

const byClaims = `    claimMappings:
      username: {claim: sub, prefix: "oidc:"}
      groups: {claim: groups, prefix: "oidc:"}
      uid: {claim: uid}
`;
const byExpressions = `    claimValidationRules:
      - claim: hd
        requiredValue: example.org
      - expression: 'claims.exp - claims.nbf <= 86400'
        message: total token lifetime must not exceed 24 hours
    claimMappings:
      username: {expression: '"ext:" + claims.preferred_username'}
      groups: {expression: 'claims.roles.split(",")'}
      uid: {expression: 'claims.sub'}
      extra:
        - {key: example.org/tenant, valueExpression: claims.tenant}
        - {key: example.org/none, valueExpression: 'claims.?nothing.orValue([])'}
    userValidationRules:
      - expression: "!user.username.startsWith('ext:system:')"
        message: username cannot used reserved system prefix
      - expression: "user.groups.all(group, !group.startsWith('system:'))"
        message: groups cannot used reserved system prefix
`;

test('claims become user, groups, uid and credential id', async () => {
  const tokens = authenticator(byClaims);
  const token = await provider.token({ sub: 'jane', groups: ['a', 'b'], uid: 'u1', jti: 'id-7' });
  assert.deepEqual(await tokens.authenticateToken(token, []), {
    user: {
      name: 'oidc:jane',
      uid: 'u1',
      groups: ['oidc:a', 'oidc:b'],
      extra: { 'authentication.kubernetes.io/credential-id': ['JTI=id-7'] },
    },
  });
  const alone = await provider.token({ sub: 'jane', groups: 'only', uid: 'u1' });
  assert.deepEqual((await tokens.authenticateToken(alone, []))?.user.groups, ['oidc:only']);
  const without = await provider.token({ sub: 'jane', uid: 'u1' });
  assert.deepEqual((await tokens.authenticateToken(without, []))?.user.groups, []);
});

test('expressions map claims, and rules over claims and user refuse', async () => {
  const tokens = authenticator(byExpressions);
  const nowSeconds = Math.floor(nodeClock.now() / 1000);
  const claims = {
    sub: 's1',
    preferred_username: 'jane',
    roles: 'dev,ops',
    tenant: 't1',
    hd: 'example.org',
    nbf: nowSeconds,
  };
  const ask = async (more: Record<string, unknown>) =>
    tokens.authenticateToken(await provider.token({ ...claims, ...more }), []);
  assert.deepEqual((await ask({}))?.user, {
    name: 'ext:jane',
    uid: 's1',
    groups: ['dev', 'ops'],
    extra: { 'example.org/tenant': ['t1'] },
  });
  const refusals: [Record<string, unknown>, RegExp][] = [
    [{ hd: 'other.org' }, /required claim hd value does not match. Got = other.org, want = example.org/],
    [{ hd: undefined }, /required claim hd not present in ID token/],
    [{ exp: nowSeconds + 90_000 }, /total token lifetime must not exceed 24 hours/],
    [{ preferred_username: 'system:admin' }, /failed: username cannot used reserved system prefix/],
    [{ roles: 'dev,system:masters' }, /failed: groups cannot used reserved system prefix/],
    [{ preferred_username: 7 }, /error evaluating username claim expression/],
    [{ roles: undefined }, /error evaluating group claim expression: no such key: roles/],
  ];
  for (const [more, message] of refusals) await assert.rejects(ask(more), message);
});

test('groups that a token leaves to others are fetched there, and verified', async () => {
  const tokens = authenticator(byClaims);
  const from = (path: string, source: object = {}) =>
    provider.token({
      sub: 'jane',
      uid: 'u',
      _claim_names: { groups: 'src' },
      _claim_sources: {
        src: { endpoint: `${provider.issuer}${path}`, access_token: 'open-sesame', ...source },
      },
    });
  const groupsOf = async (token: string) => (await tokens.authenticateToken(token, []))?.user.groups;
  provider.documents.set('/groups', await provider.token({ groups: ['far', 'away'] }));
  assert.deepEqual(await groupsOf(await from('/groups')), ['oidc:far', 'oidc:away']);
  assert.equal(provider.lastAuthorization(), 'Bearer open-sesame');
  assert.deepEqual(
    await groupsOf(await from('/groups', { endpoint: '' })),
    [],
    'an aggregated claim is passed over',
  );
  assert.deepEqual(
    await groupsOf(
      await provider.token({ sub: 'jane', uid: 'u', groups: ['near'], _claim_names: { groups: 'src' } }),
    ),
    ['oidc:near'],
  );
  const refused = async (token: string, text: RegExp) =>
    assert.rejects(tokens.authenticateToken(token, []), text);
  provider.documents.set('/none', await provider.token({ other: ['x'] }));
  await refused(await from('/none'), /did not contain claim: groups/);
  provider.documents.set('/old', await provider.token({ groups: ['x'], exp: 1 }));
  await refused(await from('/old'), /verify distributed claim token: token is expired/);
  provider.documents.set('/foreign', await provider.token({ groups: ['x'], aud: 'another' }));
  await refused(await from('/foreign'), /verify distributed claim token: oidc: expected audience/);
  const [head, , signature] = (await provider.token({ groups: ['x'] })).split('.') as [
    string,
    string,
    string,
  ];
  const claims = Buffer.from(JSON.stringify({ iss: provider.issuer, groups: ['system:masters'] })).toString(
    'base64url',
  );
  provider.documents.set('/forged', `${head}.${claims}.${signature}`);
  await refused(await from('/forged'), /failed to verify signature/);
  provider.documents.set('/text', 'no token');
  await refused(await from('/text'), /getting untrusted issuer/);
  await refused(await from('', { endpoint: 'http://localhost/groups' }), /must be an https URL/);
  await refused(
    await provider.token({ sub: 'jane', uid: 'u', _claim_names: { groups: 'src' } }),
    /no claim sources/,
  );
  await refused(
    await provider.token({ sub: 'jane', uid: 'u', _claim_names: { groups: 'src' }, _claim_sources: {} }),
    /contained a source src missing/,
  );
  tokens.close();
});

test('tokens that are forged, old, or for others are refused', async () => {
  const tokens = authenticator(byClaims, '[kubernetes, second]');
  const claims = { sub: 'jane', uid: 'u1' };
  const now = Math.floor(nodeClock.now() / 1000);
  const of = async (more: Record<string, unknown>) => provider.token({ ...claims, ...more });
  const good = await of({});
  const [header, payload, signature] = good.split('.') as [string, string, string];
  const other = Buffer.from(
    JSON.stringify({ ...claims, iss: provider.issuer, aud: 'kubernetes', exp: now + 99, sub: 'root' }),
  ).toString('base64url');
  const confused = await new SignJWT({ ...claims, iss: provider.issuer, aud: 'kubernetes', exp: now + 99 })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(provider.publicPem()));
  const unsigned = new UnsecuredJWT({
    ...claims,
    iss: provider.issuer,
    aud: 'kubernetes',
    exp: now + 99,
  }).encode();
  const foreign = await startTestingProvider('kubernetes');
  const bySomebody = await foreign.token({ ...claims, iss: provider.issuer });
  foreign.close();
  const refusals: [string, RegExp][] = [
    [`${header}.${other}.${signature}`, /failed to verify id token signature/],
    [`${header}.${payload}.${signature.slice(0, -4)}AAAA`, /failed to verify id token signature/],
    [bySomebody, /failed to verify id token signature/],
    [confused, /unsupported algorithm/],
    [unsigned, /unsupported algorithm/],
    [await provider.token(claims, { kid: '../../keys' }), /failed to verify id token signature/],
    [await of({ exp: now - 1 }), /token is expired/],
    [await of({ exp: 'never' }), /token is expired/],
    [await of({ exp: undefined }), /token is expired/],
    [await of({ nbf: now + 600 }), /before the nbf/],
    [await of({ aud: 'others' }), /oidc: expected audience in \["kubernetes" "second"\] got \["others"\]/],
    [await of({ aud: [] }), /expected audience/],
    [await of({ sub: undefined }), /parse username claims "sub": claim not present/],
  ];
  assert.equal((await tokens.authenticateToken(good, []))?.user.name, 'oidc:jane');
  for (const [token, message] of refusals) await assert.rejects(tokens.authenticateToken(token, []), message);
  const elsewhere = await of({ iss: 'https://elsewhere.example' });
  assert.equal(await tokens.authenticateToken(elsewhere, []), undefined);
  assert.equal((await tokens.authenticateToken(await of({ aud: 'second' }), []))?.user.name, 'oidc:jane');
});

test('a new key of the provider is learned, the old one forgotten, and bad tokens do not flood the provider', async () => {
  const tokens = authenticator(byClaims);
  const old = await provider.token({ sub: 'jane', uid: 'u1' });
  assert.ok(await tokens.authenticateToken(old, []));
  const askedBefore = provider.keyRequests();
  for (let index = 0; index < 20; index++) {
    await assert.rejects(tokens.authenticateToken(`${old.slice(0, -4)}AAAA`, []));
  }
  assert.ok(provider.keyRequests() - askedBefore <= 1, 'one question in a second');
  await provider.rotate();
  const young = await provider.token({ sub: 'jane', uid: 'u1' });
  offsetMs += 1001;
  assert.equal((await tokens.authenticateToken(young, []))?.user.name, 'oidc:jane');
  await assert.rejects(tokens.authenticateToken(old, []), /failed to verify/);
});

test('a mail address that the provider did not verify is no name', async () => {
  const tokens = authenticator('    claimMappings: {username: {claim: email, prefix: ""}}\n');
  const ask = async (claims: Record<string, unknown>) =>
    (await tokens.authenticateToken(await provider.token(claims), []))?.user.name;
  assert.equal(await ask({ email: 'a@b.c', email_verified: true }), 'a@b.c');
  assert.equal(await ask({ email: 'a@b.c' }), 'a@b.c');
  await assert.rejects(ask({ email: 'a@b.c', email_verified: false }), /oidc: email not verified/);
});

test('what is wrong with a configuration is told, all at once', () => {
  const issuer = 'jwt:\n  - issuer: {url: "https://a.example", audiences: [x]}\n    claimMappings: ';
  const cases: [string, string | RegExp][] = [
    ['', /empty config data$/],
    ['kind: Pod\napiVersion: v1', /no kind "Pod" is registered for version "v1"/],
    [`${head}jwts: []`, 'strict decoding error: unknown field "jwts"'],
    [`${head}jwt: [{issuer: {urll: x}}]`, 'strict decoding error: unknown field "jwt[0].issuer.urll"'],
    [
      `${head}jwt: [{issuer: {url: "http://a"}}]`,
      '[jwt[0].issuer.url: Invalid value: "http://a": URL scheme must be https, jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required, jwt[0].claimMappings.username: Required value: claim or expression is required]',
    ],
    [
      `${head}${issuer}{username: {claim: sub}}`,
      'jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing',
    ],
    [
      `${head}${issuer}{username: {expression: claims.email}}`,
      /claims.email_verified must be used in claimMappings.username.expression/,
    ],
    [
      `${head}${issuer}{username: {expression: "claims."}}`,
      /expression: Invalid value: "claims.": compilation failed/,
    ],
    [
      `${head}${issuer}{username: {expression: claims.sub}, extra: [{key: "x.kubernetes.io/a", valueExpression: "''"}]}`,
      /k8s.io, kubernetes.io and their subdomains are reserved/,
    ],
    [
      `${head}${issuer}{username: {expression: claims.sub}}\n    userValidationRules: [{expression: "user.username"}]`,
      'jwt[0].userValidationRules[0].expression: Invalid value: "user.username": must evaluate to bool',
    ],
    [
      `${head}${issuer}{username: {expression: claims.sub}}\n  - issuer: {url: "https://a.example", audiences: [x]}\n    claimMappings: {username: {expression: claims.sub}}`,
      'jwt[1].issuer.url: Duplicate value: "https://a.example"',
    ],
    [
      `${head}jwt: [{issuer: {url: "https://own", audiences: [x]}, claimMappings: {username: {expression: claims.sub}}}]`,
      'jwt[0].issuer.url: Invalid value: "https://own": URL must not overlap with disallowed issuers: [https://own]',
    ],
    [
      `${head}anonymous: {enabled: false, conditions: [{path: /x}]}`,
      /enabled should be set to true when conditions are defined/,
    ],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => parseAuthenticationConfiguration(text, ['https://own']),
      typeof message === 'string' ? { message } : message,
      text,
    );
  }
});

test('the --oidc flags tell names apart by their issuer, unless told otherwise', () => {
  const flags = {
    issuerUrl: 'https://a.example',
    clientId: 'c',
    usernameClaim: 'sub',
    usernamePrefix: '',
    groupsClaim: 'g',
    groupsPrefix: '',
    requiredClaims: { hd: 'x' },
    signingAlgorithms: ['RS256'],
  };
  const prefixOf = (more: object): string | undefined =>
    authenticatorOfFlags({ ...flags, ...more }, []).config.claimMappings.username.prefix;
  assert.equal(prefixOf({}), 'https://a.example#');
  assert.equal(prefixOf({ usernamePrefix: '-' }), '');
  assert.equal(prefixOf({ usernamePrefix: 'o:' }), 'o:');
  assert.equal(prefixOf({ usernameClaim: 'email' }), '');
});

test('audiences of the API server are those of a provider’s token', async () => {
  const text = head + issuerYaml() + byClaims;
  const tokens = new StructuredTokens(
    { file: { file: 'f', text }, serviceAccountIssuers: [], apiAudiences: ['api'] },
    { clock, logger: silentLogger, onChange() {} },
  );
  const token = await provider.token({ sub: 'jane', uid: 'u1' });
  assert.deepEqual((await tokens.authenticateToken(token, ['api', 'x']))?.audiences, ['api']);
  assert.equal(await tokens.authenticateToken(token, ['x']), undefined);
});
