import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expectResult, run, type Checks } from '../checks.ts';
import { repository } from '../tools.ts';
import { Cluster, findEtcd, type Side } from './cluster.ts';

const cache = path.join(os.homedir(), '.cache', 'pilothouse-e2e', 'etcd-clients');
const sources = path.join(repository, 'tests', 'e2e', 'clients', 'etcd');

interface Client {
  readonly name: string;
  readonly program: string;
  readonly args: (endpoints: readonly string[], directory: string) => readonly string[];
}

async function must(program: string, args: readonly string[], cwd: string): Promise<void> {
  const result = await run(program, args, { cwd, timeoutMs: 600_000 });
  if (result.code !== 0) throw new Error(`${program} ${args.join(' ')}\n${result.stdout}${result.stderr}`);
}

/** The client libraries from their registries, kept for the next run. What has no toolchain here is left out, loudly. */
async function prepareClients(): Promise<Client[]> {
  mkdirSync(cache, { recursive: true });
  const clients: Client[] = [];
  const python = path.join(cache, 'venv', 'bin', 'python');
  if (existsSync(python) || (await run('python3', ['--version'])).code === 0) {
    if (!existsSync(python)) await must('python3', ['-m', 'venv', path.join(cache, 'venv')], cache);
    // The last release knows only the protobuf and the tenacity of its time.
    if ((await run(python, ['-c', 'import etcd3'])).code !== 0)
      await must(
        python,
        ['-m', 'pip', 'install', '--quiet', 'etcd3==0.12.0', 'protobuf<3.21', 'tenacity<7'],
        cache,
      );
    clients.push({
      name: 'Python etcd3 0.12.0',
      program: python,
      args: ([first = ''], directory) => {
        const { hostname, port } = new URL(first);
        return [path.join(sources, 'python', 'tour.py'), hostname, port, path.join(directory, 'python.snap')];
      },
    });
  } else process.stdout.write('skip  the Python client: there is no python3\n');
  if (!existsSync(path.join(cache, 'node_modules', 'etcd3'))) {
    writeFileSync(path.join(cache, 'package.json'), '{"private":true}\n');
    await must('npm', ['install', '--no-audit', '--no-fund', '--silent', 'etcd3@1.1.2'], cache);
  }
  clients.push({
    name: 'npm etcd3 1.1.2',
    program: process.execPath,
    // Beside its packages, so that it finds them.
    args: (endpoints) => [path.join(cache, 'tour.mjs'), ...endpoints],
  });
  copyFileSync(path.join(sources, 'node', 'tour.mjs'), path.join(cache, 'tour.mjs'));
  if ((await run('go', ['version'])).code === 0) {
    const binary = path.join(cache, 'go-tour');
    await must('go', ['build', '-buildvcs=false', '-o', binary, '.'], path.join(sources, 'go'));
    clients.push({ name: 'Go clientv3 3.6.8', program: binary, args: (endpoints) => endpoints });
  } else process.stdout.write('skip  the Go client: there is no go\n');
  return clients;
}

/** Tours three client libraries through a real etcd, which proves the tours, and through our store. */
export async function etcdClients(checks: Checks, port: number): Promise<void> {
  const programs = await findEtcd();
  const clients = await prepareClients();
  for (const side of ['etcd', 'pilothouse'] satisfies Side[]) {
    const cluster = new Cluster({ side, programs, port: side === 'etcd' ? port : port + 20, size: 3 });
    try {
      await cluster.start();
      const endpoints = cluster.members.map(({ client }) => client);
      for (const { name, program, args } of clients) {
        await checks.check(`${name} on ${side === 'etcd' ? 'a real etcd' : 'our store'}`, async () => {
          const result = await run(program, args(endpoints, cluster.directory), { timeoutMs: 90_000 });
          process.stdout.write(result.stdout.replace(/^/gm, '      ').trimEnd() + '\n');
          expectResult(name, result, { lacks: [/FAIL/] });
        });
      }
    } finally {
      await cluster.stop();
    }
  }
}
