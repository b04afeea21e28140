import { writeFileSync } from 'node:fs';
import { ensurePki } from '@pilothouse/host';
import { expectResult, run } from '../checks.ts';
import type { Checks } from '../checks.ts';
import { apiServerCommand, freePorts, pause, type Scratch } from './scratch.ts';

/** How long a server that has no store is watched. */
const patienceMs = 4000;

/** `pilothouse apiserver` with flags that cannot work. */
export async function apiServerCases(checks: Checks, scratch: Scratch): Promise<void> {
  const pki = await ensurePki(scratch.path('pki'));
  const [port] = (await freePorts(1)) as [number];
  const args = (...extra: string[]): string[] => [...apiServerCommand(pki, port), ...extra];
  const refuses = (name: string, extra: readonly string[], matches: readonly RegExp[]): Promise<boolean> =>
    checks.check(`API server: ${name}`, async () =>
      expectResult(
        'the API server',
        await run(process.execPath, args(...extra), { timeoutMs: 20_000, cwd: scratch.directory }),
        { code: 1, matches, lacks: [/\n\s+at /] },
      ),
    );

  await refuses(
    'a certificate file that is not there',
    ['--tls-cert-file=/nowhere/server.crt'],
    [/\/nowhere\/server\.crt/, /--tls-cert-file/],
  );
  await refuses(
    'a key that is not of the certificate',
    [`--tls-private-key-file=${pki.admin.keyFile}`],
    [/--tls-cert-file/, /--tls-private-key-file/],
  );
  const noCertificate = scratch.path('no-certificate.pem');
  writeFileSync(noCertificate, 'not PEM');
  await refuses(
    'a certificate for the store that is none',
    [
      '--etcd-servers=https://127.0.0.1:1',
      `--etcd-certfile=${noCertificate}`,
      `--etcd-keyfile=${pki.apiServerStoreClient.keyFile}`,
    ],
    [/no-certificate\.pem/, /--etcd-certfile/],
  );
  await refuses(
    'a client CA that is not there',
    ['--client-ca-file=/nowhere/ca.crt'],
    [/\/nowhere\/ca\.crt/, /--client-ca-file/],
  );
  await refuses(
    'an unknown flag',
    ['--etcd-server=http://127.0.0.1:1'],
    [/--etcd-server\b/, /--etcd-servers\b/],
  );
  await refuses('a value that is not a number', ['--secure-port=https'], [/--secure-port/, /https/]);
  const taken = await scratch.occupy();
  await refuses(
    'a port in use',
    [`--secure-port=${taken}`],
    [new RegExp(String(taken)), /in use/, /--secure-port/],
  );

  await checks.check('API server: a store that does not answer is waited for, and said', async () => {
    const [nobody] = (await freePorts(1)) as [number];
    const started = scratch.start(args(`--etcd-servers=http://127.0.0.1:${nobody}`));
    await pause(patienceMs);
    const code = started.exitCode();
    await started.end('SIGTERM');
    if (code !== undefined) throw new Error(`It ended with ${code}\n${started.output()}`);
    if (!started.output().includes('Waiting for the store') || !started.output().includes(String(nobody)))
      throw new Error(`It does not say that it waits for port ${nobody}\n${started.output()}`);
  });
}
