import { sleep } from '@pilothouse/base';
import { nodeClock } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import type { Load } from './load.ts';
import { cannotInjectDiskFaults, injectDiskFault } from './privileges.ts';
import type { Cut, Target, TargetProcess, Undo } from './target.ts';

/** What a fault has at hand. */
export interface DrillContext {
  readonly target: Target;
  readonly load: Load;
  /** An integer in [0, bound) of the drill's seed. */
  integer(bound: number): number;
  /** Puts a mark on the time line; with `until` the fault lasts until `end` is called. */
  mark(text: string): { end(): void };
  processes(component: string): Promise<TargetProcess[]>;
  leader(component: string): Promise<TargetProcess>;
  /** All are ready again, or the drill fails. */
  healthy(withinMs?: number): Promise<void>;
  /** Something that must hold does not. */
  problem(text: string): void;
}

export interface Drill {
  readonly name: string;
  readonly title: string;
  /** Reads may fail, but not again when they are repeated once. */
  readonly wantsRetriedReadsToSucceed?: boolean;
  /** Why it cannot be done here. */
  cannot?(target: Target): string | undefined | Promise<string | undefined>;
  strike(context: DrillContext): Promise<void>;
}

const pause = (ms: number): Promise<void> => sleep(nodeClock, ms);

/** Holds a fault for so long, and takes it back whatever happens. */
async function hold(context: DrillContext, text: string, undo: Undo, ms: number): Promise<void> {
  const mark = context.mark(text);
  try {
    await pause(ms);
  } finally {
    await undo();
    mark.end();
  }
}

async function pickStore(context: DrillContext, role: 'leader' | 'follower'): Promise<TargetProcess> {
  const stores = (await context.processes('store')).filter((each) => each.role === role);
  const found = stores[context.integer(Math.max(1, stores.length))];
  if (!found) throw new CommandError(`The store has no ${role}`);
  return found;
}

async function cutDrill(context: DrillContext, how: Cut, text: string): Promise<void> {
  const victim = await context.leader('store');
  await hold(context, `${victim.name} (leader) ${text}`, await context.target.cut(victim.name, how), 4000);
  await context.healthy();
}

function killDrill(
  name: string,
  title: string,
  component: string,
  role: 'leader' | 'follower' | undefined,
  wantsRetriedReadsToSucceed = false,
): Drill {
  return {
    name,
    title,
    wantsRetriedReadsToSucceed,
    async strike(context) {
      const candidates = (await context.processes(component)).filter(
        (each) => role === undefined || each.role === role,
      );
      const victim = candidates[context.integer(Math.max(1, candidates.length))];
      if (!victim) throw new CommandError(`The plane has no ${role ?? ''} ${component}`);
      context.mark(`kill ${victim.name}`);
      await context.target.kill([victim.name]);
      await pause(3000);
      await context.healthy();
    },
  };
}

const disk = { cannot: (): string | undefined => cannotInjectDiskFaults() };

/** In the order in which `all` runs them: what is gentle first. */
export const drills: readonly Drill[] = [
  // First, so that all others break the version that was upgraded to.
  {
    name: 'rolling-upgrade',
    title: 'The next version takes over, component by component',
    cannot: (target) => target.cannotUpgrade(),
    wantsRetriedReadsToSucceed: true,
    // Nothing may be newer than an API server it talks to, and no API server newer than what it keeps its objects in.
    async strike(context) {
      for (const component of ['store', 'apiserver', 'controller-manager', 'scheduler', 'node-agent'])
        for (const { name } of await context.processes(component)) {
          context.mark(`upgrade ${name}`);
          await context.target.upgrade(name);
          await pause(500);
          await context.healthy();
        }
    },
  },
  killDrill('kill-leader', 'The store’s leader is killed', 'store', 'leader'),
  killDrill('kill-follower', 'A follower of the store is killed', 'store', 'follower'),
  killDrill(
    'kill-apiserver',
    'An API server is killed while watches hang on it',
    'apiserver',
    undefined,
    true,
  ),
  killDrill('kill-scheduler', 'The active scheduler is killed', 'scheduler', 'leader'),
  killDrill(
    'kill-controller-manager',
    'The active controller manager is killed',
    'controller-manager',
    'leader',
  ),
  {
    name: 'kill-all-apiservers',
    title: 'All API servers are killed at once',
    async strike(context) {
      const names = (await context.processes('apiserver')).map((each) => each.name);
      context.mark(`kill ${names.join(', ')}`);
      await context.target.kill(names);
      await pause(3000);
      await context.healthy();
    },
  },
  {
    name: 'kill-all-stores',
    title: 'All members of the store are killed at once',
    async strike(context) {
      const names = (await context.processes('store')).map((each) => each.name);
      context.mark(`kill ${names.join(', ')}`);
      await context.target.kill(names);
      await pause(3000);
      await context.healthy();
    },
  },
  {
    name: 'pause',
    title: 'The store’s leader stands still for 4 s and goes on',
    async strike(context) {
      const victim = await context.leader('store');
      await hold(context, `pause ${victim.name} (leader)`, await context.target.freeze([victim.name]), 4000);
      await context.healthy();
    },
  },
  {
    name: 'partition',
    title: 'The store’s leader is cut off from the other members',
    cannot: (target) => target.cannotCut(),
    strike: (context) => cutDrill(context, 'both', 'is cut off'),
  },
  {
    name: 'one-way-partition',
    title: 'The others do not hear the leader, then it does not hear them',
    cannot: (target) => target.cannotCut(),
    async strike(context) {
      await cutDrill(context, 'mute', 'is not heard');
      await cutDrill(context, 'deaf', 'does not hear');
    },
  },
  {
    name: 'flapping-partition',
    title: 'Members are cut off and come back, again and again',
    cannot: (target) => target.cannotCut(),
    async strike(context) {
      const stores = await context.processes('store');
      const mark = context.mark('flapping');
      for (let turn = 0; turn < 8; turn++) {
        const victim = stores[context.integer(stores.length)] as TargetProcess;
        const undo = await context.target.cut(victim.name, 'both');
        await pause(300);
        await undo();
        await pause(150);
      }
      mark.end();
      await context.healthy();
    },
  },
  {
    name: 'slow-disk',
    title: 'Each sync of the leader’s disk takes 300 ms',
    ...disk,
    async strike(context) {
      const victim = await context.leader('store');
      const undo = await injectDiskFault(victim.pid, { syncDelayMs: 300 });
      await hold(context, `slow disk of ${victim.name} (leader)`, undo, 5000);
      await context.healthy();
    },
  },
  {
    name: 'full-disk',
    title: 'The disk of a follower is full',
    ...disk,
    async strike(context) {
      const victim = await pickStore(context, 'follower');
      const undo = await injectDiskFault(victim.pid, 'full');
      await hold(context, `full disk of ${victim.name}`, undo, 4000);
      await context.healthy();
    },
  },
  {
    name: 'clock-jump',
    title: 'The clock of the store’s leader jumps an hour ahead, and back',
    cannot: (target) => target.cannotMoveClock(),
    async strike(context) {
      const victim = await context.leader('store');
      const undo = await context.target.moveClock(victim.name, 3600);
      await hold(context, `${victim.name} (leader) is an hour ahead`, undo, 4000);
      await pause(1000);
      await context.healthy();
    },
  },
  {
    name: 'rolling-restart',
    title: 'Every store member and API server is restarted, one after the other',
    wantsRetriedReadsToSucceed: true,
    async strike(context) {
      for (const component of ['store', 'apiserver'])
        for (const { name } of await context.processes(component)) {
          context.mark(`restart ${name}`);
          await context.target.restart(name);
          await pause(500);
          await context.healthy();
        }
    },
  },
  {
    name: 'member-replacement',
    title: 'A follower loses its data for good and a new member takes its place',
    cannot: (target) => target.cannotReplace(),
    async strike(context) {
      // The cluster wants its connections to have held for a while before it lets a member go.
      await pause(2000);
      const victim = await pickStore(context, 'follower');
      const mark = context.mark(`${victim.name} loses its data`);
      await context.target.replaceMember(victim.name);
      mark.end();
      await context.healthy();
    },
  },
  {
    name: 'certificate-rotation',
    title: 'All certificates are made anew while everything runs',
    wantsRetriedReadsToSucceed: true,
    cannot: (target) => target.cannotRotate(),
    async strike(context) {
      const mark = context.mark('new certificates');
      await context.target.rotateCertificates();
      await pause(5000);
      mark.end();
      // New connections between all components are made with the new ones.
      const leader = await context.leader('store');
      context.mark(`restart ${leader.name}`);
      await context.target.restart(leader.name);
      await context.healthy();
    },
  },
  {
    name: 'authority-rotation',
    title: 'All authorities are replaced: trusted, signing, and the old ones dropped',
    wantsRetriedReadsToSucceed: true,
    cannot: (target) => target.cannotRotate(),
    async strike(context) {
      let mark = { end: (): void => undefined };
      await context.target.replaceAuthorities((step) => {
        mark.end();
        mark = context.mark(`authorities: ${step}`);
      });
      mark.end();
      await context.healthy();
    },
  },
  {
    name: 'frozen-leader-election',
    title: 'The active scheduler stands still past its lease and goes on',
    async strike(context) {
      const victim = await context.leader('scheduler');
      const others = (await context.processes('scheduler')).length;
      const undo = await context.target.freeze([victim.name]);
      await hold(context, `pause ${victim.name}`, undo, 20_000);
      await pause(3000);
      const now = await context.leader('scheduler');
      if (others > 1 && now.name === victim.name)
        context.problem(`${victim.name} still leads although it stood still for longer than its lease`);
      await context.healthy();
    },
  },
  {
    name: 'redis-loss',
    title: 'Redis goes away and comes back',
    wantsRetriedReadsToSucceed: true,
    cannot: async (target) => {
      const redis = await target.redis();
      return typeof redis === 'string' ? redis : undefined;
    },
    async strike(context) {
      const redis = await context.target.redis();
      if (typeof redis === 'string') throw new CommandError(redis);
      await hold(context, 'Redis is gone', await redis.stop(), 4000);
      await context.healthy();
    },
  },
  {
    name: 'restore',
    title: 'Everything is lost and restored from a backup while informers run',
    cannot: (target) => target.cannotRestore(),
    async strike(context) {
      const { load, target } = context;
      let mark = { end: (): void => undefined };
      // Nothing is written between the backup and the loss: all that was acknowledged must come back.
      await load.pause();
      const before = [...load.acknowledged];
      await target.restoreFromBackup({
        async backedUp() {
          load.resume();
          await pause(1500);
          await load.pause();
        },
        down: () => {
          mark = context.mark('down and restored');
          return Promise.resolve();
        },
      });
      mark.end();
      load.restoredTo(before);
      load.resume();
      await context.healthy(60_000);
      await pause(2000);
    },
  },
];

/** Drills by a name, a group (`kill` is every drill whose name begins with it) or `all`. */
export function selectDrills(name: string): readonly Drill[] {
  if (name === 'all') return drills;
  const exact = drills.filter((each) => each.name === name);
  if (exact.length > 0) return exact;
  const group = drills.filter((each) => each.name.startsWith(`${name}-`));
  if (group.length > 0) return group;
  throw new CommandError(
    `Unknown drill "${name}": want all, kill, or one of ${drills.map((each) => each.name).join(', ')}`,
  );
}
