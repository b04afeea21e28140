import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pause } from '../cluster/cluster.ts';
import type { Member } from '../cluster/member.ts';
import { victim } from './fault.ts';
import type { Fault, FaultContext } from './fault.ts';

/** Waits for a member to end by itself, as one that cannot write must; restarts it once the disk is well again. */
async function untilGone(context: FaultContext, member: Member, ms: number): Promise<void> {
  const exit = await member.exitWithin(ms);
  context.note(exit ? `${member.name} ended with status ${exit.code ?? 'none'}` : `${member.name} goes on`);
}

async function powerCut(context: FaultContext, members: readonly Member[]): Promise<void> {
  const { random, note } = context;
  const percent = random.pick([50, 90, 100]);
  await Promise.all(members.map((member) => member.kill()));
  for (const member of members) {
    const lost = await member.options.disk.powerCut(random.uint32(), percent);
    note(`power cut of ${member.name}: ${lost} unsynced sectors lost`);
  }
  await pause(random.integer(800));
  for (const member of members) member.start();
}

function files(directory: string, pattern: RegExp): string[] {
  return readdirSync(directory, { recursive: true })
    .map((name) => path.join(directory, String(name)))
    .filter((name) => pattern.test(name) && statSync(name).isFile())
    .sort();
}

/** The part of a file that is in use: up to the last byte that is not zero. */
function usedLength(bytes: Uint8Array): number {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return length;
}

/** Flips bytes of a member's file while it is down, then wants a refusal that names the file and lets it copy the data from the others. */
async function corrupt(context: FaultContext, what: 'log' | 'state'): Promise<void> {
  const { cluster, random, note, violated } = context;
  const member = await victim(context, 0.3);
  const id = await cluster.idOf(member);
  await pause(500);
  await member.kill();
  member.isExpectedDown = true;
  const [file] =
    what === 'log'
      ? files(member.dataDirectory, /\.wal$/).slice(-1)
      : files(member.dataDirectory, /data\.mdb$/);
  if (file === undefined) throw new Error(`${member.name} has no ${what} file`);
  const bytes = readFileSync(file);
  const used = usedLength(bytes);
  if (what === 'log') {
    // In the first half, so that it cannot pass for a torn tail.
    const offset = Math.floor(used * (0.1 + 0.4 * random.float()));
    for (let at = offset; at < offset + 4; at++) bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    note(`flipped 4 bytes of ${path.basename(file)} of ${member.name} at ${offset} of ${used}`);
  } else {
    // Values that are stored now: every tenth remnant of a client's value.
    let flips = 0;
    for (let at = bytes.indexOf('c0-'); at >= 0; at = bytes.indexOf('c0-', at + 3)) {
      bytes[at] = (bytes[at] ?? 0) ^ 0x20;
      flips++;
    }
    note(`flipped ${flips} bytes of ${path.basename(file)} of ${member.name}`);
  }
  writeFileSync(file, bytes);
  const from = member.logLength();
  member.start();
  // One that refuses ends by itself; on a busy machine it takes most of this to get so far.
  const exit = await member.exitWithin(60_000);
  const log = member.log(from);
  if (!exit || exit.code === 0)
    violated('corruption', `${member.name} serves although its ${what} is damaged`);
  else if (!log.includes(path.basename(file)) && !/crc mismatch|walpb|checksum/i.test(log))
    violated(
      'corruption',
      `${member.name} refuses but does not say what is damaged: ${log.trim().split('\n').at(-1) ?? ''}`,
    );
  else
    note(
      `${member.name} refuses: ${(/"msg":"([^"]+)"/.exec(log.trim().split('\n').at(-1) ?? '')?.[1] ?? '').slice(0, 160)}`,
    );
  note(`${member.name} copies the data from the others`);
  await cluster.replace(member, id);
  member.isExpectedDown = false;
  await cluster.healthy(20_000);
}

export const diskFaults: readonly Fault[] = [
  {
    name: 'slow-disk',
    needs: ['disk'],
    async strike(context) {
      const { random, note, cluster } = context;
      const isAll = random.chance(0.3);
      const members = isAll ? cluster.members : [await victim(context, 0.8)];
      const ms = random.pick([50, 300, 1500]);
      note(`each sync of ${isAll ? 'all members' : (members[0]?.name ?? '')} takes ${ms} ms`);
      for (const member of members) await member.options.disk.syncDelay(ms * 1000);
      await pause(4000);
      for (const member of members) await member.options.disk.syncDelay(0);
      await pause(500);
    },
  },
  {
    name: 'full-disk',
    needs: ['disk'],
    async strike(context) {
      const member = await victim(context);
      context.note(`the disk of ${member.name} is full`);
      await member.options.disk.setFull(true);
      await untilGone(context, member, 4000);
      await member.options.disk.setFull(false);
      await pause(200);
      // One that went on in some half-way state is restarted, as its operator would.
      await member.kill();
      member.start();
      await pause(1000);
    },
  },
  {
    name: 'failing-sync',
    needs: ['disk'],
    async strike(context) {
      const member = await victim(context);
      context.note(`syncs of ${member.name} fail`);
      await member.options.disk.setBroken(true);
      await untilGone(context, member, 4000);
      await member.kill();
      await member.options.disk.setBroken(false);
      await powerCut(context, [member]);
      await pause(1000);
    },
  },
  {
    name: 'power-cut',
    needs: ['disk'],
    async strike(context) {
      for (let turn = 0; turn < 2; turn++) {
        await powerCut(context, [await victim(context)]);
        await pause(2500);
      }
    },
  },
  {
    name: 'power-cut-all',
    needs: ['disk'],
    async strike(context) {
      const { cluster, random } = context;
      for (let turn = 0; turn < 3; turn++) {
        // Slow syncs leave more that is not synced yet.
        const delayUs = random.pick([0, 40_000, 150_000]);
        for (const member of cluster.members) await member.options.disk.syncDelay(delayUs);
        await pause(1200);
        await powerCut(context, cluster.members);
        await pause(2500 + random.integer(500));
      }
    },
  },
  {
    name: 'corrupt-log',
    needs: ['process'],
    strike: (context) => corrupt(context, 'log'),
  },
  {
    name: 'corrupt-state',
    needs: ['process'],
    unless: 'stateChecksum',
    strike: (context) => corrupt(context, 'state'),
  },
];
