import type { SeededRandom } from '@pilothouse/testkit';
import { calmNetwork } from '@pilothouse/testkit';
import { encodeCommand } from '../core/apply/command.ts';
import type { MemberId, MemberInfo, MembershipChange } from '../core/replication.ts';
import { SimulatedMember } from './simulated-member.ts';
import type { World } from './simulated-member.ts';
import { addressOf } from './simulated-transport.ts';

export function memberInfo(id: MemberId, isLearner = false): MemberInfo {
  return { id, name: `m${id}`, peerUrls: [`http://${addressOf(id)}:2380`], clientUrls: [], isLearner };
}

/** Makes trouble at random moments until told to stop, then leaves everything as it found it. */
export class Nemesis {
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #members: SimulatedMember[];
  #isStopped = false;
  #isReconfiguring = false;
  #nextId: bigint;

  constructor(world: World, random: SeededRandom, members: SimulatedMember[]) {
    this.#world = world;
    this.#random = random;
    this.#members = members;
    this.#nextId = BigInt(members.length + 1);
  }

  start(): void {
    this.#later(() => this.#act(), 200 + this.#random.integer(1500));
  }

  #later(action: () => void, delayMs: number): void {
    this.#world.clock.setTimeout(() => {
      if (!this.#isStopped) action();
    }, delayMs);
  }

  #act(): void {
    this.#strike();
    this.start();
  }

  get #living(): SimulatedMember[] {
    return this.#members.filter((member) => member.isUp);
  }

  get #leader(): SimulatedMember | undefined {
    return this.#living.find((member) => member.replica?.status().role === 'leader');
  }

  #strike(): void {
    const { network, trace } = this.#world;
    const random = this.#random;
    const addresses = this.#members.map(({ id }) => addressOf(id));
    const roll = random.integer(100);
    if (roll < 12) {
      const side = addresses.filter(() => random.chance(0.5));
      const other = addresses.filter((address) => !side.includes(address));
      trace(`partition ${side.join()} | ${other.join()}`);
      network.partition(side, other);
    } else if (roll < 18) {
      const leader = this.#leader;
      if (!leader) return;
      trace(`isolate leader m${leader.id}`);
      network.partition(
        [addressOf(leader.id)],
        addresses.filter((address) => address !== addressOf(leader.id)),
      );
    } else if (roll < 24) {
      const from = random.pick(addresses);
      const to = random.pick(addresses);
      trace(`block ${from} > ${to}`);
      network.block(from, to);
    } else if (roll < 38) {
      trace('heal');
      network.heal();
    } else if (roll < 48) {
      network.faults = {
        ...calmNetwork,
        loss: random.pick([0, 0.02, 0.1, 0.3]),
        duplication: random.pick([0, 0.05, 0.3]),
        delayMax: random.pick([2, 10, 80, 300]),
        slow: random.pick([0, 0.05]),
      };
      trace(`network ${JSON.stringify(network.faults)}`);
    } else if (roll < 66) this.#crash();
    else if (roll < 72) {
      const member = random.pick(this.#members);
      member.syncMs = random.pick([200, 800, 2500]);
      trace(`disk of m${member.id} stalls at ${member.syncMs} ms`);
      this.#later(() => (member.syncMs = 0.5), 500 + random.integer(3000));
    } else if (roll < 75) {
      const member = random.pick(this.#members);
      trace(`disk of m${member.id} fails a sync`);
      member.disk.failSyncs(1);
    } else if (roll < 81) {
      const member = random.pick(this.#members);
      member.clock.rate = random.pick([0.7, 0.9, 1, 1.1, 1.4]);
      member.clock.offsetMs = random.pick([-3_600_000, 0, 3_600_000]);
      trace(`clock of m${member.id} runs at ${member.clock.rate}`);
    } else if (roll < 87) {
      const leader = this.#leader;
      const target = random.pick(this.#members);
      trace(`transfer to m${target.id}`);
      leader?.replica?.transferLeadership(target.id).catch(() => {});
    } else if (roll < 90) {
      const leader = this.#leader;
      const revision = (leader?.machine.store.currentRevision ?? 0) - 30;
      if (!leader || revision < 2) return;
      trace(`compact to ${revision}`);
      leader.replica?.propose(encodeCommand({ compaction: { revision } })).catch(() => {});
    } else if (!this.#isReconfiguring) {
      this.#isReconfiguring = true;
      void this.#replaceMember().finally(() => (this.#isReconfiguring = false));
    }
    for (const member of this.#members) {
      if (!member.isUp && !member.isRemoved && random.chance(0.1)) void member.start();
    }
  }

  #crash(): void {
    const random = this.#random;
    const living = this.#living;
    if (living.length === 0) return;
    const victims =
      random.integer(10) === 0
        ? living
        : random.integer(3) === 0
          ? [this.#leader ?? random.pick(living)]
          : [random.pick(living)];
    const kind = random.chance(0.6) ? 'power' : 'process';
    for (const victim of victims) {
      victim.crash(kind);
      this.#later(() => void victim.start(), 50 + random.integer(2500));
    }
  }

  /** Adds a learner, promotes it, removes another member: one confirmed step after the other. */
  async #replaceMember(): Promise<void> {
    const { trace } = this.#world;
    const id = this.#nextId++ as MemberId;
    const learner = memberInfo(id, true);
    if (!(await this.#change({ kind: 'add', member: learner }))) return;
    trace(`m${id} joins as a learner`);
    const member = new SimulatedMember(id, this.#world, {
      initial: [...this.#members.map((other) => memberInfo(other.id)), learner],
      isNewCluster: false,
    });
    member.onStart = this.#members[0]?.onStart ?? (() => {});
    this.#members.push(member);
    await member.start();
    await this.#pause(500 + this.#random.integer(2000));
    if (!(await this.#change({ kind: 'promote', id }))) return;
    trace(`m${id} is promoted`);
    const candidates = this.#members.filter((other) => other !== member && !other.isRemoved);
    const leaver = this.#random.pick(candidates);
    if (!(await this.#change({ kind: 'remove', id: leaver.id }))) return;
    trace(`m${leaver.id} is removed`);
    await this.#pause(3000);
    leaver.isRemoved = true;
    if (leaver.isUp) leaver.crash('process');
    const position = this.#members.indexOf(leaver);
    if (position >= 0) this.#members.splice(position, 1);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.clock.setTimeout(resolve, ms));
  }

  async #change(change: MembershipChange): Promise<boolean> {
    for (let attempt = 0; attempt < 5 && !this.#isStopped; attempt++) {
      const living = this.#living;
      const member = this.#leader ?? (living.length > 0 ? this.#random.pick(living) : undefined);
      try {
        if (member?.replica) {
          await member.replica.changeMembership(change);
          return true;
        }
      } catch {
        // Not known whether it took place; it does no harm twice.
      }
      await this.#pause(300);
    }
    return false;
  }

  /** Ends all faults and brings everybody back. */
  async heal(): Promise<void> {
    this.#isStopped = true;
    this.#world.trace('everything is healed');
    this.#world.network.heal();
    for (const member of this.#members) {
      member.syncMs = 0.5;
      member.disk.failSyncs(0);
      member.clock.rate = 1;
      member.clock.offsetMs = 0;
    }
    await this.#pause(100);
    for (const member of this.#members) if (!member.isUp && !member.isRemoved) await member.start();
  }
}
