import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { errorMessage } from '@pilothouse/base';
import { createEtcdClient } from '@pilothouse/etcd-client';
import type { EtcdTls } from '@pilothouse/etcd-client';
import type { FlagSpecs } from '@pilothouse/host';
import { nodeClock, nodeRandom, parseFlags } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';
import { pkiDirectory } from '../plane/layout.ts';
import { readState } from '../plane/state-file.ts';
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
};

/** `pilothouse backup FILE`: the whole store as of now in one file, which appears only when it is complete and checked. */
export async function backup(argv: readonly string[]): Promise<void> {
  const { values, positional } = parseFlags(backupFlags, argv);
  const [name, ...rest] = positional;
  if (name === undefined || rest.length > 0)
    throw new CommandError('Want one file name: pilothouse backup FILE [--data-dir DIR | --endpoints URL,…]');
  const file = path.resolve(name);
  if (existsSync(file)) throw new CommandError(`"${file}" exists: choose another name, or remove it`);
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
    process.stdout.write(
      `Backup of ${size} bytes, revision ${header?.revision ?? 0} or later, in ${file}\nRestore it with: pilothouse restore ${file}\n`,
    );
  } catch (error) {
    rmSync(part, { force: true });
    if (error instanceof CommandError) throw error;
    throw new CommandError(`Cannot take a backup from ${endpoints.join(', ')}: ${errorMessage(error)}`);
  } finally {
    client.close();
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
