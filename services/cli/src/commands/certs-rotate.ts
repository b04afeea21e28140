import { existsSync } from 'node:fs';
import path from 'node:path';
import type { AuthorityName, FlagSpecs, RotationStage } from '@pilothouse/host';
import {
  authorityNames,
  AuthorityRotation,
  ensurePki,
  FlagError,
  flagUsage,
  nodeClock,
  parseFlags,
  SigningKeyRotation,
} from '@pilothouse/host';
import { initFlags } from '../certificates/flags.ts';
import { secretsOfThisCluster } from '../certificates/in-cluster.ts';
import { optionsOfIssued } from '../certificates/issued.ts';
import { foreignNodes, waitUntilTaken } from '../certificates/taken.ts';
import { CommandError } from '../errors.ts';
import { kubeconfigServers, writeKubeconfigs } from '../plane/kubeconfigs.ts';
import { pkiDirectory } from '../plane/layout.ts';
import { isAlive, readState } from '../plane/state-file.ts';

const placeFlags: FlagSpecs = {
  ...initFlags,
  'data-dir': {
    type: 'string',
    default: '',
    help: 'A plane that runs: all steps, each waits until every process has taken it',
  },
  'cert-dir': {
    type: 'string',
    default: '',
    help: 'Or a directory of certificates: one step; run it again when every process has taken it. With the flags of init where names change, or --secret-prefix',
  },
};

const authorityFlags: FlagSpecs = {
  ...placeFlags,
  authority: {
    type: 'strings',
    default: Object.keys(authorityNames),
    help: 'Which authorities to replace',
  },
  until: {
    type: 'string',
    default: 'drop',
    help: 'Last step to take: trust, sign or drop',
  },
  'drop-unrenewed': {
    type: 'boolean',
    default: false,
    help: 'Drop the old authority although kubelets that joined by TLS bootstrap may still have certificates of it',
  },
};

const keyFlags: FlagSpecs = {
  ...placeFlags,
  'keep-old': {
    type: 'duration',
    default: '24h',
    help: 'How long tokens of the old key are good after the new one began to sign',
  },
};

/** Without those of init, which the usage of that command shows. */
function shown(flags: FlagSpecs): FlagSpecs {
  return Object.fromEntries(
    Object.entries(flags).filter(([name]) => !(name in initFlags) || name === 'cert-dir'),
  );
}

export const rotateUsage = `pilothouse certs rotate-ca   replace authorities without downtime: trust old and new, sign with the new, drop the old
${flagUsage(shown(authorityFlags))}
pilothouse certs rotate-sa   replace the key of service account tokens the same way; the old one is dropped by a later call
${flagUsage(shown(keyFlags))}
`;

const steps = ['trust', 'sign', 'drop'] as const;
type Step = (typeof steps)[number];

/** The step that comes after a stage; undefined: none. */
const nextStep: Readonly<Record<RotationStage, Step>> = {
  none: 'trust',
  made: 'trust',
  trusted: 'sign',
  signing: 'drop',
};

const say = (text: string): void => void process.stdout.write(`${text}\n`);

type Values = ReturnType<typeof parseFlags>['values'];

interface Place {
  readonly directory: string;
  readonly kubeconfigs: string;
  readonly values: Values;
  /** Of a plane that runs. */
  readonly dataDir: string | undefined;
}

/** Takes steps in a place; with --secret-prefix its files come from the Secrets of this cluster and go back there. */
async function atPlace(values: Values, work: (place: Place) => Promise<void>): Promise<void> {
  const place = placeOf(values);
  const prefix = values['secret-prefix'] as string;
  if (prefix === '') return work(place);
  const cluster = secretsOfThisCluster(prefix);
  await cluster.restore(place.directory);
  await work(place);
  const saved = await cluster.save(place.directory, place.kubeconfigs);
  say(`Secrets ${saved.join(', ')} are up to date`);
}

function placeOf(values: Values): Place {
  const dataDir = values['data-dir'] as string;
  const directory = values['cert-dir'] as string;
  if ((dataDir === '') === (directory === ''))
    throw new FlagError('Give either --data-dir of a plane that runs, or --cert-dir');
  if (dataDir === '')
    return { directory, kubeconfigs: values['kubeconfig-dir'] as string, values, dataDir: undefined };
  const resolved = path.resolve(dataDir);
  const state = readState(resolved);
  if (!state || !isAlive(state.supervisorPid))
    throw new CommandError(
      `No plane runs in "${resolved}": start it, or give --cert-dir ${pkiDirectory(resolved)}`,
    );
  return {
    directory: pkiDirectory(resolved),
    kubeconfigs: path.join(resolved, 'kubeconfig'),
    values,
    dataDir: resolved,
  };
}

/** Leaves of whoever signs now, and kubeconfigs with the authorities that are trusted now. */
async function issueAgain({ directory, kubeconfigs, values }: Place): Promise<readonly string[]> {
  const issued = optionsOfIssued(directory, nodeClock.now());
  const list = (name: string): string[] => values[name] as string[];
  const pki = await ensurePki(directory, {
    hosts: [...issued.hosts, ...list('hosts')],
    storeHosts: [...issued.storeHosts, ...list('store-hosts')],
    consoleHosts: [...issued.consoleHosts, ...list('console-hosts')],
    nodes: issued.nodes,
  });
  if (kubeconfigs !== '') {
    const server = values['server'] as string;
    const internal = (values['internal-server'] as string) || server;
    const servers = kubeconfigServers(kubeconfigs);
    writeKubeconfigs(
      kubeconfigs,
      pki,
      (who) => servers.get(who) ?? servers.get('admin') ?? (who === 'admin' ? server : internal),
    );
  }
  return pki.changed;
}

async function taken(place: Place): Promise<void> {
  if (place.dataDir !== undefined) await waitUntilTaken(place.dataDir, nodeClock, (text) => say(`  ${text}`));
}

function authoritiesOf(names: readonly string[]): AuthorityName[] {
  for (const name of names)
    if (!(name in authorityNames))
      throw new CommandError(
        `Unknown authority "${name}": want one of ${Object.keys(authorityNames).join(', ')}`,
      );
  return names as AuthorityName[];
}

/** `pilothouse certs rotate-ca`. */
export async function rotateAuthorities(argv: readonly string[]): Promise<void> {
  const { values, positional } = parseFlags(authorityFlags, argv);
  if (positional.length > 0) throw new CommandError(`Unexpected argument "${positional[0]}"`);
  const until = values['until'] as Step;
  if (!steps.includes(until))
    throw new FlagError(`Invalid value "${until}" for --until: want trust, sign or drop`);
  await atPlace(values, (place) => replaceAuthorities(place, until));
}

async function replaceAuthorities(place: Place, until: Step): Promise<void> {
  const { values } = place;
  const names = authoritiesOf(values['authority'] as string[]);
  if (!names.every((name) => existsSync(path.join(place.directory, `${name}.key`))))
    throw new CommandError(
      `Cannot replace an authority whose key is not in "${place.directory}": its owner does that`,
    );
  const rotations = names.map((name) => new AuthorityRotation(place.directory, name, nodeClock));
  for (;;) {
    // Those that are behind go first, so that all take the same step.
    const step = steps.find((each) => rotations.some(({ stage }) => nextStep[stage] === each)) as Step;
    if (steps.indexOf(step) > steps.indexOf(until)) {
      say(`Nothing to do until ${until}: the next step is ${step}`);
      return;
    }
    const due = rotations.filter(({ stage }) => nextStep[stage] === step);
    const list = due.map(({ name }) => name).join(', ');
    if (step === 'drop') {
      await checkForeignNodes(place, values['drop-unrenewed'] === true, names);
      for (const rotation of due) await rotation.drop();
      await issueAgain(place);
      say(`Only the new authorities are trusted: ${list}`);
    } else if (step === 'sign') {
      for (const rotation of due) await rotation.sign();
      const changed = await issueAgain(place);
      say(`The new authorities sign: ${list}; made anew: ${changed.join(', ')}`);
    } else {
      for (const rotation of due) await rotation.trust();
      await issueAgain(place);
      say(`Old and new authorities are trusted: ${list}`);
    }
    await taken(place);
    if (step === 'drop' || step === until) return;
    if (place.dataDir === undefined) {
      say('Run this again when every process has taken it (metric pilothouse_file_in_force)');
      return;
    }
  }
}

async function checkForeignNodes(
  place: Place,
  isForced: boolean,
  names: readonly AuthorityName[],
): Promise<void> {
  if (place.dataDir === undefined || isForced || !names.includes('ca')) return;
  const nodes = await foreignNodes(place.dataDir);
  if (nodes.length > 0)
    throw new CommandError(
      `Cannot drop the old authority yet: ${nodes.join(', ')} joined by TLS bootstrap and may have certificates and a kubeconfig of it. Let them join again (pilothouse join), then run this again with --drop-unrenewed`,
    );
}

/** `pilothouse certs rotate-sa`. */
export async function rotateServiceAccountKey(argv: readonly string[]): Promise<void> {
  const { values, positional } = parseFlags(keyFlags, argv);
  if (positional.length > 0) throw new CommandError(`Unexpected argument "${positional[0]}"`);
  await atPlace(values, replaceSigningKey);
}

async function replaceSigningKey(place: Place): Promise<void> {
  const rotation = new SigningKeyRotation(place.directory);
  const keepMs = place.values['keep-old'] as number;
  for (;;) {
    const step = nextStep[rotation.stage];
    if (step === 'trust') {
      await rotation.trust();
      say('Tokens of the old and of the new key are good');
    } else if (step === 'sign') {
      await rotation.sign();
      say('The new key signs');
    } else {
      const leftMs = rotation.signingSinceMs + keepMs - nodeClock.now();
      if (leftMs > 0) {
        say(
          `Tokens of the old key stay good: run this again after ${new Date(nodeClock.now() + leftMs).toISOString()} to drop it (--keep-old)`,
        );
        return;
      }
      await rotation.drop();
      say('Only tokens of the new key are good; token Secrets made with the old one have to be made anew');
    }
    await taken(place);
    if (step === 'drop') return;
    if (place.dataDir === undefined) {
      say('Run this again when every process has taken it (metric pilothouse_file_in_force)');
      return;
    }
  }
}
