import { mkdirSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ensurePki, issueCertificate } from '@pilothouse/host';
import type { Checks } from '../checks.ts';
import { Cluster, findEtcd } from '../etcd/cluster.ts';
import { comparable } from './comparable.ts';
import { admissionConfig, exchanges, optionalPlugins, tokens } from './plugin-cases.ts';
import type { Exchange } from './plugin-cases.ts';
import { podSecurityReleases } from './pod-security-releases.ts';
import { refusedStarts } from './refused-starts.ts';
import { startServer, type ApiServerProcess } from './servers.ts';
import { hasStockServer } from '../stock/programs.ts';

/** The admission plugins that users turn on, each asked the same on a stock API server and on ours. Answers must be equal. */
export async function plugins(checks: Checks, port: number): Promise<void> {
  if (!hasStockServer('plugins')) return;
  const cluster = await new Cluster({ side: 'etcd', programs: await findEtcd(), port, size: 1 }).start();
  const directory = path.join(cluster.directory, 'plugins');
  mkdirSync(directory, { recursive: true });
  const hook = await startImageHook(directory, port + 30);
  const config = path.join(directory, 'admission.yaml');
  writeFileSync(config, admissionConfig(hook.kubeconfig));
  const tokenFile = path.join(directory, 'tokens.csv');
  writeFileSync(tokenFile, tokens);
  const sides = async (
    name: string,
    offset: number,
    more: readonly string[],
  ): Promise<ApiServerProcess[]> => {
    const of = (kind: 'stock' | 'ours', index: number): Promise<ApiServerProcess> =>
      startServer(kind, {
        directory,
        etcd: cluster.endpoints,
        port: port + offset + index,
        args: [`--etcd-prefix=/${name}-${kind}`, `--token-auth-file=${tokenFile}`, ...more],
      });
    return [await of('stock', 0), await of('ours', 1)];
  };
  const bothReady = (servers: readonly ApiServerProcess[], what: string): Promise<boolean> =>
    checks.check(
      `plugins: both servers are ready with ${what}`,
      async () => {
        for (const server of servers)
          if ((await server.ask('/readyz')).status !== 200) throw new Error(server.kind);
      },
      90_000,
    );
  try {
    const servers = await sides('all', 40, [
      `--enable-admission-plugins=${optionalPlugins.join(',')}`,
      '--disable-admission-plugins=ServiceAccount',
      `--admission-control-config-file=${config}`,
      '--default-not-ready-toleration-seconds=11',
      '--default-unreachable-toleration-seconds=12',
    ]);
    try {
      if (await bothReady(servers, optionalPlugins.join(', '))) {
        for (const exchange of exchanges) await compare(checks, servers, exchange);
        await rateLimit(checks, servers);
      }
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
    await provisioned(checks, sides, bothReady);
    const plain = await sides('releases', 48, ['--disable-admission-plugins=ServiceAccount']);
    try {
      if (await bothReady(plain, 'PodSecurity')) await podSecurityReleases(checks, plain);
    } finally {
      await Promise.all(plain.map((server) => server.stop()));
    }
    await refusals(checks, directory, port + 60, cluster.endpoints);
  } finally {
    hook.stop();
    await cluster.stop();
  }
}

async function compare(
  checks: Checks,
  servers: readonly ApiServerProcess[],
  exchange: Exchange,
): Promise<void> {
  const { name, token, method, target, body } = exchange;
  await checks.check(`plugins: ${name}`, async () => {
    const answers = [];
    for (const server of servers) {
      const answer = await server.ask(target, {
        ...(method === undefined ? {} : { method }),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(method === 'PATCH' ? { contentType: 'application/merge-patch+json' } : {}),
        ...(token === undefined ? {} : { asAdmin: false, headers: { authorization: `Bearer ${token}` } }),
      });
      answers.push(comparable(answer));
    }
    const [stock, ours] = answers;
    if (stock !== ours) throw new Error(`\n  stock ${stock}\n  ours  ${ours}`);
    if (exchange.status !== undefined && !stock?.startsWith(String(exchange.status)))
      throw new Error(`wanted ${exchange.status}, both say ${stock}`);
  });
}

/** Which request is the first too many depends on time; the texts and that there are some do not. */
async function rateLimit(checks: Checks, servers: readonly ApiServerProcess[]): Promise<void> {
  await checks.check('plugins: EventRateLimit', async () => {
    const texts: string[] = [];
    for (const server of servers) {
      const answers = [];
      for (let index = 0; index < 12; index++) {
        const event = {
          metadata: { name: `e${index}` },
          involvedObject: { kind: 'Pod', namespace: 'plain', name: 'p', uid: 'u-1', apiVersion: 'v1' },
          source: { component: 'kubelet', host: 'n1' },
          reason: 'Test',
          type: 'Normal',
        };
        answers.push(await server.ask('/api/v1/namespaces/plain/events', { body: JSON.stringify(event) }));
      }
      if (answers[0]?.status !== 201) throw new Error(`${server.kind}: ${answers[0]?.body}`);
      const refused = answers.find(({ status }) => status === 429);
      if (refused === undefined) throw new Error(`${server.kind} refused nothing`);
      texts.push(`${refused.headers['retry-after'] as string} ${comparable(refused)}`);
    }
    if (texts[0] !== texts[1]) throw new Error(`\n  stock ${texts[0]}\n  ours  ${texts[1]}`);
  });
}

async function provisioned(
  checks: Checks,
  sides: (name: string, offset: number, more: readonly string[]) => Promise<ApiServerProcess[]>,
  bothReady: (servers: readonly ApiServerProcess[], what: string) => Promise<boolean>,
): Promise<void> {
  const servers = await sides('provision', 44, [
    '--admission-control=NamespaceAutoProvision,NamespaceLifecycle,NamespaceExists,AlwaysAdmit',
  ]);
  try {
    if (!(await bothReady(servers, '--admission-control'))) return;
    const config = { metadata: { name: 'c' } };
    await compare(checks, servers, {
      name: 'NamespaceAutoProvision makes the namespace',
      target: '/api/v1/namespaces/young/configmaps',
      body: config,
      status: 201,
    });
    await compare(checks, servers, {
      name: '… which is there',
      target: '/api/v1/namespaces/young',
      status: 200,
    });
    await compare(checks, servers, {
      name: '… but not for a dry run',
      target: '/api/v1/namespaces/none/configmaps?dryRun=All',
      body: config,
      status: 404,
    });
    await compare(checks, servers, {
      name: 'NamespaceExists',
      method: 'DELETE',
      target: '/api/v1/namespaces/none/configmaps/c',
    });
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** Starts that both must refuse, for the same reason. */
async function refusals(checks: Checks, directory: string, port: number, etcd: string): Promise<void> {
  for (const { name, args, file, text } of refusedStarts) {
    await checks.check(`plugins: a start is refused: ${name}`, async () => {
      const config = path.join(directory, 'refused.yaml');
      if (file !== undefined) writeFileSync(config, file);
      for (const kind of ['stock', 'ours'] as const) {
        const server = await startServer(kind, {
          directory,
          etcd,
          port: port + (kind === 'stock' ? 0 : 1),
          args: [...args, ...(file === undefined ? [] : [`--admission-control-config-file=${config}`])],
        });
        const before = server.log().length;
        try {
          for (let waited = 0; ; waited++) {
            const log = server
              .log()
              .slice(Math.max(0, before - 20_000))
              .replaceAll('\\"', '"');
            if (log.includes(text)) break;
            if (waited > 150) throw new Error(`${kind} does not say "${text}":\n${log.slice(-1500)}`);
            await pause(200);
          }
        } finally {
          await server.stop();
          writeFileSync(server.logFile, '');
        }
      }
    });
  }
}

/** Refuses images with `bad` in their name; images with `annotated` get an audit annotation. */
async function startImageHook(
  directory: string,
  port: number,
): Promise<{ kubeconfig: string; stop: () => void }> {
  const pki = await ensurePki(path.join(directory, 'hook-pki'), { hosts: ['127.0.0.1', 'localhost'] });
  const now = Date.now();
  const tls = await issueCertificate(pki.ca, {
    commonName: 'images',
    hosts: ['localhost', '127.0.0.1'],
    usage: 'server',
    notBefore: now - 60_000,
    notAfter: now + 3_600_000,
  });
  const server = https.createServer({ cert: tls.certPem, key: tls.keyPem }, (request, response) => {
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => {
      const review = JSON.parse(text) as {
        spec: { containers?: { image?: string }[]; annotations?: Record<string, string>; namespace?: string };
      };
      const images = (review.spec.containers ?? []).map(({ image = '' }) => image);
      const allowed = !images.some((image) => image.includes('bad'));
      const reason = images.some((image) => image.includes('silent'))
        ? ''
        : `${images.join()} ${JSON.stringify(review.spec.annotations ?? {})} in ${review.spec.namespace}`;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ ...review, status: { allowed, reason } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const kubeconfig = path.join(directory, 'images.yaml');
  writeFileSync(
    kubeconfig,
    `apiVersion: v1
kind: Config
clusters: [{name: images, cluster: {server: "https://localhost:${port}/review", certificate-authority: ${path.join(pki.directory, 'ca.crt')}}}]
users: [{name: server, user: {token: abc}}]
contexts: [{name: images, context: {cluster: images, user: server}}]
current-context: images
`,
  );
  return { kubeconfig, stop: () => server.close() };
}
