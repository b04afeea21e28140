import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { createHash, X509Certificate } from 'node:crypto';
import path from 'node:path';
import { createHttp2Transport, inClusterAccess, RestClient } from '@pilothouse/client';
import type { FlagSpecs } from '@pilothouse/host';
import { ensurePki, FlagError, flagUsage, nodeClock, parseFlags } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { restorePki, savePki } from '../plane/pki-secrets.ts';
import { writeKubeconfigs } from '../plane/kubeconfigs.ts';

const dayMs = 86_400_000;

const directoryFlag: FlagSpecs = {
  'cert-dir': { type: 'string', default: 'pki', help: 'Directory of the certificates' },
};

const initFlags: FlagSpecs = {
  ...directoryFlag,
  server: {
    type: 'string',
    default: 'https://127.0.0.1:6443',
    help: 'Address of the API that goes into the kubeconfigs',
  },
  'internal-server': {
    type: 'string',
    default: '',
    help: 'Address for the components and nodes, where it differs from --server',
  },
  'kubeconfig-dir': { type: 'string', default: '', help: 'Where kubeconfigs go; empty: none are written' },
  hosts: { type: 'strings', default: [], help: 'Further names and addresses of the API servers' },
  'store-hosts': { type: 'strings', default: [], help: 'Names and addresses of the store members' },
  nodes: { type: 'strings', default: [], help: 'Nodes that get a certificate' },
  'service-address': { type: 'string', default: '10.96.0.1', help: 'First address of the service network' },
  'secret-prefix': {
    type: 'string',
    default: '',
    help: "Inside a cluster: keep everything in Secrets of the pod's namespace whose names start so",
  },
  'cluster-domain': { type: 'string', default: 'cluster.local', help: 'DNS domain of the cluster' },
};

const showFlags: FlagSpecs = {
  ...directoryFlag,
  output: { type: 'string', default: '', help: 'json, or a table' },
};

const usage = `pilothouse certs init    make what is missing, renew what is close to expiry
${flagUsage(initFlags)}
pilothouse certs show    what there is and when it expires (--output json)
pilothouse certs renew   remove and make anew: the named certificates, e.g. apiserver etcd/server, or all leaves
                         (takes the flags of init; certificate authorities are never replaced)
`;

export interface CertificateStatus {
  /** File without its ending, relative to the directory, e.g. `etcd/server`. */
  readonly name: string;
  readonly subject: string;
  readonly issuer: string;
  readonly authority: boolean;
  /** RFC 3339. */
  readonly expires: string;
  /** Whole days; negative when expired. */
  readonly daysLeft: number;
  readonly sha256: string;
}

/** Every `*.crt` below the directory, by name. */
export function certificateStatuses(directory: string, nowMs: number): CertificateStatus[] {
  let files: string[];
  try {
    files = readdirSync(directory, { recursive: true }) as string[];
  } catch {
    throw new CommandError(`No certificates in "${directory}": name their directory with --cert-dir`);
  }
  const commonName = (text: string): string => /(?:^|\n)CN=([^\n]*)/.exec(text)?.[1] ?? text;
  return files
    .filter((file) => file.endsWith('.crt'))
    .sort()
    .map((file) => {
      const certificate = new X509Certificate(readFileSync(path.join(directory, file)));
      const expiresMs = Date.parse(certificate.validTo);
      return {
        name: file.slice(0, -'.crt'.length),
        subject: commonName(certificate.subject),
        issuer: commonName(certificate.issuer),
        authority: certificate.ca,
        expires: new Date(expiresMs).toISOString(),
        daysLeft: Math.floor((expiresMs - nowMs) / dayMs),
        sha256: createHash('sha256').update(certificate.raw).digest('hex'),
      };
    });
}

/** DNS names and addresses that a certificate is good for; none when it is missing. */
function namesIn(directory: string, name: string): string[] {
  let pem: string;
  try {
    pem = readFileSync(path.join(directory, `${name}.crt`), 'utf8');
  } catch {
    return [];
  }
  const names = new X509Certificate(pem).subjectAltName ?? '';
  return names
    .split(', ')
    .map((each) => each.replace(/^(DNS|IP Address):/, ''))
    .filter((each) => each !== '');
}

function show(argv: readonly string[]): void {
  const { values } = parseFlags(showFlags, argv);
  const statuses = certificateStatuses(values['cert-dir'] as string, nodeClock.now());
  if (values['output'] === 'json') {
    process.stdout.write(`${JSON.stringify({ certificates: statuses }, null, 2)}\n`);
    return;
  }
  const rows = [
    ['NAME', 'SUBJECT', 'ISSUER', 'EXPIRES', 'DAYS LEFT'],
    ...statuses.map((each) => [
      each.name,
      each.subject,
      each.authority ? '(authority)' : each.issuer,
      each.expires.slice(0, 10),
      each.daysLeft < 0 ? 'EXPIRED' : String(each.daysLeft),
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths?.[column] ?? 0))
        .join('   ')
        .trimEnd()}\n`,
    );
}

/** Keeps the PKI in the cluster that this process runs in as a pod. */
function secretsOfThisCluster(prefix: string): {
  restore(directory: string): Promise<void>;
  save(directory: string, kubeconfigDirectory: string): Promise<string[]>;
} {
  const { namespace, ...access } = inClusterAccess(process.env);
  const transport = createHttp2Transport(access, nodeClock);
  const client = new RestClient(transport, { clock: nodeClock, userAgent: 'pilothouse-certs' });
  return {
    restore: (directory) => restorePki(client, namespace, prefix, directory),
    async save(directory, kubeconfigDirectory) {
      if (kubeconfigDirectory === '')
        throw new FlagError('--secret-prefix needs --kubeconfig-dir as well: an empty directory will do');
      const names = await savePki(client, namespace, prefix, directory, kubeconfigDirectory);
      transport.close();
      return names;
    },
  };
}

async function init(argv: readonly string[], renew: boolean): Promise<void> {
  const { values, positional } = parseFlags(initFlags, argv);
  const text = (name: string): string => values[name] as string;
  const list = (name: string): string[] => values[name] as string[];
  const directory = text('cert-dir');
  const hosts = list('hosts');
  const storeHosts = list('store-hosts');
  const nodes = list('nodes');
  if (renew) {
    const leaves = certificateStatuses(directory, nodeClock.now()).filter((each) => !each.authority);
    // What was asked for when they were made stays in force.
    hosts.push(...namesIn(directory, 'apiserver'));
    storeHosts.push(...namesIn(directory, 'etcd/server'));
    for (const { name } of leaves) if (name.startsWith('nodes/')) nodes.push(name.slice('nodes/'.length));
    for (const name of positional) {
      if (!leaves.some((each) => each.name === name))
        throw new CommandError(
          `No certificate "${name}" in "${directory}": want one of ${leaves.map((each) => each.name).join(', ')}`,
        );
    }
    for (const { name } of leaves)
      if (positional.length === 0 || positional.includes(name))
        rmSync(path.join(directory, `${name}.crt`), { force: true });
  } else if (positional.length > 0) throw new CommandError(`Unexpected argument "${positional[0]}"`);
  const cluster = text('secret-prefix') === '' ? undefined : secretsOfThisCluster(text('secret-prefix'));
  await cluster?.restore(directory);
  const pki = await ensurePki(directory, {
    hosts,
    storeHosts,
    nodes: [...new Set(nodes)].map((name) => ({ name })),
    serviceAddress: text('service-address'),
    clusterDomain: text('cluster-domain'),
  });
  if (text('kubeconfig-dir') !== '') {
    const internal = text('internal-server') || text('server');
    writeKubeconfigs(text('kubeconfig-dir'), pki, (who) => (who === 'admin' ? text('server') : internal));
  }
  const saved = await cluster?.save(directory, text('kubeconfig-dir'));
  if (saved) process.stdout.write(`Secrets ${saved.join(', ')} are up to date\n`);
  process.stdout.write(
    pki.changed.length === 0
      ? `Certificates in ${directory} are complete and current\n`
      : `Made in ${directory}: ${pki.changed.join(', ')}\n`,
  );
}

/** `pilothouse certs init|show|renew`. */
export async function certs(argv: readonly string[]): Promise<void> {
  const [command = 'help', ...rest] = argv;
  if (command === 'init') return init(rest, false);
  if (command === 'renew') return init(rest, true);
  if (command === 'show') return show(rest);
  if (command !== 'help' && command !== '--help')
    throw new CommandError(`Unknown command "certs ${command}"; see pilothouse certs help`);
  process.stdout.write(usage);
}
