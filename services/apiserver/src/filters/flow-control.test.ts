import assert from 'node:assert/strict';
import test from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { InternalClient } from '../registry/rest/rest-storage.ts';
import { fakeRegistry } from '../testing/fake-registry.ts';
import { testServer } from '../testing/test-server.ts';

const apiVersion = 'flowcontrol.apiserver.k8s.io/v1';

function level(name: string, limitResponse: object, shares: number): KubeObject {
  const limited = {
    nominalConcurrencyShares: shares,
    limitResponse,
    lendablePercent: 0,
    borrowingLimitPercent: 0,
  };
  return {
    apiVersion,
    kind: 'PriorityLevelConfiguration',
    metadata: { name, uid: `uid-${name}` },
    spec: { type: 'Limited', limited },
  };
}

function schema(name: string, user: string, levelName: string): KubeObject {
  return {
    apiVersion,
    kind: 'FlowSchema',
    metadata: { name, uid: `uid-${name}` },
    spec: {
      matchingPrecedence: 10,
      distinguisherMethod: { type: 'ByUser' },
      priorityLevelConfiguration: { name: levelName },
      rules: [
        {
          subjects: [{ kind: 'User', user: { name: user } }],
          resourceRules: [
            { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true },
          ],
        },
      ],
    },
  };
}

/** A server whose GETs wait until `open` is called, with levels of one seat beside the mandatory ones. */
async function gatedServer(options: { queueLength?: number; priorityAndFairness?: boolean } = {}) {
  const queuing = { queues: 2, handSize: 1, queueLengthLimit: options.queueLength ?? 10 };
  const objects: Record<string, KubeObject[]> = {
    prioritylevelconfigurations: [
      level('queued', { type: 'Queue', queuing }, 1),
      level('refused', { type: 'Reject' }, 1),
    ],
    flowschemas: [schema('patient', 'alice', 'queued'), schema('hasty', 'bob', 'refused')],
  };
  const registry = fakeRegistry();
  const waiting: (() => void)[] = [];
  const { get } = registry.configMaps;
  registry.configMaps.get = async (...parameters) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return get(...parameters);
  };
  const client = {
    watchCache: (_group: string, resource: string) => ({
      list: () => objects[resource] ?? [],
      get: () => undefined,
      synced: true,
    }),
  } as unknown as InternalClient;
  const { server } = await testServer({
    registry: Object.assign(registry, { client }),
    authenticator: {
      authenticate: ({ headers }) =>
        Promise.resolve({ user: { name: String(headers['user'] ?? 'carol'), groups: [] } }),
    },
    // catch-all has 5 shares: one seat for each share.
    maxReadOnlyInFlight: options.priorityAndFairness === false ? 1 : 4,
    maxMutatingInFlight: 3,
    ...(options.priorityAndFairness === undefined
      ? {}
      : { priorityAndFairness: options.priorityAndFairness }),
  });
  const ask = (user: string, query = '') =>
    server.app.inject({
      url: `/api/v1/namespaces/a/configmaps/x${query}`,
      headers: { user },
    });
  const text = async (url: string): Promise<string> =>
    (await server.app.inject({ url, headers: { user: 'dave' } })).body;
  /** Lets `count` GETs go on, each once it has come to the storage. */
  const open = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
      waiting.shift()?.();
    }
  };
  return { server, ask, open, text, waiting };
}

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

test('a level without queue refuses what has no seat', async () => {
  const { server, ask, open, text } = await gatedServer();
  const first = ask('bob');
  await tick();
  const second = await ask('bob');
  assert.equal(second.statusCode, 429);
  assert.equal(second.body, 'Too many requests, please try again later.\n');
  assert.equal(second.headers['retry-after'], '1');
  assert.equal(second.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(second.headers['x-kubernetes-pf-flowschema-uid'], 'uid-hasty');
  assert.equal(second.headers['x-kubernetes-pf-prioritylevel-uid'], 'uid-refused');
  await open(1);
  assert.equal((await first).statusCode, 404);
  const metrics = await text('/metrics');
  assert.match(
    metrics,
    /apiserver_flowcontrol_rejected_requests_total\{priority_level="refused",flow_schema="hasty",reason="concurrency-limit"\} 1/,
  );
  assert.match(metrics, /apiserver_flowcontrol_nominal_limit_seats\{priority_level="refused"\} 1/);
  await server.close();
});

test('a level with queues lets wait, up to its length', async () => {
  const { server, ask, open, text } = await gatedServer({ queueLength: 1 });
  const first = ask('alice');
  await tick();
  const second = ask('alice');
  await tick();
  assert.equal((await ask('alice')).statusCode, 429);
  const levels = await text('/debug/api_priority_and_fairness/dump_priority_levels');
  const [head, ...rows] = levels.trimEnd().split('\n');
  assert.match(head ?? '', /^PriorityLevelName, ActiveQueues, IsIdle, +IsQuiescing, WaitingRequests, /);
  const row = rows.find((each) => each.startsWith('queued,'))?.split(/, */);
  assert.deepEqual(row, ['queued', '1', 'false', 'false', '1', '1', '1', '1', '0', '0']);
  const requests = await text('/debug/api_priority_and_fairness/dump_requests?includeRequestDetails=1');
  assert.match(
    requests,
    /queued, +patient, +[01], +0, +alice, .* alice, +get, +\/api\/v1\/namespaces\/a\/configmaps\/x, /,
  );
  assert.match(await text('/debug/api_priority_and_fairness/dump_queues'), /queued, +[01], +1, +1, +1, /);
  const metrics = await text('/metrics');
  const value = (line: string): number =>
    Number(
      metrics
        .split('\n')
        .find((each) => each.startsWith(line))
        ?.split(' ')
        .pop(),
    );
  const of = 'priority_level="queued"';
  assert.ok(
    value(`apiserver_flowcontrol_request_dispatch_no_accommodation_total{${of},flow_schema="patient"}`) > 0,
  );
  // The level was full since the first request came.
  const util = 'apiserver_flowcontrol_priority_level_request_utilization';
  assert.ok(value(`${util}_sum{${of},phase="executing"}`) > 0);
  assert.ok(value(`${util}_sum{${of},phase="waiting"}`) > 0);
  assert.ok(value(`apiserver_flowcontrol_priority_level_seat_utilization_sum{${of},phase="executing"}`) > 0);
  assert.ok(Number.isFinite(value(`apiserver_flowcontrol_next_s_bounds{${of},bound="min"}`)));
  await open(2);
  assert.equal((await first).statusCode, 404);
  assert.equal((await second).statusCode, 404);
  await server.close();
});

test('who waits too long is refused', async () => {
  const { server, ask, open } = await gatedServer();
  const first = ask('alice');
  await tick();
  const late = await ask('alice', '?timeout=200ms');
  assert.equal(late.statusCode, 429);
  await open(1);
  assert.equal((await first).statusCode, 404);
  await server.close();
});

test('one busy user does not hold up another level', async () => {
  const { server, ask, open, waiting } = await gatedServer();
  const noisy = Array.from({ length: 8 }, () => ask('alice'));
  await tick();
  assert.equal(waiting.length, 1);
  const quiet = ask('carol');
  await tick();
  assert.equal(waiting.length, 2);
  await open(9);
  assert.equal((await quiet).statusCode, 404);
  assert.deepEqual(new Set((await Promise.all(noisy)).map(({ statusCode }) => statusCode)), new Set([404]));
  await server.close();
});

test('without priority and fairness the two limits count', async () => {
  const { server, ask, open } = await gatedServer({ priorityAndFairness: false });
  const first = ask('alice');
  await tick();
  const second = await ask('carol');
  assert.equal(second.statusCode, 429);
  assert.equal(second.headers['retry-after'], '1');
  assert.equal(second.headers['x-kubernetes-pf-flowschema-uid'], undefined);
  await open(1);
  assert.equal((await first).statusCode, 404);
  await server.close();
});
