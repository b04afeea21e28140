import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import path from 'node:path';
import type { Clock } from '@pilothouse/base';
import { nodeClock } from '../node-clock.ts';
import type { CertificateAndKey, CertificateRequest, CertificateUsage } from './certificate.ts';
import { backdateMs, createAuthority, createSigningKey, issueCertificate } from './certificate.ts';
import { ensureRevocationFile } from './revocation-file.ts';
import { readOptionalFile, withDirectoryLock, writeSecretFile } from './pki-files.ts';

const dayMs = 86_400_000;

/** Lifetimes; a leaf is renewed when less than a third of its lifetime is left. */
export const authorityLifetimeMs = 3650 * dayMs;
export const certificateLifetimeMs = 365 * dayMs;
const renewFraction = 1 / 3;

export interface PkiOptions {
  /** Names and addresses of the API servers beside the standard ones. */
  readonly hosts?: readonly string[];
  /** Names and addresses of the store members beside localhost; default: `hosts`. */
  readonly storeHosts?: readonly string[];
  /** First address of the service network; default 10.96.0.1. */
  readonly serviceAddress?: string;
  /** DNS domain of the cluster; default cluster.local. */
  readonly clusterDomain?: string;
  /** Nodes that get a client certificate (`system:node:<name>`) that also serves for that name. */
  readonly nodes?: readonly { readonly name: string; readonly hosts?: readonly string[] }[];
  /** Names and addresses of the web console beside localhost; without any it gets no certificate. `console.crt` */
  readonly consoleHosts?: readonly string[];
  readonly clock?: Clock;
  /** How long leaves live; default: a year. */
  readonly lifetimeMs?: number;
}

/** A certificate with its key: text and files. */
export interface PkiEntry extends CertificateAndKey {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The certificates of a control plane; file names under `directory` are kubeadm's. */
export interface Pki {
  readonly directory: string;
  /** Signs API server, clients and nodes. `ca.crt` */
  readonly ca: PkiEntry;
  /** Signs what talks to the store. `etcd/ca.crt` */
  readonly storeCa: PkiEntry;
  /** Signs front proxies (aggregation). `front-proxy-ca.crt` */
  readonly frontProxyCa: PkiEntry;
  readonly storeServer: PkiEntry;
  readonly storePeer: PkiEntry;
  /** For operators' tools (etcdctl). `etcd/client.crt` */
  readonly storeClient: PkiEntry;
  readonly apiServer: PkiEntry;
  readonly apiServerStoreClient: PkiEntry;
  readonly apiServerKubeletClient: PkiEntry;
  readonly frontProxyClient: PkiEntry;
  /** User `kubernetes-admin`, group system:masters. */
  readonly admin: PkiEntry;
  readonly scheduler: PkiEntry;
  readonly controllerManager: PkiEntry;
  readonly nodes: ReadonlyMap<string, PkiEntry>;
  /** Key that signs ServiceAccount tokens. `sa.key`, `sa.pub` */
  readonly serviceAccount: {
    readonly privatePem: string;
    readonly publicPem: string;
    readonly privateFile: string;
    readonly publicFile: string;
  };
  /** Names of entries that this call made or renewed, e.g. `apiserver`. */
  readonly changed: readonly string[];
}

interface LeafPlan {
  readonly entry: string;
  readonly authority: 'ca' | 'storeCa' | 'frontProxyCa';
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly hosts?: readonly string[];
  readonly usage: CertificateUsage;
}

/**
 * Makes the certificates of a control plane in `directory`, or completes and renews what is there: a leaf is made anew when
 * it is missing, close to expiry, of another CA, or lacks a host. CAs and the token key are never replaced. Safe to call
 * from several processes at once. Private keys have mode 0600. `ca.crl` lists what `certs revoke` took back.
 */
export async function ensurePki(directory: string, options: PkiOptions = {}): Promise<Pki> {
  const clock = options.clock ?? nodeClock;
  return withDirectoryLock(directory, async () => {
    const changed: string[] = [];
    const authorities = {
      ca: await ensureAuthority(directory, 'ca', 'kubernetes', clock, changed),
      storeCa: await ensureAuthority(directory, 'etcd/ca', 'etcd-ca', clock, changed),
      frontProxyCa: await ensureAuthority(directory, 'front-proxy-ca', 'front-proxy-ca', clock, changed),
    };
    const entries = new Map<string, PkiEntry>();
    for (const plan of leafPlans(options)) {
      entries.set(
        plan.entry,
        await ensureLeaf(directory, plan, authorities[plan.authority], options, changed),
      );
    }
    if (await ensureRevocationFile(directory, authorities.ca, clock)) changed.push('ca.crl');
    const entry = (name: string): PkiEntry => entries.get(name) as PkiEntry;
    return {
      directory,
      ...authorities,
      storeServer: entry('etcd/server'),
      storePeer: entry('etcd/peer'),
      storeClient: entry('etcd/client'),
      apiServer: entry('apiserver'),
      apiServerStoreClient: entry('apiserver-etcd-client'),
      apiServerKubeletClient: entry('apiserver-kubelet-client'),
      frontProxyClient: entry('front-proxy-client'),
      admin: entry('admin'),
      scheduler: entry('scheduler'),
      controllerManager: entry('controller-manager'),
      nodes: new Map((options.nodes ?? []).map((node) => [node.name, entry(`nodes/${node.name}`)])),
      serviceAccount: await ensureSigningKey(directory, changed),
      changed,
    };
  });
}

function leafPlans(options: PkiOptions): LeafPlan[] {
  const domain = options.clusterDomain ?? 'cluster.local';
  const hosts = options.hosts ?? [];
  const local = ['localhost', '127.0.0.1', '::1'];
  const serverHosts = unique([
    ...local,
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    `kubernetes.default.svc.${domain}`,
    options.serviceAddress ?? '10.96.0.1',
    ...hosts,
  ]);
  const storeHosts = unique([...local, ...(options.storeHosts ?? hosts)]);
  const plans: LeafPlan[] = [
    // A store member also calls other members and itself, so its certificates are good for both sides, as kubeadm's are.
    {
      entry: 'etcd/server',
      authority: 'storeCa',
      commonName: 'etcd-server',
      hosts: storeHosts,
      usage: 'peer',
    },
    { entry: 'etcd/peer', authority: 'storeCa', commonName: 'etcd-peer', hosts: storeHosts, usage: 'peer' },
    { entry: 'etcd/client', authority: 'storeCa', commonName: 'etcd-client', usage: 'client' },
    {
      entry: 'apiserver',
      authority: 'ca',
      commonName: 'kube-apiserver',
      hosts: serverHosts,
      usage: 'server',
    },
    {
      entry: 'apiserver-etcd-client',
      authority: 'storeCa',
      commonName: 'kube-apiserver-etcd-client',
      usage: 'client',
    },
    {
      entry: 'apiserver-kubelet-client',
      authority: 'ca',
      commonName: 'kube-apiserver-kubelet-client',
      organizations: ['system:masters'],
      usage: 'client',
    },
    {
      entry: 'front-proxy-client',
      authority: 'frontProxyCa',
      commonName: 'front-proxy-client',
      usage: 'client',
    },
    {
      entry: 'admin',
      authority: 'ca',
      commonName: 'kubernetes-admin',
      organizations: ['system:masters'],
      usage: 'client',
    },
    { entry: 'scheduler', authority: 'ca', commonName: 'system:kube-scheduler', hosts: local, usage: 'peer' },
    {
      entry: 'controller-manager',
      authority: 'ca',
      commonName: 'system:kube-controller-manager',
      hosts: local,
      usage: 'peer',
    },
  ];
  const consoleHosts = options.consoleHosts ?? [];
  if (consoleHosts.length > 0)
    plans.push({
      entry: 'console',
      authority: 'ca',
      commonName: 'pilothouse-console',
      hosts: unique([...local, ...consoleHosts]),
      usage: 'server',
    });
  for (const node of options.nodes ?? []) {
    plans.push({
      entry: `nodes/${node.name}`,
      authority: 'ca',
      commonName: `system:node:${node.name}`,
      organizations: ['system:nodes'],
      hosts: unique([node.name, ...local, ...(node.hosts ?? [])]),
      usage: 'peer',
    });
  }
  return plans;
}

async function ensureAuthority(
  directory: string,
  name: string,
  commonName: string,
  clock: Clock,
  changed: string[],
): Promise<PkiEntry> {
  const files = filesOf(directory, name);
  const certPem = readOptionalFile(files.certFile);
  const keyPem = readOptionalFile(files.keyFile);
  if (certPem !== undefined && keyPem !== undefined) return { ...files, certPem, keyPem };
  if (certPem !== undefined || keyPem !== undefined) {
    throw new Error(
      `Cannot use the CA "${name}" in "${directory}": only one of "${files.certFile}" and "${files.keyFile}" exists`,
    );
  }
  const notBefore = clock.now() - backdateMs;
  const made = await createAuthority(commonName, notBefore, notBefore + authorityLifetimeMs);
  save(files, made);
  changed.push(name);
  return { ...files, ...made };
}

async function ensureLeaf(
  directory: string,
  plan: LeafPlan,
  authority: PkiEntry,
  options: PkiOptions,
  changed: string[],
): Promise<PkiEntry> {
  const { clock = nodeClock, lifetimeMs = certificateLifetimeMs } = options;
  const files = filesOf(directory, plan.entry);
  const certPem = readOptionalFile(files.certFile);
  const keyPem = readOptionalFile(files.keyFile);
  if (
    certPem !== undefined &&
    keyPem !== undefined &&
    isUsable({ certPem, keyPem }, plan, authority, clock.now())
  ) {
    return { ...files, certPem, keyPem };
  }
  const notBefore = clock.now() - Math.min(backdateMs, lifetimeMs / 10);
  const authorityEnd = Date.parse(new X509Certificate(authority.certPem).validTo);
  const request: CertificateRequest = {
    commonName: plan.commonName,
    usage: plan.usage,
    notBefore,
    notAfter: Math.min(notBefore + lifetimeMs, authorityEnd),
    ...(plan.organizations === undefined ? {} : { organizations: plan.organizations }),
    ...(plan.hosts === undefined ? {} : { hosts: plan.hosts }),
  };
  const made = await issueCertificate(authority, request);
  save(files, made);
  changed.push(plan.entry);
  return { ...files, ...made };
}

/** Whether a certificate on disk still does what is planned for `plan` and is not due for renewal. */
function isUsable(leaf: CertificateAndKey, plan: LeafPlan, authority: PkiEntry, nowMs: number): boolean {
  const certificate = new X509Certificate(leaf.certPem);
  if (!certificate.checkPrivateKey(createPrivateKey(leaf.keyPem))) return false;
  const issuer = new X509Certificate(authority.certPem);
  const start = Date.parse(certificate.validFrom);
  const end = Date.parse(certificate.validTo);
  if (end - nowMs < (end - start) * renewFraction || start > nowMs) return false;
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return false;
  return (plan.hosts ?? []).every((host) =>
    isIP(host) === 0 ? certificate.checkHost(host) !== undefined : certificate.checkIP(host) !== undefined,
  );
}

async function ensureSigningKey(directory: string, changed: string[]): Promise<Pki['serviceAccount']> {
  const privateFile = path.join(directory, 'sa.key');
  const publicFile = path.join(directory, 'sa.pub');
  const privatePem = readOptionalFile(privateFile);
  if (privatePem !== undefined) {
    const publicPem =
      readOptionalFile(publicFile) ??
      createPublicKey(privatePem).export({ type: 'spki', format: 'pem' }).toString();
    return { privatePem, publicPem, privateFile, publicFile };
  }
  const made = await createSigningKey();
  writeSecretFile(privateFile, made.privatePem);
  writeSecretFile(publicFile, made.publicPem);
  changed.push('sa');
  return { ...made, privateFile, publicFile };
}

function filesOf(directory: string, name: string): { certFile: string; keyFile: string } {
  return { certFile: path.join(directory, `${name}.crt`), keyFile: path.join(directory, `${name}.key`) };
}

// A crash between the two leaves a pair that does not match; the next start finds that and makes a new one.
function save(files: { certFile: string; keyFile: string }, made: CertificateAndKey): void {
  writeSecretFile(files.keyFile, made.keyPem);
  writeSecretFile(files.certFile, made.certPem);
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
