import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { AuthServer } from './server.ts';
import { prepareServer, staticToken, startServer } from './server.ts';

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const group = 'rbac.authorization.k8s.io';
const requests = 6000;
const rounds = 3;
/** Linux counts processor time in these. */
const tickMs = 10;

/**
 * What RBAC costs a GET: processor time of the API server for each request of a user with few rights, with 10 bindings in the cluster and with
 * 5,000. Of those a tenth is cluster-wide, and 20 name the user or its groups.
 */
export async function rbacCost(port: number): Promise<boolean> {
  const server = await startServer(await prepareServer(), port, [
    '--authorization-mode=Node,RBAC',
    '--profiling=false',
  ]);
  try {
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
    await bind(server, 0, 10);
    await measure(server, 8000);
    const few = await best(server);
    await bind(server, 10, 5000);
    const many = await best(server);
    const more = many / few - 1;
    process.stdout.write(
      `CPU of a GET with 10 bindings ${few.toFixed(1)} µs, with 5,000 ${many.toFixed(1)} µs: ${(more * 100).toFixed(1)} % more\n`,
    );
    return more <= 0.15;
  } finally {
    await server.close();
  }
}

async function best(server: AuthServer): Promise<number> {
  const results: number[] = [];
  for (let round = 0; round < rounds; round++) results.push(await measure(server, requests));
  process.stdout.write(`rounds: ${results.map((each) => each.toFixed(1)).join(', ')} µs\n`);
  return Math.min(...results);
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

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
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
