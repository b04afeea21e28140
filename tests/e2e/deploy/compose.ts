import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Checks, CommandResult } from '../checks.ts';
import { expectResult, run } from '../checks.ts';
import type { Tools } from '../tools.ts';
import { repository } from '../tools.ts';
import { tour } from '../tour/tour.ts';

const image = 'pilothouse:e2e';
const project = 'pilothouse-e2e';
const folder = path.join(repository, 'deploy', 'compose');
const file = path.join(folder, 'compose.yaml');
const docker = (args: readonly string[], timeoutMs = 60_000): Promise<CommandResult> =>
  run('docker', args, { timeoutMs, env: { DOCKER_BUILDKIT: '0' } });

/** Version 2 of compose is a plugin of docker, version 1 a program. */
async function composeCommand(): Promise<readonly string[] | undefined> {
  if ((await run('docker', ['compose', 'version'])).code === 0) return ['docker', 'compose'];
  if ((await run('docker-compose', ['version'])).code === 0) return ['docker-compose'];
  return undefined;
}

/** What the image must be, whoever runs it. */
async function imageChecks(checks: Checks, twice: boolean): Promise<void> {
  await checks.check(
    'the image: nobody’s root, with an init, and no shell in its health checks',
    async () => {
      const answer = await docker(['inspect', '--format', '{{json .Config}}', image]);
      const config = JSON.parse(answer.stdout) as { User: string; Entrypoint: string[] };
      if (config.User !== '65532:65532') throw new Error(`It runs as "${config.User}"`);
      if (config.Entrypoint[0] !== 'tini') throw new Error(`It starts with ${config.Entrypoint.join(' ')}`);
    },
  );
  const once = ['run', '--rm', '--read-only', '--network', 'none', '--cap-drop', 'ALL'];
  await checks.check('the image runs with a read-only root and without capabilities', async () =>
    expectResult('help', await docker([...once, image, 'help']), { matches: [/pilothouse up/] }),
  );
  await checks.check('the probe tells a port where nobody listens', async () =>
    expectResult(
      'probe',
      await docker([...once, '--entrypoint', 'pilothouse-probe', image, 'http://localhost:1/readyz']),
      { code: 1 },
    ),
  );
  const read = "process.stdout.write(require('fs').readFileSync('/app/sbom.spdx.json'))";
  await checks.check('the image carries its bill of materials', async () => {
    const answer = await docker([...once, '--entrypoint', 'node', image, '-e', read]);
    const bill = JSON.parse(answer.stdout) as { spdxVersion: string; packages: unknown[] };
    if (!bill.spdxVersion.startsWith('SPDX-') || bill.packages.length < 20)
      throw new Error(`${bill.spdxVersion} with ${bill.packages.length} packages`);
  });
  if (!twice) {
    process.stdout.write('SKIPPED two builds give the same files: pass --twice (it doubles the time)\n');
    return;
  }
  await checks.check('two builds give the same files', async () => {
    const hash = async (name: string): Promise<string> =>
      (
        await docker(
          [
            ...once,
            '--entrypoint',
            'sh',
            name,
            '-c',
            'cd /app && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum',
          ],
          120_000,
        )
      ).stdout;
    const again = `${image}-again`;
    expectResult('build', await build(again, ['--no-cache']), {});
    const [a, b] = [await hash(image), await hash(again)];
    await docker(['rmi', again]);
    if (a !== b || a === '') throw new Error(`${a} and ${b}`);
  });
}

const build = (name: string, more: readonly string[] = []): Promise<CommandResult> =>
  docker(
    [
      'build',
      '--network=host',
      '-q',
      ...more,
      '-f',
      path.join(repository, 'deploy/images/Dockerfile'),
      '-t',
      name,
      repository,
    ],
    15 * 60_000,
  );

/** Builds the images, runs the compose plane, tours it through HAProxy, drills it, and takes everything down. */
export async function composePlane(
  checks: Checks,
  tools: Tools,
  port: number,
  options: { readonly twice: boolean },
): Promise<void> {
  const compose = await composeCommand();
  if (compose === undefined || (await docker(['info'])).code !== 0) {
    process.stdout.write('SKIPPED compose: no Docker daemon answers, or docker compose is not installed\n');
    return;
  }
  const have = async (name: string): Promise<boolean> =>
    (await docker(['image', 'inspect', name])).code === 0;
  if (!(await have('node:20-bookworm-slim')) || !(await have('haproxy:2.6'))) {
    const pulled = await Promise.all(
      ['node:20-bookworm-slim', 'haproxy:2.6'].map((name) => docker(['pull', '-q', name], 120_000)),
    );
    if (pulled.some((each) => each.code !== 0)) {
      const made = await run(
        'bash',
        [path.join(repository, 'deploy/images/local-base.sh'), 'node', 'haproxy'],
        {
          timeoutMs: 10 * 60_000,
        },
      );
      expectResult('local-base.sh', made, {});
    }
  }
  const built = await checks.check('the image builds', async () =>
    expectResult('build', await build(image), {}),
  );
  if (!built) return;
  await imageChecks(checks, options.twice);

  const env = {
    COMPOSE_PROJECT_NAME: project,
    PILOTHOUSE_IMAGE: image,
    PILOTHOUSE_PORT: String(port),
  };
  const composed = (args: readonly string[], timeoutMs = 60_000): Promise<CommandResult> => {
    const [program, ...rest] = compose as readonly [string, ...string[]];
    return run(program, [...rest, '-f', file, ...args], { env, timeoutMs, cwd: folder });
  };
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-compose-'));
  const kubeconfig = path.join(scratch, 'admin.yaml');
  try {
    await checks.check('compose.yaml is valid', async () =>
      expectResult('config', await composed(['config', '-q']), {}),
    );
    const started = process.hrtime.bigint();
    const up = await checks.check('compose up', async () =>
      expectResult('up', await composed(['up', '-d'], 240_000), {}),
    );
    if (!up) {
      process.stdout.write((await composed(['logs', '--tail=20'])).stdout);
      return;
    }
    await checks.check(
      'every container is healthy',
      async () => {
        const ps = await docker([
          'ps',
          '-a',
          '--filter',
          `label=com.docker.compose.project=${project}`,
          '--format',
          '{{.Names}} {{.Status}}',
        ]);
        const bad = ps.stdout
          .trim()
          .split('\n')
          .filter((line) => !/\(healthy\)|certs.*Exited \(0\)|(haproxy|node-\d).* Up /.test(line));
        if (bad.length > 0) throw new Error(bad.join('\n'));
      },
      120_000,
    );
    process.stdout.write(
      `      up and healthy after ${(Number(process.hrtime.bigint() - started) / 1e9).toFixed(1)} s\n`,
    );
    const id = (await composed(['ps', '-q', 'store-0'])).stdout.trim();
    expectResult('cp', await docker(['cp', `${id}:/kubeconfig/admin.yaml`, kubeconfig]), {});
    await tour(checks, tools, kubeconfig, undefined);
    await checks.check('the store’s leader is killed under load: nothing is lost', async () => {
      const drill = await run(
        process.execPath,
        [
          path.join(repository, 'services/cli/bin/pilothouse'),
          'drill',
          'kill-leader',
          '--compose',
          file,
          '-o',
          'json',
          '--report',
          path.join(scratch, 'drill.html'),
        ],
        { env, timeoutMs: 120_000 },
      );
      expectResult('drill', drill, { matches: [/"lostAcknowledgedWrites": 0/, /"staleReads": 0/] });
      process.stdout.write(`      ${drill.stderr.trim().split('\n').at(-1)}\n`);
      if (!existsSync(path.join(scratch, 'drill.html'))) throw new Error('There is no report');
    });
  } finally {
    const down = await composed(['down', '-v', '--timeout', '10'], 120_000);
    await checks.check('compose down leaves nothing behind', async () => {
      expectResult('down', down, {});
      const left = await docker(['ps', '-aq', '--filter', `label=com.docker.compose.project=${project}`]);
      if (left.stdout.trim() !== '') throw new Error(left.stdout);
    });
    rmSync(scratch, { recursive: true, force: true });
  }
}
