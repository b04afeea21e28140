import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import type { CommandResult } from '../checks.ts';
import { run } from '../checks.ts';
import { preparePython, repository } from '../tools.ts';
import type { ClientContext } from './suite.ts';
import { buildGo, clientsDirectory, findProgram } from './suite.ts';

/** Takes over the lines `ok    WHAT` and `FAIL  WHAT` of a program; a bad end without a line of its own is one more failure. */
function adopt({ checks }: ClientContext, title: string, result: CommandResult): void {
  process.stdout.write(result.stdout);
  let seen = 0;
  for (const line of result.stdout.split('\n')) {
    const match = /^(ok|FAIL) {2,}(.*)$/.exec(line);
    if (!match) continue;
    seen++;
    if (match[1] === 'ok') checks.passed++;
    else checks.failures.push(match[2] as string);
  }
  if (result.code !== 0 || seen === 0) {
    process.stdout.write(`${result.stderr.slice(-4000)}\n`);
    if (checks.failures.length === 0) checks.failures.push(`${title} ended with ${result.code}`);
  }
}

export async function clientGo(context: ClientContext): Promise<void> {
  const program = await buildGo('go', './suite', 'client-go-suite');
  const env = { KUBECONFIG: context.kubeconfig };
  adopt(context, 'client-go', await run(program, [], { env, timeoutMs: 90_000 }));
}

export async function python(context: ClientContext): Promise<void> {
  const interpreter = await preparePython();
  if (interpreter === undefined) throw new Error('There is no Python here');
  const script = path.join(clientsDirectory, 'python', 'suite.py');
  const env = { KUBECONFIG: context.kubeconfig, PYTHONUNBUFFERED: '1' };
  adopt(context, 'python', await run(interpreter, [script], { env, timeoutMs: 90_000 }));
}

export async function clientNode(context: ClientContext): Promise<void> {
  const script = path.join(clientsDirectory, 'node', 'suite.mjs');
  const env = { KUBECONFIG: context.kubeconfig };
  adopt(context, 'client-node', await run(process.execPath, [script], { env, timeoutMs: 90_000 }));
}

/** envtest starts `etcd`, `kube-apiserver` and `kubectl` of a directory: ours, but for kubectl. */
export async function operator(context: ClientContext): Promise<void> {
  const assets = path.join(context.scratch, 'assets');
  mkdirSync(assets);
  const bin = (service: string, name: string): string =>
    path.join(repository, 'services', service, 'bin', name);
  symlinkSync(bin('store', 'etcd'), path.join(assets, 'etcd'));
  symlinkSync(bin('apiserver', 'kube-apiserver'), path.join(assets, 'kube-apiserver'));
  const kubectl = (await run('sh', ['-c', `command -v ${findProgram('kubectl')}`])).stdout.trim();
  symlinkSync(kubectl, path.join(assets, 'kubectl'));
  const cwd = path.join(clientsDirectory, 'operator');
  const binary = path.join(context.scratch, 'operator.test');
  const built = await run('go', ['test', '-c', '-o', binary, '.'], { cwd, timeoutMs: 15 * 60_000 });
  if (built.code !== 0) throw new Error(`${built.stdout}${built.stderr}`);
  const result = await run(binary, ['-test.v', '-test.timeout=100s'], {
    cwd,
    env: {
      KUBEBUILDER_ASSETS: assets,
      ...(context.kubeconfig === '' ? {} : { KUBECONFIG: context.kubeconfig, USE_EXISTING_CLUSTER: 'true' }),
    },
    timeoutMs: 120_000,
  });
  const stdout = result.stdout
    .replaceAll(/^--- PASS: (\S+).*$/gm, 'ok    $1')
    .replaceAll(/^--- FAIL: (\S+).*$/gm, 'FAIL  $1');
  adopt(context, 'operator', { ...result, stdout: stdout.replaceAll(/^=== .*\n/gm, '') });
}
