import { existsSync } from 'node:fs';
import path from 'node:path';
import { readFileSync } from 'node:fs';
import { errorMessage, sleep } from '@pilothouse/base';
import type { EtcdClient, EtcdTls } from '@pilothouse/etcd-client';
import { createEtcdClient } from '@pilothouse/etcd-client';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';

const flagName = 'replace-lost-member';

/** The last value of `--name=value` or `--name value`, else that of the variable `ETCD_NAME`, as the store reads them. */
export function flagValue(
  argv: readonly string[],
  name: string,
  environment: NodeJS.ProcessEnv = process.env,
): string | undefined {
  let found = environment[`ETCD_${name.toUpperCase().replaceAll('-', '_')}`];
  for (const [index, each] of argv.entries()) {
    if (each === `--${name}`) found = argv[index + 1];
    else if (each.startsWith(`--${name}=`)) found = each.slice(name.length + 3);
  }
  return found;
}

export const without = (argv: readonly string[], name: string): string[] =>
  argv.filter((each, index) => {
    if (each.startsWith(`--${name}=`) || each === `--${name}`) return false;
    return argv[index - 1] !== `--${name}`;
  });

/** A client of the members at `endpoints`, with the certificates that the flags of a member name. */
export function memberClient(argv: readonly string[], endpoints: readonly string[]): EtcdClient {
  const pem = (flag: string): string | undefined => {
    const file = flagValue(argv, flag);
    return file === undefined ? undefined : readFileSync(file, 'utf8');
  };
  const files = { ca: pem('trusted-ca-file'), cert: pem('peer-cert-file'), key: pem('peer-key-file') };
  const tls = Object.fromEntries(Object.entries(files).filter(([, each]) => each !== undefined)) as EtcdTls;
  return createEtcdClient({
    endpoints,
    ...(endpoints.some((each) => each.startsWith('https:')) ? { tls } : {}),
    clock: nodeClock,
    random: nodeRandom,
  });
}

/** What the cluster says of this member. */
export interface SeenMember {
  readonly ID: bigint;
  readonly name: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
}

/**
 * What a member with an empty data directory has to do: `new` when the cluster has not seen it run, `join` when it was added but never
 * ran, `replace` when it ran and has lost its data.
 */
export function rejoinStep(
  members: readonly SeenMember[],
  name: string,
  peerUrls: readonly string[],
): { readonly step: 'new' | 'join' } | { readonly step: 'replace'; readonly id: bigint } {
  const wanted = [...peerUrls].sort().join();
  const own = members.find((each) => [...each.peerURLs].sort().join() === wanted);
  if (own === undefined) {
    const namesake = members.find((each) => each.name === name);
    return namesake ? { step: 'replace', id: namesake.ID } : { step: 'join' };
  }
  if (own.name === '' && own.clientURLs.length === 0)
    // In a cluster that starts for the first time nobody has told anything yet.
    return members.some((each) => each.name !== '') ? { step: 'join' } : { step: 'new' };
  return { step: 'replace', id: own.ID };
}

/**
 * `pilothouse store --replace-lost-member=URL,…`: a member whose data directory is empty although it ran before (a volume that was lost)
 * is removed from the cluster and joins as a new one, a learner until it has caught up. Asks the members at the URLs; nothing changes
 * without their majority. Gives the flags to start the member with.
 */
export async function rejoinArguments(argv: readonly string[]): Promise<string[]> {
  const text = flagValue(argv, flagName);
  if (text === undefined) return [...argv];
  const rest = without(argv, flagName);
  const endpoints = text.split(',').filter((each) => each !== '');
  if (endpoints.length === 0)
    throw new CommandError(`--${flagName} needs the client URLs of the other members`);
  const must = (name: string): string => {
    const value = flagValue(argv, name);
    if (value === undefined || value === '') throw new CommandError(`--${flagName} needs --${name}`);
    return value;
  };
  const dataDir = must('data-dir');
  if (existsSync(path.join(dataDir, 'member', 'identity.json'))) return rest;
  const name = must('name');
  const peerUrls = must('initial-advertise-peer-urls').split(',');
  const client = memberClient(argv, endpoints);
  const say = (what: string): void => void process.stderr.write(`${name}: ${what}\n`);
  const timeoutMs = limits.rejoinCallTimeoutMs;
  try {
    let members: SeenMember[];
    try {
      members = (await client.memberList({ timeoutMs })).members;
    } catch (error) {
      // Nobody has a majority: either the cluster is just being made, or nothing can be changed now. The store itself refuses to
      // come back under its old identity if any of the others remembers it.
      say(`No member answers (${errorMessage(error)}): starting as --initial-cluster-state says`);
      return rest;
    }
    const todo = rejoinStep(members, name, peerUrls);
    if (todo.step === 'new') return rest;
    if (todo.step === 'replace') {
      say(
        `It ran before and its data directory "${dataDir}" is empty: replacing the lost member ${todo.id.toString(16)}`,
      );
      await client.memberRemove(todo.id, { timeoutMs });
    }
    if (todo.step === 'replace' || !members.some((each) => each.peerURLs.join() === peerUrls.join())) {
      for (let attempt = 1; ; attempt++) {
        try {
          await client.memberAdd(peerUrls, { timeoutMs, isLearner: true });
          break;
        } catch (error) {
          // Right after a removal the cluster may ask for patience (unhealthy, too many learners).
          if (attempt >= limits.rejoinAttempts)
            throw new CommandError(`Cannot add "${name}" to the cluster: ${errorMessage(error)}`);
          await sleep(nodeClock, limits.rejoinPauseMs);
        }
      }
    }
    const now = (await client.memberList({ timeoutMs })).members;
    const own = [...peerUrls].sort().join();
    const cluster = now.flatMap((each) => {
      const its =
        [...each.peerURLs].sort().join() === own ? name : each.name || `member-${each.ID.toString(16)}`;
      return each.peerURLs.map((url) => `${its}=${url}`);
    });
    return [
      ...without(without(rest, 'initial-cluster'), 'initial-cluster-state'),
      `--initial-cluster=${cluster.join(',')}`,
      '--initial-cluster-state=existing',
    ];
  } finally {
    client.close();
  }
}
