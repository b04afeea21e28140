import { readFileSync, readdirSync } from 'node:fs';
import https from 'node:https';
import type { AuthServer } from './server.ts';
import { prepareServer, staticToken, startServer } from './server.ts';

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const group = 'rbac.authorization.k8s.io';
const requests = 6000;
const rounds = 9;

/**
 * What RBAC costs a GET: processor time of an API server for each request of a user with few rights, with 10 bindings in the cluster and
 * with 5,000, beside a server that allows everything, in turns. Of the bindings a tenth is cluster-wide, and 20 name the user or its groups.
 */
export async function rbacCost(port: number): Promise<boolean> {
  const rbacServer = await startServer(await prepareServer(), port, [
    '--authorization-mode=Node,RBAC',
    '--profiling=false',
  ]);
  const open = await startServer(await prepareServer(), port + 1, [
    '--authorization-mode=AlwaysAllow',
    '--profiling=false',
  ]);
  try {
    for (const server of [rbacServer, open]) {
      await server.admin(`${rbac}/clusterroles`, {
        method: 'POST',
        body: {
          metadata: { name: 'reader' },
          rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }],
        },
      });
      await server.admin('/api/v1/namespaces/default/configmaps', {
        method: 'POST',
        body: { metadata: { name: 'c' }, data: { a: 'b' } },
      });
    }
    await bind(rbacServer, 0, 10);
    for (const server of [rbacServer, open, rbacServer, open]) await measure(server, 4000);
    const few = await inTurns(rbacServer, open);
    await bind(rbacServer, 10, 5000);
    const many = await inTurns(rbacServer, open);
    const show = (name: string, { own, other }: Turns): void =>
      void process.stdout.write(
        `${name}: CPU of a GET ${own.toFixed(1)} µs, AlwaysAllow ${other.toFixed(1)} µs: ${((own / other - 1) * 100).toFixed(1)} % more\n`,
      );
    show('10 bindings', few);
    show('5,000 bindings', many);
    return many.own / many.other <= 1.15;
  } finally {
    await rbacServer.close();
    await open.close();
  }
}

interface Turns {
  readonly own: number;
  readonly other: number;
}

/** The median of several rounds of each; the servers take turns, so that both meet the same machine. */
async function inTurns(one: AuthServer, two: AuthServer): Promise<Turns> {
  const results: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    results[0].push(await measure(one, requests));
    results[1].push(await measure(two, requests));
  }
  const [own, other] = results.map((each) => each.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]) as [
    number,
    number,
  ];
  process.stdout.write(
    `rounds: ${results.map((each) => each.map((one) => one.toFixed(1)).join(', ')).join(' | ')} µs\n`,
  );
  return { own, other };
}

/** Microseconds of processor time for each of `count` GETs; half of them of names that were never asked for. */
async function measure(server: AuthServer, count: number): Promise<number> {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 8, ca: server.pki.ca.certPem });
  const get = (name: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const request = https.get(
        {
          host: '127.0.0.1',
          port: server.port,
          path: `/api/v1/namespaces/default/configmaps/${name}`,
          agent,
          headers: { authorization: `Bearer ${staticToken}`, accept: 'application/json' },
        },
        (response) => {
          const isWanted = response.statusCode === (name === 'c' ? 200 : 404);
          response.resume();
          response.on('end', () =>
            isWanted ? resolve() : reject(new Error(`status ${response.statusCode}`)),
          );
        },
      );
      request.on('error', reject);
    });
  const before = cpuMs(server.pid());
  let next = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let index = next++; index < count; index = next++)
        await get(index % 2 === 0 ? 'c' : `n${process.hrtime.bigint().toString(36)}`);
    }),
  );
  agent.destroy();
  return ((cpuMs(server.pid()) - before) * 1000) / count;
}

/** Processor time of all threads; Linux counts it in nanoseconds there, and in steps of 10 ms in the file `stat`. */
function cpuMs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  let nanoseconds = 0;
  for (const task of readdirSync(tasks))
    nanoseconds += Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]);
  return nanoseconds / 1e6;
}

/** Bindings `from` to `to`; every 250th names the user or its groups. */
async function bind(server: AuthServer, from: number, to: number): Promise<void> {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 8 });
  for (let start = from; start < to; start += 20) {
    await Promise.all(
      Array.from({ length: Math.min(20, to - start) }, async (_, offset) => {
        const index = start + offset;
        const isCluster = index % 10 === 0;
        const name = `binding-${index}`;
        const subject =
          index % 250 === 0 ? { kind: 'User', name: 'alice' } : { kind: 'User', name: `user-${index}` };
        const answer = await server.admin(
          isCluster ? `${rbac}/clusterrolebindings` : `${rbac}/namespaces/default/rolebindings`,
          {
            method: 'POST',
            agent,
            body: {
              metadata: { name },
              roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'reader' },
              subjects: [{ ...subject, apiGroup: group }],
            },
          },
        );
        if (answer.status !== 201) throw new Error(answer.text);
      }),
    );
  }
  agent.destroy();
}
