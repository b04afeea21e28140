import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errorMessage } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';
import { flagValue, memberClient, without } from './rejoin.ts';

const flagName = 'resync';
/** Left in the data directory, so that a supervisor that starts the member again and again discards its state once only. */
const markerName = 'resync.done';

/**
 * `pilothouse store --resync=URL,…`: a member whose state is damaged puts that aside and joins its cluster anew, with the data of the others at
 * the client URLs. Nothing is touched unless they have a majority and know this member. Gives the flags to go on with: those of
 * `--replace-lost-member`.
 */
export async function resyncArguments(
  argv: readonly string[],
  say = (line: string): void => void process.stderr.write(`${line}\n`),
): Promise<string[]> {
  const text = flagValue(argv, flagName) ?? (argv.includes(`--${flagName}`) ? '' : undefined);
  if (text === undefined) return [...argv];
  const endpoints = text.split(',').filter((each) => /^https?:/.test(each));
  const dataDir = flagValue(argv, 'data-dir') ?? '';
  if (endpoints.length === 0)
    throw new CommandError(`--${flagName} needs the client URLs of the other members: --${flagName}=URL,…`);
  if (dataDir === '') throw new CommandError(`--${flagName} needs --data-dir`);
  const name = flagValue(argv, 'name') ?? 'default';
  const rest = without(argv, flagName);
  const replace = [...rest, `--replace-lost-member=${endpoints.join(',')}`];
  const identity = path.join(dataDir, 'member', 'identity.json');
  if (!existsSync(identity)) return replace;
  const marker = path.join(dataDir, markerName);
  if (existsSync(marker)) {
    say(
      `${name}: --${flagName} was carried out before (${readFileSync(marker, 'utf8').trim()}) and does nothing now. Take the flag away; to do it again, remove "${marker}"`,
    );
    return rest;
  }
  const { memberId } = JSON.parse(readFileSync(identity, 'utf8')) as { memberId: string };
  const client = memberClient(argv, endpoints);
  try {
    const { members } = await client.memberList({ timeoutMs: limits.rejoinCallTimeoutMs });
    if (!members.some(({ ID }) => ID.toString(16) === memberId))
      throw new CommandError(
        `The cluster at ${endpoints.join(', ')} does not know member ${memberId}. Nothing was changed: check the URLs, or empty "${dataDir}" and use --replace-lost-member`,
      );
    if (members.length === 1)
      throw new CommandError(
        'This member is the only one of its cluster: there is nobody to copy the data from. Nothing was changed: restore a backup instead',
      );
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      `The other members have no majority or cannot be reached (${errorMessage(error)}). Nothing was changed: this member may hold what they need`,
    );
  } finally {
    client.close();
  }
  const at = new Date(nodeClock.now()).toISOString();
  const suffix = `discarded-${at.replace(/[:.]/g, '-')}`;
  const walDir = flagValue(argv, 'wal-dir');
  for (const directory of [path.join(dataDir, 'member'), ...(walDir === undefined ? [] : [walDir])]) {
    if (!existsSync(directory)) continue;
    const aside = `${directory.replace(/\/+$/, '')}.${suffix}`;
    renameSync(directory, aside);
    say(
      `${name}: THE STATE OF THIS MEMBER IS DISCARDED (--${flagName}). It lies in "${aside}" until you remove it`,
    );
  }
  writeFileSync(marker, `${at}, member ${memberId}\n`, { mode: 0o600 });
  return replace;
}
