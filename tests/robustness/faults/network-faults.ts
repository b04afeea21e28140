import { pause } from '../cluster/cluster.ts';
import type { Member } from '../cluster/member.ts';
import type { LinkFaults } from '../sandbox/sandbox.ts';
import type { Fault, FaultContext } from './fault.ts';

async function between(context: FaultContext, from: Member, to: Member, faults: LinkFaults): Promise<void> {
  await context.sandbox.link(from.station, to.station, faults);
}

/** Cuts members off from each other, not from their clients. */
async function split(context: FaultContext, side: readonly Member[]): Promise<void> {
  const { cluster } = context;
  for (const a of side) {
    for (const b of cluster.members) {
      if (side.includes(b)) continue;
      await between(context, a, b, { isBlocked: true });
      await between(context, b, a, { isBlocked: true });
    }
  }
}

async function everyLink(context: FaultContext, faults: () => LinkFaults): Promise<void> {
  const { members } = context.cluster;
  for (const a of members) for (const b of members) if (a !== b) await between(context, a, b, faults());
}

const names = (members: readonly Member[]): string => members.map(({ name }) => name).join();

export const networkFaults: readonly Fault[] = [
  {
    name: 'partition',
    needs: ['network'],
    async strike(context) {
      const { cluster, random, sandbox, note } = context;
      for (let turn = 0; turn < 2; turn++) {
        const leader = await cluster.leader();
        const minority = Math.floor((cluster.members.length - 1) / 2);
        const others = cluster.members.filter((member) => member !== leader);
        const side = leader && random.chance(0.6) ? [leader] : [];
        while (side.length < minority)
          side.push(random.pick(others.filter((member) => !side.includes(member))));
        note(`partition ${names(side)} from the rest`);
        await split(context, side);
        await pause(2000 + random.integer(2000));
        await sandbox.calmNetwork();
        await pause(1000);
      }
    },
  },
  {
    name: 'one-way',
    needs: ['network'],
    async strike(context) {
      const { cluster, random, sandbox, note } = context;
      for (const isMute of random.chance(0.5) ? [true, false] : [false, true]) {
        const leader = (await cluster.leader()) ?? random.pick(cluster.members);
        note(`${leader.name} ${isMute ? 'is not heard by' : 'does not hear'} the others`);
        for (const member of cluster.members) {
          if (member === leader) continue;
          if (isMute) await between(context, leader, member, { isBlocked: true });
          else await between(context, member, leader, { isBlocked: true });
        }
        await pause(3000);
        await sandbox.calmNetwork();
        await pause(1000);
      }
    },
  },
  {
    name: 'flapping',
    needs: ['network'],
    async strike(context) {
      const { cluster, random, sandbox, note } = context;
      note('the network flaps every 300 ms');
      for (let turn = 0; turn < 14; turn++) {
        await split(context, [random.pick(cluster.members)]);
        await pause(300);
        await sandbox.calmNetwork();
        await pause(100);
      }
    },
  },
  {
    name: 'slow-network',
    needs: ['network'],
    async strike(context) {
      const { random, sandbox, note } = context;
      note('packets between members take 25 to 125 ms and overtake each other');
      await everyLink(context, () => ({ delayUs: 25_000, jitterUs: 100_000 }));
      await pause(4000 + random.integer(1000));
      await sandbox.calmNetwork();
    },
  },
  {
    name: 'lossy-network',
    needs: ['network'],
    async strike(context) {
      const { random, sandbox, note } = context;
      const lossPermille = random.pick([50, 200, 500]);
      note(`${lossPermille / 10} % of the packets between members are lost`);
      await everyLink(context, () => ({ lossPermille }));
      await pause(4000);
      await sandbox.calmNetwork();
    },
  },
  {
    name: 'lost-member',
    needs: ['network'],
    async strike(context) {
      const { cluster, random, sandbox, note } = context;
      const member = random.pick(cluster.members);
      note(`${member.name} is cut off from everybody, clients too`);
      await split(context, [member]);
      await sandbox.link(0, member.station, { isBlocked: true });
      await sandbox.link(member.station, 0, { isBlocked: true });
      await pause(3000 + random.integer(2000));
      await sandbox.calmNetwork();
    },
  },
];
