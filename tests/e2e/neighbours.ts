import https from 'node:https';
import { loadKubeconfig } from '@pilothouse/client';
import type { Checks } from './checks.ts';
import { startPlane } from './plane.ts';

const objects = 400;
const objectBytes = 2048;
const floodMs = 15_000;
const flooders = 40;
/** Kubernetes' objective for requests of single objects, where the machine has time for it: alone they take less than this. */
const p99MaxMs = 1000;
const busyMs = 50;
/** The flood waits at least so many times longer in the queues. */
const waitPart = 3;

const noisy = 'neighbour-noisy';
const quiet = 'neighbour-quiet';
const namespace = 'neighbours';
const folder = `/api/v1/namespaces/${namespace}/configmaps`;

interface Answer {
  readonly status: number;
  readonly text: string;
}

type Call = (method: string, path: string, body?: object, user?: string) => Promise<Answer>;

/** What a user saw of the server. */
interface Experience {
  readonly statuses: Map<number, number>;
  readonly latenciesMs: number[];
}

/**
 * One user lists everything as fast as the server takes it, another works as usual, both at the same priority level: the second keeps
 * Kubernetes' objective for single objects and is never sent away. The server's places are few, so that there is something to divide.
 */
export async function neighbours(checks: Checks, port: number): Promise<void> {
  const plane = await startPlane({
    port,
    args: [
      '--members=1',
      '--replicas=1',
      '--nodes=0',
      '--schedulers=0',
      '--controller-managers=0',
      '--apiserver-arg=--max-requests-inflight=100',
      '--apiserver-arg=--max-mutating-requests-inflight=50',
    ],
  });
  const agent = agentOf(plane.kubeconfig);
  try {
    const call = callerOf(plane.server, agent);
    await prepare(call);
    // The server hears of the schemas.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const alone = await work(call, floodMs / 5);
    const flood = { statuses: new Map<number, number>(), latenciesMs: [] };
    let isFlooding = true;
    const floods = Array.from({ length: flooders }, async () => {
      while (isFlooding) await measured(flood, () => call('GET', '/api/v1/configmaps', undefined, noisy));
    });
    let queued = 0;
    const watching = (async () => {
      while (isFlooding) {
        queued = Math.max(queued, await metric(call, 'apiserver_flowcontrol_current_inqueue_requests'));
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    })();
    const beside = await work(call, floodMs);
    isFlooding = false;
    await Promise.all([...floods, watching]);
    process.stdout.write(
      `      alone   ${told(alone)}\n      beside  ${told(beside)}\n      flood   ${told(flood)}\n`,
    );
    await checks.check('neighbours: requests of the quiet user are all served', () => {
      const refused = [...beside.statuses].filter(([status]) => status !== 200 && status !== 201);
      return refused.length === 0 ? Promise.resolve() : Promise.reject(Error(JSON.stringify(refused)));
    });
    if (quantile(alone.latenciesMs, 0.99) > busyMs)
      process.stdout.write(
        'SKIP  neighbours: the objective for latency: this machine is too busy by itself\n',
      );
    else
      await checks.check(`neighbours: their p99 stays below ${p99MaxMs} ms`, () => {
        const p99 = quantile(beside.latenciesMs, 0.99);
        return p99 < p99MaxMs ? Promise.resolve() : Promise.reject(Error(`p99 ${p99.toFixed(0)} ms`));
      });
    await checks.check('neighbours: the flood is served too, as far as places go', () =>
      (flood.statuses.get(200) ?? 0) > 0 ? Promise.resolve() : Promise.reject(Error('no list came through')),
    );
    await checks.check(
      'neighbours: by the metrics it waited in the queues, and the quiet user hardly',
      async () => {
        const [loud, calm] = [await waits(call, noisy), await waits(call, quiet)];
        const mean = (of: typeof loud): number => (1000 * of.seconds) / Math.max(1, of.count);
        process.stdout.write(
          `      waited  flood ${mean(loud).toFixed(1)} ms, quiet ${mean(calm).toFixed(1)} ms on average; at most ${queued} in queues\n`,
        );
        if (queued === 0 || mean(loud) === 0) throw new Error('the flood was never queued');
        if (calm.count === 0 || mean(calm) * waitPart > mean(loud))
          throw new Error('the quiet user waited like the flood');
      },
    );
  } finally {
    agent.destroy();
    await plane.stop();
  }
}

async function prepare(call: Call): Promise<void> {
  const must = async (method: string, path: string, body: object): Promise<void> => {
    const answer = await call(method, path, body);
    if (answer.status !== 201) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  };
  await must('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  await must('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: namespace },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['*'] }],
  });
  await must('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: namespace },
    subjects: [noisy, quiet].map((name) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name })),
  });
  // One priority level, so that the two compete; a schema each, so that metrics tell them apart.
  for (const name of [noisy, quiet])
    await must('POST', '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas', {
      metadata: { name },
      spec: {
        priorityLevelConfiguration: { name: 'global-default' },
        matchingPrecedence: 500,
        distinguisherMethod: { type: 'ByUser' },
        rules: [
          {
            subjects: [{ kind: 'User', user: { name } }],
            resourceRules: [
              { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true },
            ],
          },
        ],
      },
    });
  const text = 'x'.repeat(objectBytes);
  for (let first = 0; first < objects; first += 20)
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        must('POST', folder, { metadata: { name: `object-${first + index}` }, data: { text } }),
      ),
    );
}

/** The quiet user creates, reads and deletes one object after the other. */
async function work(call: Call, durationMs: number): Promise<Experience> {
  const seen: Experience = { statuses: new Map(), latenciesMs: [] };
  const end = Date.now() + durationMs;
  for (let round = 0; Date.now() < end; round++) {
    const name = `quiet-${round}-${durationMs}`;
    await measured(seen, () => call('POST', folder, { metadata: { name }, data: { text: 'a' } }, quiet));
    await measured(seen, () => call('GET', `${folder}/${name}`, undefined, quiet));
    await measured(seen, () => call('DELETE', `${folder}/${name}`, undefined, quiet));
  }
  return seen;
}

async function measured(seen: Experience, ask: () => Promise<Answer>): Promise<void> {
  const began = performance.now();
  const { status } = await ask();
  seen.latenciesMs.push(performance.now() - began);
  seen.statuses.set(status, (seen.statuses.get(status) ?? 0) + 1);
  if (status === 429) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** Sum over all series of a metric for priority level global-default, which serves both users. */
async function metric(call: Call, name: string): Promise<number> {
  const { text } = await call('GET', '/metrics');
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes('priority_level="global-default"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Requests of a flow that left the queues so far, and the seconds they had waited together. */
async function waits(call: Call, user: string): Promise<{ count: number; seconds: number }> {
  const name = 'apiserver_flowcontrol_request_wait_duration_seconds';
  const lines = (await call('GET', '/metrics')).text.split('\n');
  const sum = (part: string): number =>
    lines
      .filter((line) => line.startsWith(`${name}_${part}{`) && line.includes(`flow_schema="${user}"`))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  return { count: sum('count'), seconds: sum('sum') };
}

const quantile = (values: readonly number[], part: number): number =>
  [...values].sort((one, two) => one - two)[Math.floor(values.length * part)] ?? 0;

function told({ statuses, latenciesMs }: Experience): string {
  const counts = [...statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
  const ms = (part: number): string => quantile(latenciesMs, part).toFixed(1);
  return `${counts}; p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms`;
}

function agentOf(kubeconfig: string): https.Agent {
  const { ca, cert, key } = loadKubeconfig(kubeconfig);
  return new https.Agent({
    keepAlive: true,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  });
}

function callerOf(server: string, agent: https.Agent): Call {
  return (method, path, body, user) =>
    new Promise((resolve, reject) => {
      const request = https.request(
        `${server}${path}`,
        {
          method,
          agent,
          headers: {
            'content-type': 'application/json',
            ...(user === undefined ? {} : { 'impersonate-user': user }),
          },
        },
        (response) => {
          const pieces: Buffer[] = [];
          // What the flood gets is only taken.
          response.on('data', (piece: Buffer) => {
            if (user !== noisy) pieces.push(piece);
          });
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString() }),
          );
        },
      );
      request.on('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
}
