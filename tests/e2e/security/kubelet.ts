import { spawn, type ChildProcess } from 'node:child_process';
import { createHmac, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expectResult, run, type Checks, type CommandResult } from '../checks.ts';
import { startPlane } from '../plane.ts';
import { repository } from '../tools.ts';
import { serveContainerRuntime } from './container-runtime.ts';
import { peer } from '../stock/programs.ts';

const pilothouse = path.join(repository, 'services', 'cli', 'bin', 'pilothouse');
const nodeName = 'stock';
const withinMs = 90_000;

/** A stock kubelet joins with what `pilothouse join` prints: its certificates, its node, its serving certificate. */
export async function stockKubelet(checks: Checks, port: number, kubectl: string): Promise<void> {
  const kubelet = process.env['KUBELET'] ?? peer('kubelet');
  if (!existsSync(kubelet)) {
    process.stdout.write(
      `SKIP  stock kubelet: no ${kubelet}; build k8s.io/kubernetes/cmd/kubelet v1.36.3, set KUBELET\n`,
    );
    return;
  }
  if (process.getuid?.() !== 0) {
    process.stdout.write('SKIP  stock kubelet: it runs as root only\n');
    return;
  }
  const address = Object.values(os.networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address;
  if (address === undefined) {
    process.stdout.write(
      'SKIP  stock kubelet: this host has no address but loopback, which a kubelet refuses\n',
    );
    return;
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-kubelet-'));
  const plane = await startPlane({
    port,
    args: ['--members=1', '--replicas=1', '--schedulers=0', '--controller-managers=1', '--nodes=0'],
  });
  const socket = path.join(folder, 'runtime.sock');
  const endRuntime = await serveContainerRuntime(socket);
  let child: ChildProcess | undefined;
  const kube = (...args: string[]): Promise<CommandResult> =>
    run(kubectl, ['--kubeconfig', plane.kubeconfig, ...args]);
  try {
    const file = (name: string): string => path.join(folder, name);
    await checks.check('kubelet: pilothouse join prints a bootstrap kubeconfig', async () => {
      const joined = await run(process.execPath, [
        ...[pilothouse, 'join', '--data-dir', plane.dataDir],
        ...['--ttl=10m', '--output=kubeconfig'],
      ]);
      expectResult('join', joined, { matches: [/token: [a-z0-9]{6}\.[a-z0-9]{16}/] });
      writeFileSync(file('bootstrap.yaml'), joined.stdout, { mode: 0o600 });
    });
    writeFileSync(file('config.yaml'), configuration(plane.dataDir, address, port));
    const log = openSync(file('kubelet.log'), 'a');
    child = spawn(
      kubelet,
      [
        `--config=${file('config.yaml')}`,
        `--bootstrap-kubeconfig=${file('bootstrap.yaml')}`,
        `--kubeconfig=${file('kubelet.yaml')}`,
        `--cert-dir=${file('pki')}`,
        `--root-dir=${file('root')}`,
        `--hostname-override=${nodeName}`,
        `--node-ip=${address}`,
        `--container-runtime-endpoint=unix://${socket}`,
        '--v=2',
      ],
      { stdio: ['ignore', log, log] },
    );
    const isRunning = (): void => {
      if (child?.exitCode !== null)
        throw new Error(
          `The kubelet ended: ${readFileSync(file('kubelet.log'), 'utf8').trim().split('\n').slice(-5).join('\n')}`,
        );
    };
    await checks.check(
      'kubelet: its client certificate was asked for, approved, signed and written',
      () => {
        isRunning();
        const current = file('pki/kubelet-client-current.pem');
        if (!existsSync(current)) throw new Error('no kubelet-client-current.pem yet');
        const certificate = new X509Certificate(readFileSync(current));
        const { CN, O } = certificate.toLegacyObject().subject;
        if (String(CN) !== `system:node:${nodeName}` || String(O) !== 'system:nodes')
          throw new Error(certificate.subject);
        const authority = new X509Certificate(readFileSync(path.join(plane.dataDir, 'pki', 'ca.crt')));
        if (!certificate.verify(authority.publicKey)) throw new Error('of another authority');
        return Promise.resolve();
      },
      withinMs,
    );
    await checks.check(
      'kubelet: its request is told as approved and issued',
      async () => {
        expectResult('get csr', await kube('get', 'csr'), {
          matches: [
            /kubernetes\.io\/kube-apiserver-client-kubelet\s+system:bootstrap:[a-z0-9]{6}\s+\S+\s+Approved,Issued/,
          ],
        });
      },
      withinMs,
    );
    await checks.check(
      'kubelet: the node registers and is Ready',
      async () => {
        isRunning();
        expectResult('get node', await kube('get', 'node', nodeName), {
          matches: [new RegExp(`${nodeName}\\s+Ready\\b.*v1\\.36\\.3`)],
        });
      },
      withinMs,
    );
    await checks.check(
      'kubelet: it keeps a lease as itself',
      async () => {
        const path = 'jsonpath={.spec.holderIdentity}';
        expectResult('lease', await kube('-n', 'kube-node-lease', 'get', 'lease', nodeName, '-o', path), {
          matches: [/^stock$/],
        });
      },
      withinMs,
    );
    await clusterInfoSigned(checks, kube);
    await checks.check(
      'kubelet: its serving certificate is signed once somebody approves',
      async () => {
        isRunning();
        const pending = await kube(
          ...['get', 'csr', '-o'],
          `jsonpath={range .items[?(@.spec.signerName=="kubernetes.io/kubelet-serving")]}{.metadata.name}{"\\n"}{end}`,
        );
        const [name] = pending.stdout.trim().split('\n');
        if (name === undefined || name === '') throw new Error('no request for a serving certificate yet');
        expectResult('approve', await kube('certificate', 'approve', name), {});
        const written = readdirSync(file('pki')).find((each) => each === 'kubelet-server-current.pem');
        if (written === undefined) throw new Error('no kubelet-server-current.pem yet');
        const certificate = new X509Certificate(readFileSync(file(`pki/${written}`)));
        if (!(certificate.subjectAltName ?? '').includes(`IP Address:${address}`))
          throw new Error(certificate.subjectAltName);
      },
      withinMs,
    );
    await checks.check(
      'kubelet: the API server reaches it and believes its certificate',
      async () => {
        expectResult('proxy', await kube('get', '--raw', `/api/v1/nodes/${nodeName}/proxy/healthz`), {
          matches: [/^ok/],
        });
      },
      withinMs,
    );
  } finally {
    if (child?.exitCode === null) {
      const ended = new Promise((resolve) => child?.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    }
    endRuntime();
    // A kubelet binds its directory to itself.
    await run('umount', [path.join(folder, 'root')]);
    await plane.stop();
    if (process.env['KEEP'] === undefined) rmSync(folder, { recursive: true, force: true });
    else process.stdout.write(`kept ${folder}\n`);
  }
}

/** What kubeadm's discovery reads is signed by each bootstrap token, however it was made, and by none that is gone. */
async function clusterInfoSigned(
  checks: Checks,
  kube: (...args: string[]) => Promise<CommandResult>,
): Promise<void> {
  const [id, secret] = ['abc123', '0123456789abcdef'];
  const name = `bootstrap-token-${id}`;
  const info = async (): Promise<Record<string, string>> => {
    const result = await kube('-n', 'kube-public', 'get', 'configmap', 'cluster-info', '-o', 'json');
    expectResult('cluster-info', result, {});
    return (JSON.parse(result.stdout) as { data: Record<string, string> }).data;
  };
  await checks.check(
    'cluster-info: a token made by hand signs it',
    async () => {
      const made = await kube(
        ...['-n', 'kube-system', 'create', 'secret', 'generic', name],
        '--type=bootstrap.kubernetes.io/token',
        ...[`--from-literal=token-id=${id}`, `--from-literal=token-secret=${secret}`],
        '--from-literal=usage-bootstrap-signing=true',
      );
      if (made.code !== 0 && !/already exists/.test(made.stderr)) throw new Error(made.stderr);
      const { kubeconfig = '', [`jws-kubeconfig-${id}`]: jws = '' } = await info();
      const [header = '', , signature] = jws.split('.');
      const content = Buffer.from(kubeconfig).toString('base64url');
      const wanted = createHmac('sha256', secret).update(`${header}.${content}`).digest('base64url');
      if (signature !== wanted) throw new Error(`signature ${jws}`);
    },
    withinMs,
  );
  await checks.check(
    'cluster-info: its signature goes with the token',
    async () => {
      await kube('-n', 'kube-system', 'delete', 'secret', name, '--ignore-not-found');
      if (`jws-kubeconfig-${id}` in (await info())) throw new Error('still there');
    },
    withinMs,
  );
}

/** A kubelet that manages nothing of the host: no cgroups, no firewall. */
function configuration(dataDir: string, address: string, port: number): string {
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address,
    port: port + 90,
    healthzPort: 0,
    readOnlyPort: 0,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: path.join(dataDir, 'pki', 'ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    rotateCertificates: true,
    serverTLSBootstrap: true,
    failSwapOn: false,
    failCgroupV1: false,
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    makeIPTablesUtilChains: false,
    localStorageCapacityIsolation: false,
    podLogsDir: path.join(dataDir, 'pod-logs'),
  });
}
