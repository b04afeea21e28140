import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { errorMessage, sleep } from '@pilothouse/base';
import { createEtcdClient } from '@pilothouse/etcd-client';
import type { EtcdTls } from '@pilothouse/etcd-client';
import type { FlagSpecs } from '@pilothouse/host';
import { nodeClock, nodeRandom, parseFlags } from '@pilothouse/host';
import { restoreStore } from '@pilothouse/local';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';
import { pkiDirectory } from '../plane/layout.ts';
import { readState } from '../plane/state-file.ts';
import type { BackupTarget } from './backup-target.ts';
import { backupName, openTarget } from './backup-target.ts';
import { defaultDataDirectory } from './shared.ts';

export const backupFlags: FlagSpecs = {
  'data-dir': {
    type: 'string',
    default: '',
    help: 'The directory of a running plane (default: data in the current directory)',
  },
  endpoints: {
    type: 'strings',
    default: [],
    help: 'Members to ask instead of those of a plane; any one is enough',
  },
  cacert: { type: 'string', default: '', help: 'CA of the members’ certificates, with --endpoints' },
  cert: { type: 'string', default: '', help: 'Client certificate, with --endpoints' },
  key: { type: 'string', default: '', help: 'Key of the client certificate, with --endpoints' },
  to: {
    type: 'string',
    default: '',
    help: 'Instead of FILE: a directory or s3://BUCKET/PREFIX that gets a file named by the time',
  },
  keep: { type: 'integer', default: 0, help: 'With --to: how many backups stay there; 0: all' },
  schedule: { type: 'duration', default: '0s', help: 'With --to: go on and take one every so often' },
  verify: {
    type: 'boolean',
    default: true,
    help: 'With --to: restore each backup into a directory of its own before it counts',
  },
};

/** `pilothouse backup FILE`: the whole store as of now in one file, which appears only when it is complete and checked. */
export async function backup(argv: readonly string[]): Promise<void> {
  const { values, positional } = parseFlags(backupFlags, argv);
  const [name, ...rest] = positional;
  if (values['to'] !== '') {
    if (positional.length > 0) throw new CommandError('Want either FILE or --to, not both');
    return scheduledBackups(values);
  }
  if (values['keep'] !== 0 || values['schedule'] !== 0)
    throw new CommandError('--keep and --schedule need --to: a directory or s3://BUCKET/PREFIX');
  if (name === undefined || rest.length > 0)
    throw new CommandError('Want one file name: pilothouse backup FILE [--data-dir DIR | --endpoints URL,…]');
  const file = path.resolve(name);
  if (existsSync(file)) throw new CommandError(`"${file}" exists: choose another name, or remove it`);
  const { size, revision } = await take(values, file);
  process.stdout.write(
    `Backup of ${size} bytes, revision ${revision} or later, in ${file}\nRestore it with: pilothouse restore ${file}\n`,
  );
}

/** Takes one backup into `file`, which must not exist. */
async function take(
  values: ReturnType<typeof parseFlags>['values'],
  file: string,
): Promise<{ size: number; revision: bigint | number }> {
  const { endpoints, tls } = whom(values);
  const client = createEtcdClient({
    endpoints,
    ...(tls === undefined ? {} : { tls }),
    clock: nodeClock,
    random: nodeRandom,
  });
  const part = `${file}.part`;
  try {
    const { header } = await client.status(undefined, { timeoutMs: limits.probeTimeoutMs * 3 });
    const size = await download(part, (onBlob) => client.snapshot(onBlob));
    renameSync(part, file);
    syncDirectory(path.dirname(file));
    return { size, revision: header?.revision ?? 0 };
  } catch (error) {
    rmSync(part, { force: true });
    if (error instanceof CommandError) throw error;
    throw new CommandError(`Cannot take a backup from ${endpoints.join(', ')}: ${errorMessage(error)}`);
  } finally {
    client.close();
  }
}

/** `--to`: one backup, or one every `--schedule`, each proved by a restore; older ones than `--keep` go. */
async function scheduledBackups(values: ReturnType<typeof parseFlags>['values']): Promise<void> {
  const target = openTarget(values['to'] as string, process.env, nodeClock);
  const keep = values['keep'] as number;
  const periodMs = values['schedule'] as number;
  if (keep < 0) throw new CommandError(`Invalid value ${keep} for --keep: want 0 or more`);
  if (periodMs !== 0 && periodMs < limits.backupPeriodMinMs)
    throw new CommandError(
      `Invalid value ${periodMs / 1000} s for --schedule: want at least ${limits.backupPeriodMinMs / 1000} s`,
    );
  for (;;) {
    const startedMs = nodeClock.monotonic();
    try {
      await backupTo(target, values, keep);
    } catch (error) {
      if (periodMs === 0) throw error;
      // The next one may succeed; monitoring sees the age of the newest.
      process.stderr.write(`Backup failed: ${errorMessage(error)}\n`);
    }
    if (periodMs === 0) return;
    await sleep(
      nodeClock,
      Math.max(limits.backupPeriodMinMs, periodMs - (nodeClock.monotonic() - startedMs)),
    );
  }
}

async function backupTo(
  target: BackupTarget,
  values: ReturnType<typeof parseFlags>['values'],
  keep: number,
): Promise<void> {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-backup-'));
  const name = backupName(nodeClock.now());
  try {
    const file = path.join(scratch, name);
    const { size, revision } = await take(values, file);
    if (values['verify'] !== false)
      await restoreStore({
        source: file,
        dataDir: path.join(scratch, 'proof'),
        name: 'proof',
        initialCluster: new Map([['proof', ['http://127.0.0.1:1']]]),
        initialClusterToken: 'proof',
        bumpRevision: 1,
        skipHashCheck: false,
      }).catch((error: unknown) => {
        throw new CommandError(`The backup cannot be restored and was not kept: ${errorMessage(error)}`);
      });
    await target.put(file, name).catch((error: unknown) => {
      throw new CommandError(`Cannot write ${name} to ${target.title}: ${errorMessage(error)}`);
    });
    const names = await target.list();
    if (!names.includes(name))
      throw new CommandError(`${target.title} does not list ${name} after it was written`);
    const old = keep === 0 ? [] : names.slice(0, Math.max(0, names.length - keep));
    for (const each of old) await target.remove(each);
    process.stdout.write(
      `${name}: ${size} bytes, revision ${revision} or later${values['verify'] === false ? '' : ', restored as a proof'}, in ${target.title}${old.length === 0 ? '' : `; removed ${old.join(', ')}`}\n`,
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Writes the stream to `part` and checks it against the checksum that ends it. Returns the file's size. */
async function download(
  part: string,
  stream: (onBlob: (blob: Uint8Array, remaining: number) => void) => Promise<void>,
): Promise<number> {
  const descriptor = openSync(part, 'wx', 0o600);
  const digest = createHash('sha256');
  let size = 0;
  let total = 0;
  let checksum: Buffer | undefined;
  let shown = 0;
  try {
    await stream((blob, remaining) => {
      if (checksum !== undefined) throw new CommandError('The member sent more after the checksum');
      if (total === 0) total = blob.length + remaining;
      if (size === total) checksum = Buffer.from(blob);
      else digest.update(blob);
      for (let at = 0; at < blob.length;) at += writeSync(descriptor, blob, at, blob.length - at);
      size += blob.length;
      const now = nodeClock.monotonic();
      if (process.stderr.isTTY && now - shown > 200) {
        shown = now;
        process.stderr.write(`\r${Math.floor((100 * size) / total)} % of ${total} bytes`);
      }
    });
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    if (checksum === undefined || !digest.digest().equals(checksum))
      throw new CommandError(
        'The backup arrived damaged or incomplete: its checksum does not match. Try again',
      );
    fsyncSync(descriptor);
    return size;
  } finally {
    closeSync(descriptor);
  }
}

function whom(values: ReturnType<typeof parseFlags>['values']): {
  endpoints: readonly string[];
  tls: EtcdTls | undefined;
} {
  const endpoints = values['endpoints'] as string[];
  const read = (file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new CommandError(`Cannot read "${file}": ${errorMessage(error)}`);
    }
  };
  if (endpoints.length > 0) {
    const files = { ca: values['cacert'], cert: values['cert'], key: values['key'] } as Record<
      string,
      string
    >;
    const given = Object.entries(files).filter(([, file]) => file !== '');
    return {
      endpoints,
      tls:
        given.length === 0 ? undefined : Object.fromEntries(given.map(([name, file]) => [name, read(file)])),
    };
  }
  const dataDir = path.resolve((values['data-dir'] as string) || defaultDataDirectory());
  const stores = readState(dataDir)?.processes.filter(({ component }) => component === 'store') ?? [];
  if (stores.length === 0)
    throw new CommandError(`No plane with a store runs in "${dataDir}": pass its --data-dir, or --endpoints`);
  const pki = (file: string): string => read(path.join(pkiDirectory(dataDir), 'etcd', file));
  return {
    endpoints: stores.map(({ address }) => `https://${address}`),
    tls: { ca: pki('ca.crt'), cert: pki('client.crt'), key: pki('client.key') },
  };
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
