import fs from 'node:fs';
import path from 'node:path';
import { createEtcdClient } from '@pilothouse/etcd-client';
import type { EtcdClient } from '@pilothouse/etcd-client';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { expectResult, run } from '../checks.ts';
import type { Checks } from '../checks.ts';
import { freePorts, pause, storeProgram } from './scratch.ts';
import type { Scratch, Started } from './scratch.ts';

/** Values that cover several sectors, so that a record can be half there. */
const valueBytes = 3000;
const sectorBytes = 512;
const keys = 100;

interface Member {
  readonly dataDir: string;
  readonly clientUrl: string;
  args(extra?: readonly string[]): string[];
}

async function member(scratch: Scratch, name: string): Promise<Member> {
  const [client, peer] = (await freePorts(2)) as [number, number];
  const dataDir = scratch.path(name);
  const clientUrl = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  return {
    dataDir,
    clientUrl,
    args: (extra = []) => [
      storeProgram,
      '--name=m0',
      `--data-dir=${dataDir}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=m0=${peerUrl}`,
      '--initial-cluster-token=token-a',
      ...extra,
    ],
  };
}

async function withClient<T>(url: string, body: (client: EtcdClient) => Promise<T>): Promise<T> {
  const client = createEtcdClient({ endpoints: [url], clock: nodeClock, random: nodeRandom });
  try {
    return await body(client);
  } finally {
    client.close();
  }
}

async function waitUntilServing(started: Started, url: string): Promise<void> {
  for (let turn = 0; turn < 300; turn++) {
    if (started.exitCode() !== undefined) throw new Error(`The store ended\n${started.output()}`);
    const answer = await fetch(`${url}/health`).catch(() => undefined);
    if (answer?.ok) return;
    await pause(100);
  }
  throw new Error(`The store does not serve\n${started.output()}`);
}

const keyOf = (index: number): Buffer => Buffer.from(`/bad-start/${index}`);
const valueOf = (index: number): Buffer => Buffer.alloc(valueBytes, `${index}.`);

/** Writes acknowledged keys and ends the member without warning. */
async function fillAndKill(scratch: Scratch, target: Member): Promise<void> {
  const started = scratch.start(target.args());
  await waitUntilServing(started, target.clientUrl);
  await withClient(target.clientUrl, async (client) => {
    for (let index = 0; index < keys; index++)
      await client.kv.put({ key: keyOf(index), value: valueOf(index) });
  });
  await started.end('SIGKILL');
}

async function expectAllKeys(url: string): Promise<void> {
  const lost: number[] = [];
  await withClient(url, async (client) => {
    for (let index = 0; index < keys; index++) {
      const { kvs } = await client.kv.range({ key: keyOf(index) });
      if (!kvs[0] || !valueOf(index).equals(kvs[0].value)) lost.push(index);
    }
  });
  if (lost.length > 0) throw new Error(`Acknowledged writes are lost: ${lost.join(', ')}`);
}

/** The newest segment that has content, and where that content ends. */
function walTail(dataDir: string): { file: string; bytes: Buffer; end: number } {
  const directory = path.join(dataDir, 'member', 'wal');
  for (const name of fs.readdirSync(directory).sort().reverse()) {
    const file = path.join(directory, name);
    const bytes = fs.readFileSync(file);
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end--;
    // Values are larger than this; an empty segment holds its first records only.
    if (end > valueBytes) return { file, bytes, end: (end + 7) & ~7 };
  }
  throw new Error(`No write-ahead log in ${directory}`);
}

/** Damaged and foreign data directories of the store. */
export async function storeCases(checks: Checks, scratch: Scratch): Promise<void> {
  const damaged = await member(scratch, 'store');
  const refuses = (name: string, args: readonly string[], matches: readonly RegExp[]): Promise<boolean> =>
    checks.check(`store: ${name}`, async () =>
      expectResult(
        'the store',
        await run(process.execPath, args, { timeoutMs: 20_000, cwd: scratch.directory }),
        {
          code: 1,
          matches,
          lacks: [/\\n\s+at /],
        },
      ),
    );
  const serves = async (): Promise<void> => {
    const started = scratch.start(damaged.args());
    await waitUntilServing(started, damaged.clientUrl);
    await expectAllKeys(damaged.clientUrl);
    await started.end('SIGKILL');
  };

  await checks.check('store: killed under load, nothing acknowledged is lost', async () => {
    await fillAndKill(scratch, damaged);
    await serves();
  });

  await checks.check('store: a torn WAL tail is cut off, nothing acknowledged is lost', async () => {
    const { file, bytes, end } = walTail(damaged.dataDir);
    const record = bytes.indexOf(valueOf(keys - 1).subarray(0, 300));
    if (record < 0) throw new Error(`The last value is not in ${file}`);
    // A record that was being written when the power went: a frame's header came to the disk, the sectors after it did not.
    const header = bytes.subarray(record - 200, record);
    const lengthAt = findFrame(header);
    const torn = Buffer.alloc(sectorBytes - (end % sectorBytes));
    bytes.copy(torn, 0, record - 200 + lengthAt, record - 200 + lengthAt + torn.length);
    const descriptor = fs.openSync(file, 'r+');
    fs.writeSync(descriptor, torn, 0, torn.length, end);
    fs.closeSync(descriptor);
    await serves();
  });

  await refuses('the data directory of another cluster', damaged.args(['--initial-cluster-token=token-b']), [
    new RegExp(damaged.dataDir),
    /initial-cluster-token/,
    /token-a/,
  ]);

  await checks.check('store: it still starts with its own token', serves);

  const { file, bytes } = walTail(damaged.dataDir);
  const middle = bytes.indexOf(valueOf(20).subarray(0, 300));
  flip(file, middle);
  await refuses('a flipped byte in the middle of the WAL', damaged.args(), [
    new RegExp(path.basename(file)),
    /offset \d+/,
    /Remove this member/,
  ]);
  flip(file, middle);
  await checks.check('store: the byte flipped back, everything is there', serves);

  const foreign = await member(scratch, 'foreign');
  fs.mkdirSync(path.join(foreign.dataDir, 'member', 'snap'), { recursive: true });
  fs.writeFileSync(path.join(foreign.dataDir, 'member', 'snap', 'db'), 'bolt');
  await refuses("another program's data directory", foreign.args(), [/another program/, /--data-dir/]);

  const busy = await member(scratch, 'busy');
  await scratch.occupy(Number(new URL(busy.clientUrl).port));
  await refuses('a client port in use', busy.args(), [
    new RegExp(new URL(busy.clientUrl).port),
    /in use/,
    /listen-client-urls/,
  ]);

  const tiny = await member(scratch, 'tiny');
  fs.mkdirSync(tiny.dataDir);
  if (await scratch.mount(tiny.dataDir, 'size=2m'))
    await refuses('a disk too small for the log', tiny.args(), [
      /no space|ENOSPC/i,
      /tiny/,
      /[Ff]ree some space/,
    ]);
  else process.stdout.write('SKIP  store: a disk too small for the log (this user may not mount)\n');

  await refuses('an unknown flag', damaged.args(['--snapshot-counts=3']), [
    /--snapshot-counts/,
    /--snapshot-count\b/,
  ]);
}

/** Where in `bytes` the last frame begins: its length carries a check byte. */
function findFrame(bytes: Buffer): number {
  for (let at = bytes.length - 13; at >= 0; at--) {
    const [low, middle, high, check] = bytes.subarray(at, at + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const length = low | (middle << 8) | (high << 16);
    if (check === (0x5a ^ low ^ middle ^ high) && length > valueBytes && length < valueBytes + 500) return at;
  }
  throw new Error('No frame of the last value');
}

function flip(file: string, at: number): void {
  const descriptor = fs.openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  fs.readSync(descriptor, byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ 0x10;
  fs.writeSync(descriptor, byte, 0, 1, at);
  fs.closeSync(descriptor);
}
