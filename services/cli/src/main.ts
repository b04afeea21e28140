import { errorMessage } from '@pilothouse/base';
import { FlagError, flagUsage } from '@pilothouse/host';
import { componentNames, runComponent } from '@pilothouse/local';
import { CommandError } from './errors.ts';

type Command = (argv: readonly string[]) => Promise<void> | void;

/** Loaded on demand: the processes of a plane, of which there are many, run one each and must not pay for the others' modules. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import('./commands/up.ts')).up,
  down: async () => (await import('./commands/down.ts')).down,
  status: async () => (await import('./commands/status.ts')).status,
  diagnose: async () => (await import('./commands/diagnose.ts')).diagnose,
  kubeconfig: async () => (await import('./commands/kubeconfig.ts')).kubeconfig,
  certs: async () => (await import('./commands/certs.ts')).certs,
  join: async () => (await import('./commands/join.ts')).join,
  backup: async () => (await import('./commands/backup.ts')).backup,
  restore: async () => (await import('./commands/restore.ts')).restore,
  drill: async () => (await import('./commands/drill.ts')).drill,
  console: async () => (await import('./commands/console.ts')).openConsole,
  'load-balancer': async () => (await import('./load-balancer/main.ts')).runLoadBalancer,
};

async function usageText(): Promise<string> {
  const { upFlags } = await import('./commands/up.ts');
  const { diagnoseFlags } = await import('./commands/diagnose.ts');
  const { backupFlags } = await import('./commands/backup.ts');
  const { restoreFlags } = await import('./commands/restore.ts');
  const { drillFlags } = await import('./commands/drill.ts');
  return `pilothouse runs a Kubernetes-compatible control plane.

  pilothouse up           start a whole plane on this machine (--detach: in the background)
  pilothouse status       who runs, who leads (-o json)
  pilothouse diagnose     one archive for a bug report, without secrets
  pilothouse kubeconfig   print the administrator's kubeconfig
  pilothouse down         stop the plane; its data stays
  pilothouse backup FILE  the whole store in one file, from a running plane or any etcd
  pilothouse restore FILE a new cluster from a backup
  pilothouse drill NAME   break a running plane on purpose and tell what clients noticed (pilothouse drill list)
  pilothouse console      the web console of a plane on this machine, or of any cluster (--kubeconfig FILE or --server URL)
  pilothouse join         a bootstrap token and what a kubelet needs to become a node (pilothouse join --help)
  pilothouse certs        init, show, renew, replace or revoke the certificates of a plane (pilothouse certs help)

One component with the flags of its upstream counterpart:
  ${[...componentNames.filter((name) => name !== 'console'), 'load-balancer'].map((name) => `pilothouse ${name}`).join('\n  ')}

Flags of pilothouse up:
${flagUsage(upFlags)}

Flags of pilothouse diagnose:
${flagUsage(diagnoseFlags)}

Flags of pilothouse backup:
${flagUsage(backupFlags)}

Flags of pilothouse restore:
${flagUsage(restoreFlags)}

Flags of pilothouse drill:
${flagUsage(drillFlags)}
`;

  /** Commands whose flags stand in the usage of the program; the others tell theirs. */
}

/** Commands whose flags stand in the usage of the program; the others tell theirs. */
const ownCommands: ReadonlySet<string> = new Set([
  'up',
  'down',
  'status',
  'diagnose',
  'kubeconfig',
  'backup',
  'restore',
  'drill',
  'console',
]);

async function main(argv: readonly string[]): Promise<void> {
  const [name = 'help', ...rest] = argv;
  if (['help', '--help', '-h'].includes(name) || (ownCommands.has(name) && rest.includes('--help'))) {
    process.stdout.write(await usageText());
    return;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load !== undefined) {
    const command = await load();
    return command(rest);
  }
  if (!componentNames.includes(name))
    throw new CommandError(`Unknown command "${name}"; see pilothouse help`);
  await runComponent(name, name === 'store' ? await storeArguments(rest) : rest, process.env);
}

async function storeArguments(given: readonly string[]): Promise<readonly string[]> {
  const { rejoinArguments } = await import('./commands/rejoin.ts');
  const { resyncArguments } = await import('./commands/resync.ts');
  return rejoinArguments(await resyncArguments(given));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const expected = error instanceof CommandError || error instanceof FlagError;
  process.stderr.write(
    `${expected || !(error instanceof Error) ? errorMessage(error) : (error.stack ?? error.message)}\n`,
  );
  process.exitCode = 1;
}
