import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Checks } from '../checks.ts';
import { expectResult, run } from '../checks.ts';
import { commandWith, findProgram } from '../clients/suite.ts';
import { startPlane } from '../plane.ts';
import { repository } from '../tools.ts';

const pilothouse = path.join(repository, 'services', 'cli', 'bin', 'pilothouse');
const bucket = 'backups';
const pattern = /^pilothouse-\d{8}T\d{6}Z\.db$/;
/** Distance of the S3 server's port from the plane's. */
const portOffset = 95;

/** The server does not check signatures, but what nobody signed it takes for the public, which may read nothing. */
const somebody =
  'AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0';

/** Scheduled backups to a directory and to an S3-compatible server, and a plane that is brought back from one. */
export async function backups(checks: Checks, port: number): Promise<void> {
  const small = ['--members=1', '--replicas=1', '--nodes=0', '--schedulers=0', '--controller-managers=0'];
  const plane = await startPlane({ port, args: small });
  const kubectl = commandWith(findProgram('kubectl'), plane.kubeconfig);
  const kept = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-kept-'));
  const cli = (args: readonly string[], env: Readonly<Record<string, string>> = {}): ReturnType<typeof run> =>
    run(process.execPath, [pilothouse, ...args], { env, timeoutMs: 120_000 });
  const list = (): string[] => readdirSync(kept).sort();
  try {
    expectResult('create', await kubectl(['create', 'configmap', 'kept', '--from-literal=a=1']), {});
    await checks.check('a schedule keeps the newest two, each proved by a restore', async () => {
      const child = spawn(
        process.execPath,
        [pilothouse, 'backup', '--to', kept, '--keep', '2', '--schedule', '1s', '--data-dir', plane.dataDir],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let said = '';
      child.stdout.on('data', (piece: Buffer) => (said += piece.toString()));
      child.stderr.on('data', (piece: Buffer) => (said += piece.toString()));
      const ended = new Promise((resolve) => child.once('exit', resolve));
      for (let turn = 0; turn < 600 && !said.includes('; removed '); turn++)
        await new Promise((resolve) => setTimeout(resolve, 100));
      child.kill('SIGTERM');
      await ended;
      if (!/restored as a proof/.test(said) || /failed/.test(said)) throw new Error(said);
      const names = list().filter((each) => pattern.test(each));
      // It may have been ended between a new one and the end of an old one.
      if (!said.includes('; removed ') || names.length < 2 || names.length > 3)
        throw new Error(`${list().join(', ')}\n${said}`);
    });
    expectResult('delete', await kubectl(['delete', 'configmap', 'kept']), {});
    await checks.check('the plane comes back as the newest backup has it', async () => {
      const newest = list()
        .filter((each) => pattern.test(each))
        .at(-1) as string;
      expectResult('down', await cli(['down', '--data-dir', plane.dataDir]), {});
      const restored = await cli([
        'restore',
        path.join(kept, newest),
        '--data-dir',
        plane.dataDir,
        '--members=1',
        `--port=${port}`,
      ]);
      expectResult('restore', restored, {});
      const up = ['up', '--data-dir', plane.dataDir, '--port', String(port), ...small, '--detach'];
      expectResult('up', await cli(up), {});
      const answer = await kubectl(['get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}']);
      expectResult('get', answer, { matches: [/^1$/] });
    });
    await s3Backups(checks, plane.dataDir, port + portOffset, cli);
  } finally {
    await plane.stop();
    rmSync(kept, { recursive: true, force: true });
  }
}

/** MOTO_SERVER names the program of PyPI's moto[server]. */
async function s3Backups(
  checks: Checks,
  dataDir: string,
  port: number,
  cli: (args: readonly string[], env?: Readonly<Record<string, string>>) => ReturnType<typeof run>,
): Promise<void> {
  const program = process.env['MOTO_SERVER'] ?? 'moto_server';
  if ((await run(program, ['--help'])).code !== 0) {
    process.stdout.write(
      'SKIPPED backups to S3: there is no moto_server (pip install "moto[server]", or name it by MOTO_SERVER)\n',
    );
    return;
  }
  const server = spawn(program, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const endpoint = `http://127.0.0.1:${port}`;
  const env = {
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL: endpoint,
  };
  const keys = async (): Promise<string[]> => {
    const text = await (await fetch(`${endpoint}/${bucket}?list-type=2`)).text();
    return Array.from(text.matchAll(/<Key>([^<]+)<\/Key>/g), ([, key]) => key as string).sort();
  };
  try {
    const backupOnce = (): ReturnType<typeof run> =>
      cli(['backup', '--to', `s3://${bucket}/prod`, '--keep', '2', '--data-dir', dataDir], env);
    for (let turn = 0; turn < 300; turn++) {
      const made = await fetch(`${endpoint}/${bucket}`, { method: 'PUT' }).catch(() => undefined);
      if (made?.ok === true) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await checks.check('S3: three backups one after the other, the newest two stay', async () => {
      for (let turn = 0; turn < 3; turn++) {
        expectResult('backup', await backupOnce(), { matches: [/restored as a proof/] });
        // Names have seconds.
        await new Promise((resolve) => setTimeout(resolve, 1100));
      }
      const found = await keys();
      if (found.length !== 2 || !found.every((key) => pattern.test(key.replace(/^prod\//, ''))))
        throw new Error(found.join(', '));
    });
    await checks.check('S3: what is there is the backup itself', async () => {
      const scratch = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-s3-'));
      try {
        const [key = ''] = (await keys()).slice(-1);
        const file = path.join(scratch, 'backup.db');
        const answer = await fetch(`${endpoint}/${bucket}/${key}`, { headers: { authorization: somebody } });
        if (!answer.ok) throw new Error(`GET ${key}: ${answer.status}`);
        writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
        const member = ['--name=a', '--initial-cluster=a=http://127.0.0.1:1', '--member-dir'];
        expectResult('restore', await cli(['restore', file, ...member, path.join(scratch, 'member')]), {});
      } finally {
        rmSync(scratch, { recursive: true, force: true });
      }
    });
    await checks.check('S3: a bucket that is not there is named', async () =>
      expectResult('backup', await cli(['backup', '--to', 's3://nowhere', '--data-dir', dataDir], env), {
        code: 1,
        matches: [/s3:\/\/nowhere/, /NoSuchBucket|does not exist/],
      }),
    );
  } finally {
    server.kill();
  }
}
