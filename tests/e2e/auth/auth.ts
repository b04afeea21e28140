import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { issueCertificate } from '@pilothouse/host';
import type { Checks } from '../checks.ts';
import { attacks } from './attacks.ts';
import { kubectlSessions } from './kubectl-sessions.ts';
import type { OidcProvider } from './provider.ts';
import { clientId, otherClientId, startProvider } from './provider.ts';
import type { AuthServer } from './server.ts';
import { expectAnswer, prepareServer, startServer } from './server.ts';
import type { Webhooks } from './webhooks.ts';
import { startWebhooks, webhookToken } from './webhooks.ts';

const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const reloadMs = 10_000;

/** Real identity providers, real webhooks, kubectl, and attackers against one API server. Ports from `port` on. */
export async function auth(checks: Checks, kubectl: string, port: number): Promise<void> {
  const prepared = await prepareServer();
  const { pki, directory } = prepared;
  const nowMs = Date.now();
  const local = await issueCertificate(pki.ca, {
    commonName: 'local',
    hosts: ['localhost', '127.0.0.1'],
    usage: 'server',
    notBefore: nowMs - 60_000,
    notAfter: nowMs + 3_600_000,
  });
  const caFile = path.join(pki.directory, 'ca.crt');
  const provider = await startProvider(port + 1, local, pki.ca.certPem);
  const webhooks = await startWebhooks(
    directory,
    port + 2,
    local,
    pki.apiServerKubeletClient,
    caFile,
    pki.ca.certPem,
  );
  const authentication = path.join(directory, 'authentication.yaml');
  const authorization = path.join(directory, 'authorization.yaml');
  writeFileSync(authentication, authenticationConfig(provider.issuer, pki.ca.certPem, 'oidc:'));
  writeFileSync(authorization, authorizationConfig(webhooks.kubeconfig, 'Deny'));
  let server: AuthServer | undefined;
  try {
    server = await startServer(prepared, port, [
      `--authentication-config=${authentication}`,
      `--authorization-config=${authorization}`,
      `--authentication-token-webhook-config-file=${webhooks.kubeconfig}`,
      '--authentication-token-webhook-version=v1',
      '--authentication-token-webhook-cache-ttl=2s',
    ]);
    await openId(checks, server, provider, authentication);
    await hooks(checks, server, webhooks, authorization);
    await anonymous(checks, server);
    await kubectlSessions(checks, server, kubectl);
    await attacks(checks, server);
  } finally {
    await provider.close();
    await webhooks.stop();
    await server?.close();
  }
}

function authenticationConfig(issuer: string, caPem: string, prefix: string): string {
  return `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer:
      url: ${issuer}
      audiences: [${clientId}]
      certificateAuthority: |
        ${caPem.trim().replaceAll('\n', '\n        ')}
    claimValidationRules:
      - expression: claims.email_verified == true
        message: the address is not verified
    claimMappings:
      username: {expression: '"${prefix}" + claims.email'}
      groups: {expression: claims.groups}
      uid: {claim: sub}
      extra: [{key: example.org/tenant, valueExpression: claims.tenant}]
    userValidationRules:
      - expression: "user.groups.all(group, !group.startsWith('system:'))"
        message: groups of the system are not the provider's to give
anonymous:
  enabled: true
  conditions: [{path: /livez}, {path: /readyz}, {path: /healthz}]
`;
}

function authorizationConfig(kubeconfig: string, failurePolicy: string): string {
  return `apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
  - type: Webhook
    name: hook
    webhook:
      timeout: 3s
      authorizedTTL: 1s
      unauthorizedTTL: 1s
      subjectAccessReviewVersion: v1
      matchConditionSubjectAccessReviewVersion: v1
      failurePolicy: ${failurePolicy}
      connectionInfo: {type: KubeConfigFile, kubeConfigFile: ${kubeconfig}}
      matchConditions:
        - expression: has(request.resourceAttributes) && request.user == 'wanda'
  - {type: Node, name: node}
  - {type: RBAC, name: rbac}
`;
}

async function openId(
  checks: Checks,
  server: AuthServer,
  provider: OidcProvider,
  file: string,
): Promise<void> {
  const whoAmI = async (token: string): Promise<Record<string, unknown>> => {
    const answer = await server.ask(review, { method: 'POST', token, body: {} });
    expectAnswer(answer, 201);
    return (answer.body['status'] as { userInfo: Record<string, unknown> }).userInfo;
  };
  const same = (got: unknown, wanted: unknown): void => {
    if (JSON.stringify(got) !== JSON.stringify(wanted))
      throw new Error(`wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`);
  };
  const jane = await provider.idToken('jane');
  await checks.check('oidc: an ID token of a real provider gives user, uid, groups, extra', async () => {
    const user = await whoAmI(jane);
    same(
      [user['username'], user['uid'], user['groups']],
      ['oidc:jane@example.org', 'jane', ['developers', 'system:authenticated']],
    );
    same((user['extra'] as Record<string, unknown>)['example.org/tenant'], ['blue']);
  });
  await checks.check('oidc: a provider that gives system:masters is not believed: 401', async () =>
    expectAnswer(
      await server.ask(review, { method: 'POST', token: await provider.idToken('mallory'), body: {} }),
      401,
    ),
  );
  await checks.check('oidc: a token for another client of the provider: 401', async () =>
    expectAnswer(
      await server.ask(review, {
        method: 'POST',
        token: await provider.idToken('jane', otherClientId),
        body: {},
      }),
      401,
    ),
  );
  await checks.check('oidc: RBAC knows the groups of the provider', async () => {
    await server.admin('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      method: 'POST',
      body: {
        metadata: { name: 'developers' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'developers' }],
      },
    });
    // The view role is aggregated by a controller, which does not run here.
    expectAnswer(
      await server.ask('/api/v1/pods', { token: jane }),
      403,
      /User \\"oidc:jane@example.org\\" cannot list resource \\"pods\\" in API group \\"\\" at the cluster scope/,
    );
  });
  await checks.check(
    'oidc: a key that the provider made later is learned',
    async () => {
      await provider.rotate();
      same((await whoAmI(await provider.idToken('ken')))['username'], 'oidc:ken@example.org');
    },
    5000,
  );
  await checks.check('oidc: a changed configuration is in force within seconds', async () => {
    const text = authenticationConfig(provider.issuer, server.pki.ca.certPem, 'again:');
    writeFileSync(file, text);
    const token = await provider.idToken('lea');
    await until(async () => same((await whoAmI(token))['username'], 'again:lea@example.org'));
    writeFileSync(file, text.replace('jwt:', 'jwts:'));
    await until(() => {
      if (!/unknown field \\"jwts\\".*Cannot reload the authentication configuration/.test(server.log()))
        throw new Error('the bad file is not in the log');
    });
    same((await whoAmI(token))['username'], 'again:lea@example.org');
    writeFileSync(file, text);
  });
  await checks.check('service accounts: discovery documents for other programs', async () => {
    const cert = server.pki.admin;
    const document = await server.ask('/.well-known/openid-configuration', { cert });
    expectAnswer(document, 200, /"jwks_uri"/);
    same(document.body['issuer'], server.issuer);
    const headers = { accept: 'application/jwk-set+json' };
    expectAnswer(await server.ask('/openid/v1/jwks', { cert, headers }), 200, /"use":"sig"/);
    expectAnswer(await server.ask('/openid/v1/jwks'), 401);
  });
}

async function hooks(checks: Checks, server: AuthServer, webhooks: Webhooks, file: string): Promise<void> {
  const secrets = (namespace: string) =>
    server.ask(`/api/v1/namespaces/${namespace}/secrets`, { token: webhookToken });
  await checks.check('webhook: knows a token, and what its user may do', async () => {
    expectAnswer(await secrets('vault'), 200);
    expectAnswer(
      await secrets('default'),
      403,
      /User \\"wanda\\" cannot list resource \\"secrets\\".*asked the webhook/,
    );
    const asked = webhooks.reviews.find(({ kind }) => kind === 'TokenReview');
    if (asked?.spec.audiences?.[0] !== server.issuer)
      throw new Error('the webhook was not told the audiences');
  });
  await checks.check('webhook: its no ends the chain', async () =>
    expectAnswer(
      await server.ask('/api/v1/namespaces/vault/configmaps', { token: webhookToken }),
      403,
      /the webhook says no/,
    ),
  );
  await checks.check('webhook: answers are kept for their time', async () => {
    const before = webhooks.reviews.length;
    for (let index = 0; index < 10; index++) expectAnswer(await secrets('vault'), 200);
    const more = webhooks.reviews.length - before;
    if (more > 4) throw new Error(`${more} questions for 10 requests`);
  });
  await checks.check('webhook: asked again after an error 500', async () => {
    await new Promise((resolve) => setTimeout(resolve, 2500));
    webhooks.failNext(1);
    expectAnswer(await secrets('vault'), 200);
  });
  await checks.check('webhook: match conditions spare it everybody else', async () => {
    const others = webhooks.reviews.filter(
      ({ kind, spec }) => kind === 'SubjectAccessReview' && spec.user !== 'wanda',
    );
    if (others.length > 0) throw new Error(`asked about ${others[0]?.spec.user}`);
  });
  await checks.check('webhook: while it is gone its user is refused, others are served', async () => {
    await webhooks.stop();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const impersonated = await server.admin('/api/v1/namespaces/vault/secrets', {
      headers: { 'Impersonate-User': 'wanda' },
    });
    expectAnswer(impersonated, 403);
    const refused = await secrets('vault');
    // The token counts as known for ten seconds; what it may do does not.
    if (refused.status !== 401) expectAnswer(refused, 403);
    expectAnswer(await server.admin('/api/v1/namespaces'), 200);
    await webhooks.start();
    await until(async () => expectAnswer(await secrets('vault'), 200));
  });
  await checks.check('authorization: a changed chain is in force within seconds', async () => {
    const text = authorizationConfig(webhooks.kubeconfig, 'NoOpinion');
    writeFileSync(file, text.replace("request.user == 'wanda'", "request.user == 'nobody'"));
    await until(async () => expectAnswer(await secrets('vault'), 403));
    writeFileSync(file, text);
    await until(async () => expectAnswer(await secrets('vault'), 200));
  });
}

async function anonymous(checks: Checks, server: AuthServer): Promise<void> {
  await checks.check('anonymous: the configured paths only', async () => {
    expectAnswer(await server.ask('/readyz'), 200, /^ok$/);
    expectAnswer(await server.ask('/livez'), 200);
    expectAnswer(await server.ask('/version'), 401);
    expectAnswer(await server.ask('/api/v1/namespaces'), 401);
  });
}

/** Repeats until it does not throw, for as long as a reload may take. */
async function until(body: () => Promise<void> | void): Promise<void> {
  const deadline = Date.now() + reloadMs;
  for (;;) {
    try {
      return await body();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
}
