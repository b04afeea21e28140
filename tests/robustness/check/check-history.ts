import { checkRegisters } from '@pilothouse/testkit';
import type { History, ReadRecord, WriteRecord } from '../traffic/history.ts';
import type { Truth, TrueEvent } from './truth.ts';

const describe = ({ kind, key, value, revision }: TrueEvent): string =>
  `${kind} ${key}${value === undefined ? '' : `=${value}`} at revision ${revision}`;

/** Every acknowledged write is in the store's history at the revision that the client was told. */
export function checkAcknowledged(history: History, truth: Truth): string | undefined {
  for (const { effects, revision } of history.writes) {
    if (revision === undefined) continue;
    for (const { key, value } of effects) {
      const event = truth.at(key, revision);
      if (event?.revision === revision && event.value === value) continue;
      const found = event ? describe(event) : 'nothing';
      return `The acknowledged write of ${key}=${value ?? '(deleted)'} at revision ${revision} is lost: the history has ${found}`;
    }
  }
  return undefined;
}

/** Every event was asked for by some client, at most once, and the versions count up. */
export function checkExplained(history: History, truth: Truth): string | undefined {
  const puts = new Map<string, WriteRecord>();
  const deleters = new Set<string>();
  for (const write of history.writes) {
    for (const { key, value } of write.effects) {
      if (value === undefined) deleters.add(key);
      else puts.set(`${key}=${value}`, write);
    }
  }
  for (const { key } of history.leases) deleters.add(key);
  const used = new Set<string>();
  for (const event of truth.events) {
    if (event.kind === 'delete') {
      if (!deleters.has(event.key)) return `Nobody asked for ${describe(event)}`;
      continue;
    }
    const id = `${event.key}=${event.value ?? ''}`;
    const write = puts.get(id);
    if (!write) return `Nobody asked for ${describe(event)}`;
    if (used.has(id)) return `${describe(event)} took place twice`;
    used.add(id);
    if (write.revision !== undefined && write.revision !== event.revision)
      return `${describe(event)} was acknowledged at revision ${write.revision}`;
  }
  for (const key of truth.keys) {
    let before: TrueEvent | undefined;
    for (const event of truth.eventsOf(key)) {
      if (event.kind === 'put') {
        const isCreate = before === undefined || before.kind === 'delete';
        const createRevision = isCreate ? event.revision : (before?.createRevision ?? 0);
        const version = isCreate ? 1 : (before?.version ?? 0) + 1;
        if (event.createRevision !== createRevision || event.version !== version)
          return `${describe(event)} has create revision ${event.createRevision} and version ${event.version}, want ${createRevision} and ${version}`;
      }
      before = event;
    }
  }
  return undefined;
}

/** What each read showed is exactly what the history has at its revision. */
export function checkReads(history: History, truth: Truth): string | undefined {
  for (const read of history.reads) {
    const { revision, key, values } = read;
    if (revision > truth.revision) continue;
    for (const each of key === undefined ? truth.keys : [key]) {
      const event = truth.at(each, revision);
      const wanted = event?.kind === 'put' ? event : undefined;
      const got = values.get(each);
      if (
        got?.value !== wanted?.value ||
        (got?.modRevision ?? 0) !== (wanted?.revision ?? 0) ||
        (got?.createRevision ?? 0) !== (wanted?.createRevision ?? 0) ||
        (got?.version ?? 0) !== (wanted?.version ?? 0)
      ) {
        return `A read at revision ${revision} showed ${each}=${got?.value ?? '(absent)'}, the history has ${wanted?.value ?? '(absent)'}`;
      }
    }
  }
  return undefined;
}

interface Placed {
  readonly revision: number;
  /** Reads come after the write of their revision. */
  readonly isRead: boolean;
  readonly call: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Strict serializability of everything at once: revisions give the order, and it may not contradict real time. A stale read is a read placed
 * before a write that had ended when the read began.
 */
export function checkOrder(history: History, truth: Truth): string | undefined {
  const placed: Placed[] = [];
  const place = (write: WriteRecord, revision: number): void => {
    const [effect] = write.effects;
    const text = `write of ${effect?.key ?? ''}=${effect?.value ?? '(deleted)'} at revision ${revision}`;
    placed.push({ revision, isRead: false, call: write.call, end: write.end, text });
  };
  for (const write of history.writes) {
    if (write.revision !== undefined) {
      place(write, write.revision);
      continue;
    }
    const [effect] = write.effects;
    if (effect?.value === undefined) continue;
    const event = truth.eventsOf(effect.key).find(({ value }) => value === effect.value);
    if (event) place(write, event.revision);
  }
  for (const { isSerializable, revision, call, end, key } of history.reads) {
    if (!isSerializable)
      placed.push({
        revision,
        isRead: true,
        call,
        end,
        text: `read of ${key ?? 'all'} at revision ${revision}`,
      });
  }
  placed.sort((a, b) => a.revision - b.revision || Number(a.isRead) - Number(b.isRead));
  let latest: Placed | undefined;
  for (let at = 0; at < placed.length;) {
    // Reads of one revision may come in any order.
    let stop = at;
    const first = placed[at] as Placed;
    while (placed[stop]?.revision === first.revision && placed[stop]?.isRead === first.isRead) stop++;
    const group = placed.slice(at, stop);
    for (const each of group) {
      if (latest && latest.call > each.end) {
        const kind = latest.isRead ? 'Stale read' : 'Out of order';
        return `${kind}: the ${latest.text} began ${(latest.call - each.end).toFixed(1)} ms after the ${each.text} had ended`;
      }
    }
    for (const each of group) if (!latest || each.call > latest.call) latest = each;
    at = stop;
  }
  return undefined;
}

/** Linearizability key by key, by search, without trusting revisions. */
export function checkLinearizable(history: History): string | undefined {
  const broken = checkRegisters(history.keyed);
  if (!broken) return undefined;
  const { key, result } = broken;
  if (result.isLinearizable !== false) return `Linearizability of ${key} could not be decided`;
  return `Not linearizable, key ${key}: after ${JSON.stringify(result.prefix.slice(-4))} cannot explain ${JSON.stringify(result.stuck)}`;
}

export type { ReadRecord };

/** No lease ended before its time, and none outlives it for good. `slackMs`: how much early is forgiven. */
export function checkLeases(history: History, truth: Truth, slackMs: number): string | undefined {
  for (const { key, ttlMs, renewals, revokedAt, isAttached } of history.leases) {
    const gone = truth.eventsOf(key).find(({ kind }) => kind === 'delete');
    if (!gone) {
      if (isAttached) return `The lease of ${key} never ended (TTL ${ttlMs} ms)`;
      continue;
    }
    const knownAt = history.knownAt(gone.revision);
    if (revokedAt !== undefined && knownAt >= revokedAt) continue;
    const last = Math.max(...renewals.filter(({ end }) => end <= knownAt).map(({ call }) => call), -Infinity);
    if (last === -Infinity) continue;
    const early = last + ttlMs - knownAt;
    if (early > slackMs)
      return `The lease of ${key} ended at revision ${gone.revision}, ${early.toFixed(0)} ms before its time (TTL ${ttlMs} ms, ${renewals.length - 1} renewals)`;
  }
  return undefined;
}
