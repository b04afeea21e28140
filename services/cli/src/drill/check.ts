import type { Acknowledged, History, Operation, Seen, Verdict } from './model.ts';

/** Compares what clients were told with what is there. Pure. */
export function checkHistory(history: History): Verdict {
  return {
    lost: lostWrites(history),
    staleReads: history.staleReads,
    watchViolations: history.watchers.flatMap((seen, index) =>
      checkWatch(seen, history.acknowledged, history.final).map((each) => `watcher ${index}: ${each}`),
    ),
    doubleBinds: doubleBinds(history),
    pendingPods: history.pendingPods,
  };
}

/** The newest acknowledged value of every object must be there, or a newer one. */
function lostWrites(history: History): string[] {
  const lost: string[] = [];
  const newest = new Map<string, Acknowledged>();
  for (const each of history.acknowledged) {
    const before = newest.get(each.name);
    if (before === undefined || before.value <= each.value) newest.set(each.name, each);
  }
  for (const [name, { value, revision }] of newest) {
    const found = history.final.get(name);
    if (found === undefined) lost.push(`${name}=${value} at revision ${revision} is gone`);
    else if (found.value < value)
      lost.push(`${name}=${value} at revision ${revision} is gone: the value is ${found.value}`);
  }
  return lost;
}

/**
 * A watcher sees revisions rise, sees no value of an object twice or backwards, and misses nothing that was acknowledged between where it
 * began and where it ended; at the end it knows what is there. After a relist it starts from there: what lies between is in the list.
 */
export function checkWatch(
  seen: readonly Seen[],
  acknowledged: readonly Acknowledged[],
  final: History['final'] = new Map(),
): string[] {
  const problems: string[] = [];
  /** Of each object what the watcher knows now. */
  let known = new Map<string, number>();
  const events = new Map<string, Set<number>>();
  let last = 0n;
  let from = 0n;
  const gaps: { from: bigint; to: bigint }[] = [];
  for (const each of seen) {
    if (each.kind === 'relist') {
      if (each.revision < last) problems.push(`a list went back from revision ${last} to ${each.revision}`);
      if (from === 0n) from = each.revision;
      else gaps.push({ from: last, to: each.revision });
      for (const [name, value] of known) {
        const listed = each.items.get(name);
        if (listed !== undefined && listed < value)
          problems.push(
            `${name} went back from ${value} to ${listed} in a list at revision ${each.revision}`,
          );
      }
      known = new Map(each.items);
      last = each.revision;
      continue;
    }
    if (from === 0n) from = each.revision - 1n;
    if (each.revision <= last)
      problems.push(`${each.type} ${each.name} at revision ${each.revision} came after ${last}`);
    else last = each.revision;
    const before = known.get(each.name);
    if (each.type !== 'DELETED' && before !== undefined && each.value < before)
      problems.push(`${each.name} went back from ${before} to ${each.value}`);
    if (each.type === 'DELETED') known.delete(each.name);
    else known.set(each.name, each.value);
    const values = events.get(each.name) ?? new Set();
    events.set(each.name, values);
    values.add(each.value);
  }
  for (const { name, value, revision } of acknowledged) {
    if (revision <= from || revision > last) continue;
    if (gaps.some((gap) => revision > gap.from && revision <= gap.to)) continue;
    if (events.get(name)?.has(value) !== true)
      problems.push(`the event of ${name}=${value} at revision ${revision} is missing`);
  }
  for (const [name, { value, revision }] of final) {
    if (revision > last || known.get(name) === value) continue;
    problems.push(
      `at the end ${name} is ${value}, and the watcher knows ${known.get(name) ?? 'nothing of it'}`,
    );
  }
  return problems;
}

/** A pod is bound once: no two nodes for one UID. */
function doubleBinds(history: History): string[] {
  const nodes = new Map<string, string>();
  const problems: string[] = [];
  for (const { uid, name, node } of history.pods) {
    if (node === '') {
      if (nodes.has(uid)) problems.push(`${name} (${uid}) was on ${nodes.get(uid)} and then on none`);
      continue;
    }
    const before = nodes.get(uid);
    if (before !== undefined && before !== node)
      problems.push(`${name} (${uid}) was on ${before} and then on ${node}`);
    nodes.set(uid, node);
  }
  return problems;
}

/** Longest time without a success of `kind` that touches [fromMs, toMs]; the stretches at both ends count. Milliseconds. */
export function longestGap(
  operations: readonly Operation[],
  kind: Operation['kind'],
  fromMs: number,
  toMs: number,
): number {
  const gap = widestGap(operations, kind, fromMs, toMs);
  return gap.toMs - gap.fromMs;
}

/** Where {@link longestGap} is. */
export function widestGap(
  operations: readonly Operation[],
  kind: Operation['kind'],
  fromMs: number,
  toMs: number,
): { readonly fromMs: number; readonly toMs: number } {
  const times = operations
    .filter((each) => each.kind === kind && each.ok && each.endMs <= toMs)
    .map((each) => each.endMs)
    .sort((a, b) => a - b);
  let before = times.findLast((each) => each < fromMs) ?? fromMs;
  let widest = { fromMs: before, toMs: before };
  for (const each of [...times.filter((time) => time >= fromMs), toMs]) {
    if (each - before > widest.toMs - widest.fromMs) widest = { fromMs: before, toMs: each };
    before = each;
  }
  return widest;
}
