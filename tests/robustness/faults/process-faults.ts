import { pause } from '../cluster/cluster.ts';
import { gatewayCall } from '../cluster/gateway.ts';
import { victim } from './fault.ts';
import type { Fault } from './fault.ts';

export const processFaults: readonly Fault[] = [
  {
    name: 'kill',
    needs: ['process'],
    async strike(context) {
      const { random, note } = context;
      for (let turn = 0; turn < 3; turn++) {
        const member = await victim(context);
        note(`kill -9 ${member.name}`);
        await member.kill();
        await pause(100 + random.integer(1500));
        member.start();
        await pause(500 + random.integer(1500));
      }
    },
  },
  {
    name: 'kill-all',
    needs: ['process'],
    async strike({ cluster, random, note }) {
      note('kill -9 of all members');
      await Promise.all(cluster.members.map((member) => member.kill()));
      await pause(random.integer(500));
      for (const member of cluster.members) member.start();
      await pause(3000);
    },
  },
  {
    name: 'pause',
    needs: ['process'],
    async strike(context) {
      const { random, note } = context;
      for (let turn = 0; turn < 3; turn++) {
        const member = await victim(context, 0.9);
        const ms = 1200 + random.integer(2500);
        note(`pause ${member.name} for ${ms} ms`);
        member.pause();
        await pause(ms);
        member.resume();
        await pause(700);
      }
    },
  },
  {
    name: 'transfer',
    needs: ['process'],
    async strike({ cluster, random, note }) {
      for (let turn = 0; turn < 6; turn++) {
        const leader = await cluster.leader();
        const statuses = await cluster.statuses();
        const others = [...statuses].filter(([member]) => member !== leader);
        if (leader && others.length > 0) {
          const [member, { id }] = random.pick(others);
          note(`leadership from ${leader.name} to ${member.name}`);
          await gatewayCall(leader.clientUrl, 'maintenance/transfer-leadership', { targetID: id }).catch(
            () => {},
          );
        }
        await pause(400);
      }
    },
  },
  {
    name: 'compact',
    needs: ['process'],
    async strike({ cluster, random, note, saveTruth, compacted }) {
      for (let turn = 0; turn < 2; turn++) {
        const known = await saveTruth();
        const revision = known - random.integer(Math.max(1, Math.min(known - 2, 50)));
        note(`compact to ${revision}`);
        compacted(revision);
        await gatewayCall(await cluster.anyUrl(), 'kv/compaction', {
          revision,
          physical: random.chance(0.5),
        }).catch(() => {});
        const member = random.pick(cluster.running);
        await pause(500);
        note(`defragment ${member.name}`);
        await gatewayCall(member.clientUrl, 'maintenance/defragment', {}).catch(() => {});
        await pause(800);
      }
    },
  },
  {
    name: 'member-change',
    needs: ['process'],
    async strike(context) {
      const { cluster, note } = context;
      const leaver = await victim(context, 0.3);
      const id = await cluster.idOf(leaver);
      note(`a new member for ${leaver.name}`);
      await cluster.exchange(leaver, id);
      await pause(500);
    },
  },
  {
    name: 'member-wipe',
    needs: ['process'],
    async strike(context) {
      const { cluster, random, note } = context;
      const member = await victim(context, 0.3);
      note(`${member.name} loses its disk and joins anew`);
      const id = await cluster.idOf(member);
      await member.kill();
      await pause(random.integer(1000));
      await cluster.replace(member, id);
      await cluster.healthy(20_000);
    },
  },
  {
    name: 'clock',
    needs: ['clock'],
    unless: 'clock',
    async strike({ cluster, random, note }) {
      for (let turn = 0; turn < 4; turn++) {
        const member = random.pick(cluster.members);
        const offsetMs = random.pick([-3_600_000, -5_000, 5_000, 3_600_000, 86_400_000]);
        note(`wall clock of ${member.name} ${offsetMs / 1000} s`);
        member.setClock(offsetMs);
        await pause(1200);
      }
      for (const member of cluster.members) member.setClock(0);
    },
  },
];
