import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '@pilothouse/base';
import { sleep } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { contentHash, fileMetric, publicPem } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { pkiDirectory } from '../plane/layout.ts';
import { probe } from '../plane/readiness.ts';
import type { Component } from '../plane/layout.ts';
import type { ProcessRecord } from '../plane/state-file.ts';
import { readState } from '../plane/state-file.ts';

const pollMs = 500;
const probeTimeoutMs = 5000;
const waitMs = 120_000;
/** For those that do not say what they have taken (the balancer), and for what pods have mounted: some looks of a watcher. */
const settleMs = 6000;

/** Hashes that a process reports once it has taken the files of the directory, by the flag that names them. */
export function expectedHashes(directory: string, component: Component, name: string): Map<string, string> {
  const read = (...files: string[]): string =>
    files.map((file) => readFileSync(path.join(directory, file), 'utf8')).join('');
  const expected = new Map<string, string>();
  const expect = (flag: string, text: () => string): void => void expected.set(flag, contentHash(text()));
  const signingKey = (): string => publicPem(read('sa.key'));
  if (component === 'apiserver') {
    expect('client-ca-file', () => read('ca.crt'));
    expect('client-crl-file', () => read('ca.crl'));
    expect('etcd-cafile', () => read('etcd/ca.crt', 'apiserver-etcd-client.crt'));
    expect('requestheader-client-ca-file', () => read('front-proxy-ca.crt'));
    expect('tls-cert-file', () => read('apiserver.crt'));
    expect('kubelet-client-certificate', () => read('apiserver-kubelet-client.crt', 'ca.crt'));
    expect('proxy-client-cert-file', () => read('front-proxy-client.crt'));
    expect('service-account-key-file', () => read('sa.pub'));
    expect('service-account-signing-key-file', signingKey);
  } else if (component === 'scheduler' || component === 'controller-manager') {
    expect('kubeconfig', () => read('ca.crt', `${component}.crt`));
    expect('tls-cert-file', () => read('apiserver.crt'));
    if (component === 'controller-manager') {
      expect('root-ca-file', () => read('ca.crt'));
      expect('cluster-signing-cert-file', () => read('ca.crt'));
      expect('service-account-private-key-file', signingKey);
    }
  } else if (component === 'node-agent') {
    expect('kubeconfig', () => read('ca.crt', `nodes/${name}.crt`));
    expect('tls-cert-file', () => read(`nodes/${name}.crt`));
    expect('client-ca-file', () => read('ca.crt'));
  }
  return expected;
}

/** Flags whose content a process reports otherwise than wanted. `metrics` is the body of its /metrics. */
export function notTaken(expected: ReadonlyMap<string, string>, metrics: string): string[] {
  const reported = new Map<string, string>();
  for (const [, file, hash] of metrics.matchAll(
    new RegExp(`^${fileMetric}\\{file="([^"]+)",hash="sha256:([0-9a-f]+)"\\} 1$`, 'gm'),
  ))
    reported.set(file as string, hash as string);
  // What the operator gave by a flag of another name is not the plane's.
  return [...expected]
    .filter(([flag, hash]) => reported.get(flag) !== hash)
    .map(([flag]) => flag)
    .filter((flag) => reported.has(flag) || flag === 'kubeconfig' || flag === 'client-ca-file');
}

/** Waits until every process of the plane in `dataDir` has taken the files as they are now. Throws CommandError after two minutes. */
export async function waitUntilTaken(
  dataDir: string,
  clock: Clock,
  say: (text: string) => void,
): Promise<void> {
  const directory = pkiDirectory(dataDir);
  const deadline = clock.monotonic() + waitMs;
  const startedMs = clock.monotonic();
  let missing: string[] = [];
  for (;;) {
    const processes = readState(dataDir)?.processes ?? [];
    const reporting = processes.filter(
      ({ component, name }) => expectedHashes(directory, component, name).size > 0,
    );
    const found = await Promise.all(reporting.map((each) => missingOf(directory, each)));
    missing = found.flat();
    if (processes.length > 0 && missing.length === 0 && (await rootCaPublished(dataDir))) break;
    if (clock.monotonic() > deadline)
      throw new CommandError(
        `Not taken after ${waitMs / 1000} s: ${missing.join('; ') || 'kube-root-ca.crt of some namespace'}. Nothing is lost: run the same command again when they are well`,
      );
    await sleep(clock, pollMs);
  }
  // The store looks at its files at each new connection; nothing has to be waited for there.
  await sleep(clock, settleMs);
  say(`taken by all processes after ${((clock.monotonic() - startedMs) / 1000).toFixed(1)} s`);
}

interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

function administrator(directory: string): Credentials {
  const read = (name: string): string => readFileSync(path.join(directory, name), 'utf8');
  return { ca: read('ca.crt'), cert: read('admin.crt'), key: read('admin.key') };
}

async function missingOf(directory: string, { component, name, address }: ProcessRecord): Promise<string[]> {
  const answer = await probe({
    url: `https://${address}/metrics`,
    ...administrator(directory),
    timeoutMs: probeTimeoutMs,
  });
  if (answer?.status !== 200) return [`${name} does not tell (${answer?.status ?? 'no answer'})`];
  const missing = notTaken(expectedHashes(directory, component, name), answer.body);
  return missing.length === 0 ? [] : [`${name} has old ${missing.join(', ')}`];
}

/** Whether pods of every namespace get the bundle; true where no controller publishes it. */
async function rootCaPublished(dataDir: string): Promise<boolean> {
  const state = readState(dataDir);
  if (!state?.processes.some(({ component }) => component === 'controller-manager')) return true;
  const directory = pkiDirectory(dataDir);
  const credentials = administrator(directory);
  const answer = await probe({
    url: `${state.server}/api/v1/configmaps?fieldSelector=metadata.name%3Dkube-root-ca.crt`,
    ...credentials,
    timeoutMs: probeTimeoutMs,
  });
  if (answer?.status !== 200) return false;
  const { items } = JSON.parse(answer.body) as { items: (KubeObject & { data?: Record<string, string> })[] };
  return items.every(({ data }) => data?.['ca.crt'] === credentials.ca);
}

/** Nodes whose certificates are not among those of the directory: kubelets that joined by TLS bootstrap. */
export async function foreignNodes(dataDir: string): Promise<string[]> {
  const state = readState(dataDir);
  if (!state) return [];
  const directory = pkiDirectory(dataDir);
  const answer = await probe({
    url: `${state.server}/api/v1/nodes`,
    ...administrator(directory),
    timeoutMs: probeTimeoutMs,
  });
  if (answer?.status !== 200)
    throw new CommandError(`Cannot list the nodes of the cluster (${answer?.status ?? 'no answer'})`);
  const { items } = JSON.parse(answer.body) as { items: KubeObject[] };
  const own = new Set(
    state.processes.filter(({ component }) => component === 'node-agent').map(({ name }) => name),
  );
  return items.map(({ metadata }) => metadata.name ?? '').filter((name) => !own.has(name));
}
