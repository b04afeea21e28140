import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import { FieldPath } from '@pilothouse/apimachinery';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { MemoryObjectAccess } from '../security/memory-object-access.ts';
import { abacAuthorizer } from './abac.ts';
import { createAuthorization } from './authorization.ts';
import { parseAuthorizationConfiguration } from './chain-config.ts';
import { pathAttributes, resourceAttributes } from './interface.ts';
import { compileMatchConditions } from './webhook/match-conditions.ts';
import { webhookAuthorizer } from './webhook/webhook-authorizer.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'chain-'));
after(() => rmSync(directory, { recursive: true }));
const kubeconfig = path.join(directory, 'webhook.yaml');
writeFileSync(
  kubeconfig,
  'clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]\ncontexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n',
);
const user = (name: string, ...groups: string[]) => ({ name, groups });
const get = (name: string, namespace = 'default') =>
  resourceAttributes(user(name), 'get', { resource: 'pods', namespace, name: 'p', apiVersion: 'v1' });

test('a policy file of ABAC, line by line', async () => {
  const v1beta1 = '"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy"';
  const abac = abacAuthorizer(
    'policy.jsonl',
    [
      '# comment',
      `{${v1beta1},"spec":{"user":"alice","namespace":"*","resource":"*","apiGroup":"*"}}`,
      `{${v1beta1},"spec":{"group":"readers","namespace":"default","resource":"pods","apiGroup":"","readonly":true}}`,
      `{${v1beta1},"spec":{"user":"*","nonResourcePath":"/version*","readonly":true}}`,
      '{"user":"old","readonly":true}',
    ].join('\n'),
  );
  const decide = async (attributes: Parameters<typeof abac.authorize>[0]) =>
    (await abac.authorize(attributes)).decision;
  const bob = user('bob', 'readers');
  assert.equal(await decide(get('alice', 'x')), 'allow');
  assert.equal(await decide(pathAttributes(user('alice'), 'get', '/metrics')), 'noOpinion');
  assert.equal(
    await decide(resourceAttributes(bob, 'list', { resource: 'pods', namespace: 'default' })),
    'allow',
  );
  assert.equal(
    await decide(resourceAttributes(bob, 'delete', { resource: 'pods', namespace: 'default' })),
    'noOpinion',
  );
  assert.equal(
    await decide(resourceAttributes(bob, 'list', { resource: 'secrets', namespace: 'default' })),
    'noOpinion',
  );
  assert.equal(await decide(pathAttributes(bob, 'get', '/version/x')), 'allow');
  assert.equal(await decide(get('old', 'anywhere')), 'allow');
  assert.deepEqual(await abac.authorize(get('eve')), { decision: 'noOpinion', reason: 'No policy matched.' });
  assert.deepEqual(abac.rulesFor(bob, 'default').resourceRules, [
    { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods'] },
  ]);
  for (const [line, message] of [
    ['{"user"', /error reading policy file f, line 1/],
    ['{"usr":"x"}', /line 1: unknown field "usr"/],
    [`{${v1beta1},"spec":{"readonly":"yes"}}`, /field "readonly" must be a boolean/],
  ] as const)
    assert.throws(() => abacAuthorizer('f', line), message);
});

function webhook(
  status: object | Error,
  more: { onError?: 'deny' | 'noOpinion'; condition?: string; version?: 'v1beta1' } = {},
) {
  let nowMs = 0;
  const clock: Clock = { ...nodeClock, monotonic: () => nowMs };
  const asked: { spec: Record<string, unknown> }[] = [];
  const problems: [] = [];
  const conditions = compileMatchConditions(
    more.condition === undefined ? [] : [{ expression: more.condition }],
    new FieldPath('c'),
    problems,
  );
  assert.deepEqual(problems, []);
  const authorizer = webhookAuthorizer({
    name: 'w',
    endpoint: {
      post: (review) => {
        asked.push(review as (typeof asked)[0]);
        return status instanceof Error ? Promise.reject(status) : Promise.resolve({ status });
      },
    },
    reviewVersion: more.version ?? 'v1',
    timeoutMs: 1000,
    authorizedTtlMs: 100,
    unauthorizedTtlMs: 10,
    onError: more.onError ?? 'noOpinion',
    conditions,
    clock,
    logger: silentLogger,
  });
  return { authorizer, asked, pass: (ms: number) => (nowMs += ms) };
}

test('a webhook is asked by SubjectAccessReview, and its answers are kept', async () => {
  const yes = webhook({ allowed: true, reason: 'ok' });
  const attributes = {
    ...get('eve'),
    user: { name: 'eve', uid: 'u', groups: ['g'], extra: { k: ['v'] } },
    labelSelector: [{ key: 'a', operator: 'In', values: ['b'] }],
  };
  assert.deepEqual(await yes.authorizer.authorize(attributes), { decision: 'allow', reason: 'ok' });
  assert.deepEqual(yes.asked[0]?.spec, {
    resourceAttributes: {
      namespace: 'default',
      verb: 'get',
      version: 'v1',
      resource: 'pods',
      name: 'p',
      labelSelector: { requirements: [{ key: 'a', operator: 'In', values: ['b'] }] },
    },
    user: 'eve',
    uid: 'u',
    groups: ['g'],
    extra: { k: ['v'] },
  });
  yes.pass(99);
  await yes.authorizer.authorize(attributes);
  assert.equal(yes.asked.length, 1);
  yes.pass(2);
  await yes.authorizer.authorize(attributes);
  assert.equal(yes.asked.length, 2);

  const no = webhook({ allowed: false, reason: 'no' }, { version: 'v1beta1' });
  assert.deepEqual(await no.authorizer.authorize(attributes), { decision: 'noOpinion', reason: 'no' });
  assert.deepEqual(no.asked[0]?.spec['group'], ['g'], 'v1beta1 calls it group');
  no.pass(11);
  await no.authorizer.authorize(attributes);
  assert.equal(no.asked.length, 2);

  assert.equal(
    (await webhook({ allowed: false, denied: true }).authorizer.authorize(attributes)).decision,
    'deny',
  );
  const both = await webhook({ allowed: true, denied: true }).authorizer.authorize(attributes);
  assert.equal(both.decision, 'deny');
  assert.match(both.evaluationError ?? '', /both allow and deny/);
});

test('an unanswered webhook refuses or abstains, as it is told', async () => {
  for (const onError of ['deny', 'noOpinion'] as const) {
    const { authorizer } = webhook(new Error('connection refused'), { onError });
    const result = await authorizer.authorize(get('eve'));
    assert.deepEqual(result, { decision: onError, reason: '', evaluationError: 'connection refused' });
  }
});

test('match conditions decide whether a webhook is asked', async () => {
  const condition =
    "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'kube-system'";
  const { authorizer, asked } = webhook({ allowed: true }, { condition });
  assert.equal((await authorizer.authorize(get('eve'))).decision, 'noOpinion');
  assert.equal((await authorizer.authorize(pathAttributes(user('eve'), 'get', '/x'))).decision, 'noOpinion');
  assert.equal(asked.length, 0);
  assert.equal((await authorizer.authorize(get('eve', 'kube-system'))).decision, 'allow');
  const failing = webhook(
    { allowed: true },
    { condition: 'request.resourceAttributes.verb == "get"', onError: 'deny' },
  );
  const result = await failing.authorizer.authorize(pathAttributes(user('eve'), 'get', '/x'));
  assert.equal(result.decision, 'deny', 'a condition that cannot be evaluated counts as a failure');
  assert.equal(failing.asked.length, 0);
});

const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n';
const hook = (more = ''): string =>
  `{type: Webhook, name: w, webhook: {timeout: 3s, subjectAccessReviewVersion: v1, matchConditionSubjectAccessReviewVersion: v1, failurePolicy: Deny, connectionInfo: {type: KubeConfigFile, kubeConfigFile: ${kubeconfig}}${more}}}`;

test('an AuthorizationConfiguration is read with its defaults', () => {
  const links = parseAuthorizationConfiguration(
    `${head}authorizers: [{type: Node, name: node}, {type: RBAC, name: rbac}, ${hook(', cacheUnauthorizedRequests: false')}]`,
  );
  assert.deepEqual(links, [
    { type: 'Node', name: 'node' },
    { type: 'RBAC', name: 'rbac' },
    {
      type: 'Webhook',
      name: 'w',
      kubeconfig,
      reviewVersion: 'v1',
      timeoutMs: 3000,
      authorizedTtlMs: 300_000,
      unauthorizedTtlMs: 0,
      onError: 'deny',
      conditions: [],
    },
  ]);
});

test('what is wrong with an AuthorizationConfiguration is told', () => {
  const cases: [string, string | RegExp][] = [
    ['authorizers: []', 'authorizers: Required value: at least one authorization mode must be defined'],
    [
      'authorizers: [{type: Foo, name: foo}]',
      /authorizers\[0\].type: Unsupported value: "Foo": supported values: "ABAC"/,
    ],
    [
      'authorizers: [{type: RBAC, name: rbac}, {type: RBAC, name: r2}]',
      'authorizers[1].type: Duplicate value: "RBAC"',
    ],
    ['authorizers: [{type: RBAC, name: mine}]', 'expected name rbac for authorizer RBAC instead of mine'],
    [
      'authorizers: [{type: RBAC, name: rbac, webhook: {timeout: 3s}}]',
      /may only be specified when type=Webhook/,
    ],
    [
      'authorizers: [{type: Webhook, name: w}]',
      'authorizers[0].webhook: Required value: required when type=Webhook',
    ],
    [
      'authorizers: [{type: Webhook, name: w, webhook: {timeout: 31s}}]',
      /timeout: Invalid value: "31s": must be > 0s and <= 30s.*subjectAccessReviewVersion: Required value.*failurePolicy: Required value.*connectionInfo.type: Required value/,
    ],
    [
      `authorizers: [${hook(', matchConditions: [{expression: "request.usr == 1"}]')}]`,
      /matchConditions\[0\].expression: Invalid value: "request.usr == 1": compilation failed/,
    ],
    [
      `authorizers: [${hook(', matchConditions: [{expression: "request.user"}]')}]`,
      /must evaluate to bool but got string/,
    ],
  ];
  for (const [text, message] of cases)
    assert.throws(
      () => parseAuthorizationConfiguration(head + text),
      typeof message === 'string' ? { message } : message,
      text,
    );
});

test('a changed file replaces the chain; a bad one changes nothing', async () => {
  const file = path.join(directory, 'authz.yaml');
  const denying = `${head}authorizers: [{type: AlwaysDeny, name: alwaysdeny}]`;
  writeFileSync(file, denying);
  let tick = (): void => undefined;
  const clock: Clock = {
    ...nodeClock,
    setInterval: (callback) => {
      tick = callback;
      return { cancel() {} };
    },
  };
  let told = (): void => undefined;
  const logger = { ...silentLogger, info: () => told(), error: () => told() };
  const authorization = createAuthorization(
    { modes: [], structured: { file, text: denying } },
    { clock, random: nodeRandom, objects: new MemoryObjectAccess(), logger },
  );
  const end = await authorization.start();
  const decision = async (): Promise<string> =>
    (await authorization.authorizer.authorize(get('eve'))).decision;
  const after = async (text: string): Promise<string> => {
    writeFileSync(file, text);
    const seen = new Promise<void>((resolve) => (told = resolve));
    tick();
    await seen;
    await new Promise((resolve) => setImmediate(resolve));
    return decision();
  };
  assert.equal(await decision(), 'noOpinion');
  assert.equal(await after(`${head}authorizers: [{type: AlwaysAllow, name: alwaysallow}]`), 'allow');
  assert.equal(await after('authorizers: nonsense'), 'allow');
  assert.equal(
    await after(`${head}authorizers: [{type: RBAC, name: rbac}]`),
    'allow',
    'RBAC was not there at start',
  );
  assert.equal(await after(denying), 'noOpinion');
  end();
});
