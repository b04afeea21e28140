import { errorMessage } from '@pilothouse/base';
import { FlagError, flagUsage } from '@pilothouse/host';
import { componentNames, runComponent } from '@pilothouse/local';
import { certs } from './commands/certs.ts';
import { backup, backupFlags } from './commands/backup.ts';
import { drill, drillFlags } from './commands/drill.ts';
import { openConsole } from './commands/console.ts';
import { diagnose, diagnoseFlags } from './commands/diagnose.ts';
import { down } from './commands/down.ts';
import { join } from './commands/join.ts';
import { kubeconfig } from './commands/kubeconfig.ts';
import { rejoinArguments } from './commands/rejoin.ts';
import { resyncArguments } from './commands/resync.ts';
import { restore, restoreFlags } from './commands/restore.ts';
import { status } from './commands/status.ts';
import { up, upFlags } from './commands/up.ts';
import { CommandError } from './errors.ts';
import { runLoadBalancer } from './load-balancer/main.ts';

const usage = `pilothouse runs a Kubernetes-compatible control plane.

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
  const [command = 'help', ...rest] = argv;
  if (ownCommands.has(command) && rest.includes('--help')) {
    process.stdout.write(usage);
    return;
  }
  switch (command) {
    case 'up':
      return up(rest);
    case 'down':
      return down(rest);
    case 'status':
      return status(rest);
    case 'diagnose':
      return diagnose(rest);
    case 'kubeconfig':
      return kubeconfig(rest);
    case 'certs':
      return certs(rest);
    case 'join':
      return join(rest);
    case 'backup':
      return backup(rest);
    case 'restore':
      return restore(rest);
    case 'drill':
      return drill(rest);
    case 'console':
      return openConsole(rest);
    case 'load-balancer':
      return runLoadBalancer(rest);
    case 'help':
    case '--help':
    case '-h':
      process.stdout.write(usage);
      return;
    default:
      if (command === 'store')
        return runComponent(command, await rejoinArguments(await resyncArguments(rest)), process.env);
      if (componentNames.includes(command)) return runComponent(command, rest, process.env);
      throw new CommandError(`Unknown command "${command}"; see pilothouse help`);
  }
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
