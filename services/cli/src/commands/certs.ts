import { rmSync } from 'node:fs';
import path from 'node:path';
import { errorMessage } from '@pilothouse/base';
import type { FlagSpecs } from '@pilothouse/host';
import { ensurePki, flagUsage, nodeClock, parseFlags } from '@pilothouse/host';
import { directoryFlag, initFlags } from '../certificates/flags.ts';
import { secretsOfThisCluster } from '../certificates/in-cluster.ts';
import { certificateStatuses, optionsOfIssued } from '../certificates/issued.ts';
import { CommandError } from '../errors.ts';
import { kubeconfigServers, writeKubeconfigs } from '../plane/kubeconfigs.ts';
import { revokeCertificates, revokeUsage } from './certs-revoke.ts';
import { rotateAuthorities, rotateServiceAccountKey, rotateUsage } from './certs-rotate.ts';

const showFlags: FlagSpecs = {
  ...directoryFlag,
  output: { type: 'string', default: '', help: 'json, or a table' },
};

const watchFlags: FlagSpecs = {
  ...directoryFlag,
  'kubeconfig-dir': { type: 'string', default: '', help: 'Kubeconfigs that carry the certificates' },
  interval: { type: 'duration', default: '1h', help: 'How often to look' },
  lifetime: { type: 'duration', default: '8760h', help: 'How long new leaves live' },
};

const usage = `pilothouse certs init    make what is missing, renew what is close to expiry
${flagUsage(initFlags)}
pilothouse certs show    what there is and when it expires (--output json)
pilothouse certs renew   remove and make anew: the named certificates, e.g. apiserver etcd/server, or all leaves
                         (takes the flags of init; certificate authorities are never replaced)
pilothouse certs renew --watch --cert-dir DIR   stays and renews what has less than a third of its life left (--interval)
${rotateUsage}${revokeUsage}`;

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
      each.daysLeft < 0 ? 'EXPIRED' : `${each.daysLeft}${each.due ? ' (renew)' : ''}`,
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
  const late = statuses.filter((each) => each.due || each.daysLeft < 0);
  if (late.length > 0)
    process.stderr.write(
      `Warning: less than a third of their life is left: ${late.map((each) => each.name).join(', ')}. A running \`pilothouse up\` renews leaves by itself, else: pilothouse certs renew; authorities: pilothouse certs rotate-ca\n`,
    );
}

async function init(argv: readonly string[], renew: boolean): Promise<void> {
  const { values, positional } = parseFlags(initFlags, argv);
  const text = (name: string): string => values[name] as string;
  const list = (name: string): string[] => values[name] as string[];
  const directory = text('cert-dir');
  const hosts = list('hosts');
  const storeHosts = list('store-hosts');
  const consoleHosts = list('console-hosts');
  const nodes: { name: string; hosts?: readonly string[] }[] = list('nodes').map((name) => ({ name }));
  if (renew) {
    const leaves = certificateStatuses(directory, nodeClock.now()).filter((each) => !each.authority);
    // What was asked for when they were made stays in force.
    const issued = optionsOfIssued(directory, nodeClock.now());
    hosts.push(...issued.hosts);
    storeHosts.push(...issued.storeHosts);
    consoleHosts.push(...issued.consoleHosts);
    nodes.push(...issued.nodes);
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
    consoleHosts,
    nodes: [...new Map(nodes.map((node) => [node.name, node])).values()],
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

/** Renews leaves that are due, again and again, until a signal ends it. */
async function watch(argv: readonly string[]): Promise<void> {
  const { values } = parseFlags(watchFlags, argv);
  const directory = values['cert-dir'] as string;
  const kubeconfigs = values['kubeconfig-dir'] as string;
  const lifetimeMs = values['lifetime'] as number;
  const renewal = async (): Promise<void> => {
    const options = optionsOfIssued(directory, nodeClock.now());
    const { changed, ...pki } = await ensurePki(directory, { ...options, lifetimeMs });
    if (kubeconfigs !== '') {
      const servers = kubeconfigServers(kubeconfigs);
      writeKubeconfigs(
        kubeconfigs,
        { ...pki, changed },
        (who) => servers.get(who) ?? servers.get('admin') ?? '',
      );
    }
    if (changed.length > 0)
      process.stdout.write(`${new Date(nodeClock.now()).toISOString()} renewed: ${changed.join(', ')}\n`);
  };
  await renewal();
  const timer = nodeClock.setInterval(() => {
    renewal().catch((error: unknown) => process.stderr.write(`Cannot renew: ${errorMessage(error)}\n`));
  }, values['interval'] as number);
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  timer.cancel();
}

/** `pilothouse certs init|show|renew|rotate-ca|rotate-sa|revoke`. */
export async function certs(argv: readonly string[]): Promise<void> {
  const [command = 'help', ...rest] = argv;
  if (command === 'init') return init(rest, false);
  if (command === 'renew')
    return rest.includes('--watch') ? watch(rest.filter((each) => each !== '--watch')) : init(rest, true);
  if (command === 'rotate-ca') return rotateAuthorities(rest);
  if (command === 'rotate-sa') return rotateServiceAccountKey(rest);
  if (command === 'revoke') return revokeCertificates(rest);
  if (command === 'show') return show(rest);
  if (command !== 'help' && command !== '--help')
    throw new CommandError(`Unknown command "certs ${command}"; see pilothouse certs help`);
  process.stdout.write(usage);
}
