import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Checks } from '../checks.ts';
import { Cluster, findEtcd } from '../etcd/cluster.ts';
import { expectStatus, startServer, type ApiServerProcess } from './servers.ts';
import { hasStockServer } from '../stock/programs.ts';
import { TestSigner } from './test-signer.ts';

const tokens = '/api/v1/namespaces/default/serviceaccounts/signed/token';

/** A stock API server and ours on one store, with one signer outside: each takes the other's tokens, through a rotation and a loss. */
export async function externalSigner(checks: Checks, port: number): Promise<void> {
  if (!hasStockServer('signer')) return;
  const cluster = await new Cluster({ side: 'etcd', programs: await findEtcd(), port, size: 1 }).start();
  const directory = path.join(cluster.directory, 'signer');
  mkdirSync(directory, { recursive: true });
  const signer = new TestSigner(path.join(directory, 'signer.sock'));
  await signer.start();
  const common = {
    directory,
    etcd: cluster.endpoints,
    ownKeys: false,
    args: [`--service-account-signing-endpoint=${signer.socket}`],
  };
  const servers = [
    await startServer('stock', { ...common, port: port + 20 }),
    await startServer('ours', { ...common, port: port + 21 }),
  ] as const;
  const [stock, ours] = servers;
  const check = (name: string, body: () => Promise<void>, seconds = 0): Promise<boolean> =>
    checks.check(`signer: ${name}`, body, seconds * 1000);
  try {
    for (const server of servers)
      await check(
        `${server.kind} is ready`,
        async () => void expectStatus(await server.ask('/readyz'), 200),
        90,
      );
    await ours.ask('/api/v1/namespaces/default/serviceaccounts', {
      body: JSON.stringify({ metadata: { name: 'signed' } }),
    });
    for (const [from, to] of [
      [ours, stock],
      [stock, ours],
    ] as const) {
      await check(`a token of ${from.kind} is good for ${to.kind}`, async () => {
        const token = await issue(from, 600);
        const [one, other] = [await review(from, token), await review(to, token)];
        if (one !== other || !one.includes('"system:serviceaccount:default:signed"'))
          throw new Error(`${one}\n${other}`);
      });
    }
    await check('the same keys are told to others, without those of old tokens', async () => {
      const [one, other] = await Promise.all(
        servers.map(async (server) => expectStatus(await server.ask('/openid/v1/jwks'), 200).body),
      );
      if (one !== other || one?.includes('"old"') === true || one?.includes('"key-1"') !== true)
        throw new Error(`${one}\n${other}`);
    });
    await check('a life beyond what the signer gives is cut to it', async () => {
      const seconds = await Promise.all(
        servers.map(async (server) => (await request(server, 90_000)).spec.expirationSeconds),
      );
      if (seconds.some((each) => each !== 7200)) throw new Error(seconds.join());
    });
    signer.add('key-2');
    await check('a rotated key is used at once, and asked for by who does not know it', async () => {
      const token = await issue(ours, 600);
      if (
        !Buffer.from(token.split('.')[0] ?? '', 'base64url')
          .toString()
          .includes('key-2')
      )
        throw new Error('an old key');
      for (const server of servers)
        if (!(await review(server, token)).includes('"authenticated":true')) throw new Error(server.kind);
    });
    await check(
      'the key set follows',
      async () => {
        for (const server of servers)
          if (!(await server.ask('/openid/v1/jwks')).body.includes('key-2')) throw new Error(server.kind);
      },
      15,
    );
    const before = await issue(ours, 600);
    signer.stop();
    await check('without the signer known keys still count, and no token is made', async () => {
      if (!(await review(ours, before)).includes('"authenticated":true')) throw new Error('refused');
      const answer = await ours.ask(`${tokens}`, { body: tokenRequest(600) });
      expectStatus(answer, 500);
      if (!answer.body.includes('failed to generate token: while signing jwt: rpc error'))
        throw new Error(answer.body);
    });
    await signer.start();
    await check('the signer is back', async () => void (await issue(ours, 600)), 15);
    await check('a start with key files beside it is refused', async () => {
      const both = await startServer('ours', { ...common, ownKeys: true, port: port + 22 });
      try {
        for (let waited = 0; !both.log().includes('They are mutually exclusive'); waited++) {
          if (waited > 100) throw new Error(both.log().slice(-500));
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      } finally {
        await both.stop();
      }
    });
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    signer.stop();
    await cluster.stop();
  }
}

const tokenRequest = (seconds: number): string =>
  JSON.stringify({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: seconds },
  });

async function request(
  server: ApiServerProcess,
  seconds: number,
): Promise<{ spec: { expirationSeconds: number }; status: { token: string } }> {
  const { body } = expectStatus(await server.ask(tokens, { body: tokenRequest(seconds) }), 201);
  return JSON.parse(body) as Awaited<ReturnType<typeof request>>;
}

const issue = async (server: ApiServerProcess, seconds: number): Promise<string> =>
  (await request(server, seconds)).status.token;

async function review(server: ApiServerProcess, token: string): Promise<string> {
  const body = JSON.stringify({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token },
  });
  const answer = expectStatus(await server.ask('/apis/authentication.k8s.io/v1/tokenreviews', { body }), 201);
  const { status } = JSON.parse(answer.body) as { status: unknown };
  return JSON.stringify(status);
}
