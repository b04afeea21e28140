import type { Clock } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import { CommandError } from '../errors.ts';
import { checkHistory, longestGap } from './check.ts';
import type { Drill, DrillContext } from './drills.ts';
import { Load } from './load.ts';
import type { DrillResult, Mark, Operation } from './model.ts';
import type { Target, TargetProcess } from './target.ts';

const times = {
  warmUpMs: 2500,
  calmMs: 1500,
  healthyMs: 45_000,
  quorumMs: 10_000,
  lookMs: 250,
  /** A machine whose slowest answer before the fault took longer than this is busy: everything may take longer there, in proportion, up to so many times. */
  busyMs: 500,
  busyTimesMax: 4,
} as const;

/** A small generator (mulberry32) whose numbers follow from the seed. */
export function seeded(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * bound);
  };
}

/** Whether a majority of the store is ready and has a leader. Looks again for a while: one late answer is no loss. */
export async function hasQuorum(target: Target, clock: Clock): Promise<boolean> {
  const deadline = clock.monotonic() + times.quorumMs;
  for (;;) {
    const stores = (await target.processes()).filter((each) => each.component === 'store');
    const ready = stores.filter((each) => each.ready).length;
    if (ready > stores.length / 2 && stores.some((each) => each.role === 'leader' && each.ready)) return true;
    if (clock.monotonic() > deadline) return false;
    await sleep(clock, times.lookMs);
  }
}

/** Runs one drill under its own load and judges it. Never throws for what the plane does. */
export async function runDrill(
  drill: Drill,
  target: Target,
  options: { readonly seed: number; readonly clock: Clock; say(text: string): void },
): Promise<DrillResult> {
  const { seed, clock, say } = options;
  const command = `pilothouse drill ${drill.name} ${target.flag} --seed ${seed}`;
  const empty = {
    name: drill.name,
    title: drill.title,
    lostAcknowledgedWrites: 0,
    staleReads: 0,
    watchViolations: 0,
    doubleBinds: 0,
    writeGapMs: 0,
    readGapMs: 0,
    failedWrites: 0,
    failedReads: 0,
    failedAfterRetry: 0,
    writes: 0,
    reads: 0,
    seed,
    command,
    calmSlowestMs: 0,
    marks: [],
    operations: [],
    durationMs: 0,
  };
  const reason = await drill.cannot?.(target);
  if (reason !== undefined) {
    say(`SKIPPED ${drill.name}: ${reason}`);
    return { ...empty, verdict: 'skip', problems: [reason] };
  }
  say(`${drill.name}: ${drill.title}`);
  const problems: string[] = [];
  const marks: { atMs: number; text: string; untilMs?: number }[] = [];
  const load = new Load({
    access: () => target.access,
    clock,
    namespace: `drill-${drill.name}-${seed.toString(36)}-${Math.floor(clock.now() % 1e7).toString(36)}`,
    withPods: target.hasNodes,
  });
  try {
    await load.start();
  } catch (error) {
    const problem = `The load does not start: ${errorMessage(error)}`;
    return { ...empty, verdict: 'fail', problems: [problem] };
  }
  await sleep(clock, times.warmUpMs);
  const calmSlowestMs = load.calibrate();
  const patience = Math.min(times.busyTimesMax, Math.max(1, calmSlowestMs / times.busyMs));
  const context = makeContext(target, load, clock, { integer: seeded(seed), patience }, marks, problems);
  const faultMs = load.nowMs;
  try {
    await drill.strike(context);
  } catch (error) {
    problems.push(errorMessage(error));
  }
  const endMs = load.nowMs;
  await sleep(clock, times.calmMs);
  const durationMs = load.nowMs;
  let verdict: ReturnType<typeof checkHistory> | undefined;
  let operations: DrillResult['operations'] = load.operations;
  try {
    const history = await load.finish();
    operations = history.operations;
    verdict = checkHistory(history);
  } catch (error) {
    problems.push(`The plane does not answer after the drill: ${errorMessage(error)}`);
  }
  if (verdict) {
    problems.push(...verdict.lost.map((each) => `lost: ${each}`));
    problems.push(...verdict.staleReads.map((each) => `stale read: ${each}`));
    problems.push(...verdict.watchViolations.map((each) => `watch: ${each}`));
    problems.push(...verdict.doubleBinds.map((each) => `bound twice: ${each}`));
    if (verdict.pendingPods.length > 0)
      problems.push(`not running at the end: ${verdict.pendingPods.join(', ')}`);
  }
  const inFault = operations.filter((each) => each.endMs >= faultMs && each.startMs <= endMs);
  const failed = (kind: string): number => inFault.filter((each) => each.kind === kind && !each.ok).length;
  const failedAfterRetry = failed('read');
  if (drill.wantsRetriedReadsToSucceed === true && failedAfterRetry > 0)
    problems.push(
      `${failedAfterRetry} reads failed although they were repeated once`,
      ...sampleErrors(inFault.filter((each) => each.kind === 'read' && !each.ok)),
    );
  const gap = (kind: 'write' | 'read'): number =>
    Math.round(longestGap(operations, kind, faultMs, durationMs));
  return {
    ...empty,
    verdict: problems.length === 0 ? 'pass' : 'fail',
    problems: problems.slice(0, 50),
    lostAcknowledgedWrites: verdict?.lost.length ?? 0,
    staleReads: verdict?.staleReads.length ?? 0,
    watchViolations: verdict?.watchViolations.length ?? 0,
    doubleBinds: verdict?.doubleBinds.length ?? 0,
    writeGapMs: gap('write'),
    readGapMs: gap('read'),
    failedWrites: failed('write'),
    failedReads: inFault.filter((each) => each.kind === 'read' && each.retried).length,
    failedAfterRetry,
    writes: operations.filter((each) => each.kind === 'write' && each.ok).length,
    reads: operations.filter((each) => each.kind === 'read' && each.ok).length,
    calmSlowestMs: Math.round(calmSlowestMs),
    marks,
    operations,
    durationMs: Math.round(durationMs),
  };
}

/** The first failure of each kind: when, how long it took and what was said. */
function sampleErrors(failures: readonly Operation[]): string[] {
  const seen = new Map<string, { first: Operation; count: number }>();
  for (const each of failures) {
    const kind = (each.error ?? '').replaceAll(/\d+|register-\S+|object-\S+/g, '#');
    const found = seen.get(kind);
    if (found) found.count++;
    else seen.set(kind, { first: each, count: 1 });
  }
  return [...seen.values()]
    .slice(0, 8)
    .map(
      ({ first, count }) =>
        `${count} × at ${(first.startMs / 1000).toFixed(1)} s after ${Math.round(first.endMs - first.startMs)} ms: ${first.error ?? ''}`,
    );
}

function makeContext(
  target: Target,
  load: Load,
  clock: Clock,
  { integer, patience }: { readonly integer: (bound: number) => number; readonly patience: number },
  marks: { atMs: number; text: string; untilMs?: number }[],
  problems: string[],
): DrillContext {
  const processes = async (component: string): Promise<TargetProcess[]> =>
    (await target.processes()).filter((each) => each.component === component);
  return {
    target,
    load,
    integer,
    processes,
    mark(text) {
      const mark: { -readonly [K in keyof Mark]: Mark[K] } = { atMs: load.nowMs, text };
      marks.push(mark);
      return { end: () => void (mark.untilMs = load.nowMs) };
    },
    async leader(component) {
      const deadline = clock.monotonic() + times.healthyMs * patience;
      for (;;) {
        const found = (await processes(component)).find((each) => each.role === 'leader' && each.ready);
        if (found) return found;
        if (clock.monotonic() > deadline) throw new CommandError(`No ${component} leads`);
        await sleep(clock, times.lookMs);
      }
    },
    async healthy(leastMs = times.healthyMs) {
      const withinMs = Math.round(leastMs * patience);
      const deadline = clock.monotonic() + withinMs;
      for (;;) {
        const all = await target.processes().catch(() => []);
        const bad = all.filter((each) => !each.ready).map((each) => each.name);
        if (bad.length === 0 && all.some((each) => each.component === 'store' && each.role === 'leader'))
          return;
        if (clock.monotonic() > deadline)
          throw new CommandError(
            `Not ready ${withinMs / 1000} s after the fault: ${bad.join(', ') || 'the store has no leader'}`,
          );
        await sleep(clock, times.lookMs);
      }
    },
    problem: (text) => void problems.push(text),
  };
}
