import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { RenewableTransport } from '@pilothouse/client';
import { createHttp2Transport, followKubeconfig, loadKubeconfig } from '@pilothouse/client';
import { FileWatcher, nodeClock } from '@pilothouse/host';
import { expectResult, run, type Checks, type CommandResult } from '../checks.ts';
import { startPlane, type Plane } from '../plane.ts';
import { repository } from '../tools.ts';

const pilothouse = path.join(repository, 'services', 'cli', 'bin', 'pilothouse');
const requestPauseMs = 20;

/** Requests that go on all the time and what became of them. */
class Load {
  sent = 0;
  readonly failures: string[] = [];
  watched = 0;
  readonly #transport: RenewableTransport;
  readonly #watcher = new FileWatcher();
  #stopped = false;
  #done: Promise<unknown> = Promise.resolve();

  /** A client as client-go's: it reads its kubeconfig again when that changes. */
  constructor(kubeconfig: string) {
    this.#transport = createHttp2Transport(loadKubeconfig(kubeconfig), nodeClock);
    followKubeconfig(this.#watcher, kubeconfig, (renewed) => this.#transport.use(renewed));
  }

  start(): void {
    this.#done = Promise.all([this.#requests(0), this.#requests(1), this.#watch()]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watcher.close();
    await this.#done;
    this.#transport.close();
  }

  async #ask(method: 'GET' | 'PATCH' | 'POST', target: string, body?: object): Promise<number> {
    const answer = await this.#transport.request({
      method,
      path: target,
      ...(body === undefined
        ? {}
        : {
            body: JSON.stringify(body),
            headers: {
              'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
            },
          }),
    });
    for await (const _ of answer.body);
    return answer.status;
  }

  async #requests(worker: number): Promise<void> {
    const maps = '/api/v1/namespaces/default/configmaps';
    const name = `load-${worker}`;
    await this.#ask('POST', maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
    for (let round = 0; !this.#stopped; round++) {
      const isWrite = round % 2 === 0;
      this.sent++;
      try {
        const status = isWrite
          ? await this.#ask('PATCH', `${maps}/${name}`, { data: { round: String(round) } })
          : await this.#ask('GET', `${maps}/${name}`);
        if (status !== 200) this.failures.push(`${isWrite ? 'PATCH' : 'GET'}: status ${status}`);
      } catch (error) {
        this.failures.push(`${isWrite ? 'PATCH' : 'GET'}: ${(error as Error).message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, requestPauseMs));
    }
  }

  /** One watch over the whole time; it must never break. */
  async #watch(): Promise<void> {
    const end = new AbortController();
    const stopping = setInterval(() => {
      if (this.#stopped) end.abort();
    }, 100);
    try {
      const answer = await this.#transport.request({
        method: 'GET',
        path: '/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=1800',
        signal: end.signal,
      });
      if (answer.status !== 200) this.failures.push(`watch: status ${answer.status}`);
      for await (const _ of answer.body) this.watched++;
      this.failures.push('watch: ended');
    } catch (error) {
      if (!this.#stopped) this.failures.push(`watch: ${(error as Error).message}`);
    } finally {
      clearInterval(stopping);
    }
  }
}

/** Renewal, replacement of authorities and keys, and revocation on a plane under load. */
export async function rotation(checks: Checks, port: number, kubectl: string): Promise<void> {
  const plane = await startPlane({
    port,
    args: [
      ...['--members=3', '--replicas=2', '--schedulers=1', '--controller-managers=1', '--nodes=1'],
      '--certificate-lifetime=2m',
    ],
  });
  const load = new Load(plane.kubeconfig);
  try {
    load.start();
    await renewal(checks, plane);
    await authorities(checks, plane, kubectl);
    await tokenKeys(checks, plane, kubectl);
    await load.stop();
    await checks.check(`no request of ${load.sent} failed, and one watch saw it all`, () => {
      if (load.failures.length > 0 || load.watched < 100)
        throw new Error(
          `${load.failures.length} failures, ${load.watched} pieces watched: ${load.failures.slice(0, 8).join('; ')}`,
        );
      return Promise.resolve();
    });
    await revocation(checks, plane, kubectl);
  } finally {
    await load.stop();
    await plane.stop();
  }
}

const certs = (args: readonly string[], timeoutMs = 400_000): Promise<CommandResult> =>
  run(process.execPath, [pilothouse, 'certs', ...args], { timeoutMs });

const pkiText = (plane: Plane, name: string): string =>
  readFileSync(path.join(plane.dataDir, 'pki', name), 'utf8');

async function renewal(checks: Checks, plane: Plane): Promise<void> {
  const first = new Map(
    ['apiserver.crt', 'etcd/peer.crt', 'nodes/node-0.crt', 'admin.crt'].map((name) => [
      name,
      pkiText(plane, name),
    ]),
  );
  await checks.check(
    'renewal: leaves that live two minutes are renewed by the running plane',
    () => {
      for (const [name, text] of first)
        if (pkiText(plane, name) === text) throw new Error(`${name} is still the first`);
      return Promise.resolve();
    },
    150_000,
  );
  await checks.check(
    'renewal: every process still answers with a certificate in its time',
    async () => {
      const { processes } = await plane.status();
      const late = processes.filter((each) => !each.ready);
      if (late.length > 0) throw new Error(late.map((each) => each.name).join());
    },
    30_000,
  );
}

async function authorities(checks: Checks, plane: Plane, kubectl: string): Promise<void> {
  const before = plane.kubeconfig.replace(/\.yaml$/, '-before.yaml');
  writeFileSync(before, readFileSync(plane.kubeconfig), { mode: 0o600 });
  const old = new Map(
    ['ca.crt', 'etcd/ca.crt', 'front-proxy-ca.crt'].map((name) => [name, pkiText(plane, name)]),
  );
  await checks.check('authorities: rotate-ca takes its three steps', async () => {
    const result = await certs(['rotate-ca', '--data-dir', plane.dataDir]);
    process.stdout.write(
      result.stdout
        .split('\n')
        .map((line) => `      ${line}\n`)
        .join(''),
    );
    expectResult('rotate-ca', result, { matches: [/Only the new authorities are trusted/] });
  });
  await checks.check('authorities: nothing of the old ones is left', () => {
    for (const [name, text] of old) {
      const now = pkiText(plane, name);
      if (now === text || (now.match(/BEGIN CERTIFICATE/g)?.length ?? 0) !== 1)
        throw new Error(`${name} is not one new certificate`);
    }
    const issuer = new X509Certificate(pkiText(plane, 'ca.crt'));
    for (const name of ['apiserver', 'admin', 'scheduler', 'controller-manager', 'nodes/node-0'])
      if (!new X509Certificate(pkiText(plane, `${name}.crt`)).verify(issuer.publicKey))
        throw new Error(`${name} is of the old authority`);
    return Promise.resolve();
  });
  await checks.check('authorities: a kubeconfig from before is refused', async () => {
    const { code, stderr } = await run(kubectl, ['--kubeconfig', before, 'get', 'nodes']);
    if (code === 0 || !/certificate/.test(stderr)) throw new Error(`exit ${code}: ${stderr}`);
  });
  const kube = (...args: string[]): Promise<CommandResult> =>
    run(kubectl, ['--kubeconfig', plane.kubeconfig, ...args]);
  await checks.check('authorities: scheduler, controllers and node work on with their new ones', async () => {
    expectResult('create', await kube('create', 'deployment', 'after', '--image=nginx', '--replicas=2'), {});
    expectResult('rollout', await kube('rollout', 'status', 'deployment/after', '--timeout=50s'), {});
    expectResult(
      'root',
      await kube('get', 'configmap', 'kube-root-ca.crt', '-o', 'jsonpath={.data.ca\\.crt}'),
      {
        matches: [new RegExp(pkiText(plane, 'ca.crt').split('\n')[3]?.replace(/[+/]/g, '.') ?? 'x')],
      },
    );
  });
  await checks.check('authorities: store members find each other again', async () => {
    const { processes } = await plane.status();
    const late = processes.filter((each) => each.component === 'store' && !each.ready);
    if (late.length > 0) throw new Error(late.map((each) => each.name).join());
  });
}

async function tokenKeys(checks: Checks, plane: Plane, kubectl: string): Promise<void> {
  const token = async (): Promise<string> => {
    const result = await run(kubectl, ['--kubeconfig', plane.kubeconfig, 'create', 'token', 'default']);
    expectResult('create token', result, {});
    return result.stdout.trim();
  };
  const review = async (text: string): Promise<boolean> => {
    const result = await run(
      kubectl,
      ['--kubeconfig', plane.kubeconfig, 'create', '-f', '-', '-o', 'jsonpath={.status.authenticated}'],
      {
        input: JSON.stringify({
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token: text },
        }),
      },
    );
    expectResult('TokenReview', result, {});
    return result.stdout.trim() === 'true';
  };
  const old = await token();
  await checks.check(
    'token key: trusted, then it signs, and the old one stays good for a while',
    async () => {
      expectResult('rotate-sa', await certs(['rotate-sa', '--data-dir', plane.dataDir]), {
        matches: [/run this again after/],
      });
      if (!(await review(old)) || !(await review(await token()))) throw new Error('a token is refused');
    },
  );
  await checks.check('token key: dropped, tokens of the old one are refused, controllers go on', async () => {
    expectResult('rotate-sa', await certs(['rotate-sa', '--data-dir', plane.dataDir, '--keep-old=0s']), {
      matches: [/Only tokens of the new key are good/],
    });
    if (await review(old)) throw new Error('the old token is still good');
    if (!(await review(await token()))) throw new Error('a new token is refused');
    const scaled = await run(kubectl, [
      ...['--kubeconfig', plane.kubeconfig],
      ...['scale', 'deployment/after', '--replicas=3'],
    ]);
    expectResult('scale', scaled, {});
    const status = await run(kubectl, [
      ...['--kubeconfig', plane.kubeconfig],
      ...['rollout', 'status', 'deployment/after', '--timeout=50s'],
    ]);
    expectResult('rollout', status, {});
  });
}

async function revocation(checks: Checks, plane: Plane, kubectl: string): Promise<void> {
  const kept = plane.kubeconfig.replace(/\.yaml$/, '-revoked.yaml');
  writeFileSync(kept, readFileSync(plane.kubeconfig), { mode: 0o600 });
  await checks.check('revocation: a revoked administrator gets 401, its successor does not', async () => {
    expectResult('revoke', await certs(['revoke', '--data-dir', plane.dataDir, 'admin']), {
      matches: [/Revoked in .*ca\.crl/],
    });
    const pki = path.join(plane.dataDir, 'pki');
    const kubeconfigs = path.dirname(plane.kubeconfig);
    expectResult(
      'renew',
      await certs([
        'renew',
        `--cert-dir=${pki}`,
        `--kubeconfig-dir=${kubeconfigs}`,
        `--server=${plane.server}`,
        'admin',
      ]),
      { matches: [/admin/] },
    );
  });
  await checks.check(
    'revocation: within seconds',
    async () => {
      const { code, stderr } = await run(kubectl, ['--kubeconfig', kept, 'get', 'nodes']);
      if (code === 0 || !/Unauthorized|logged in/.test(stderr)) throw new Error(`exit ${code}: ${stderr}`);
      expectResult('get', await run(kubectl, ['--kubeconfig', plane.kubeconfig, 'get', 'nodes']), {
        matches: [/node-0/],
      });
    },
    10_000,
  );
}
