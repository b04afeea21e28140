import { shownMember } from '../given-empty.ts';
import type { KubeObject, ManagedFieldsEntry } from '../meta.ts';
import { parseTime } from '../time.ts';
import type { FieldsV1, FieldSet } from './field-set.ts';
import { decodeFieldSet, emptyFieldSet } from './field-set.ts';

/** At most so many Update entries; the oldest beyond are put together under {@link ancientChangesManager}. */
export const updateManagersMax = 10;
export const ancientChangesManager = 'ancient-changes';

/** Who manages fields: the identity of one entry of metadata.managedFields. */
export interface ManagerIdentity {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  /** Of an Update. The entry of an applier is the same whatever version it applies with. */
  readonly apiVersion: string;
  readonly subresource: string;
}

export interface ManagerEntry {
  readonly identity: ManagerIdentity;
  /** The version that the paths are in. */
  readonly apiVersion: string;
  readonly set: FieldSet;
  readonly time: string | undefined;
}

/** Entries by identity key. Mutable; made per operation. */
export type Managers = Map<string, ManagerEntry>;

export function identityKey(identity: ManagerIdentity): string {
  const version = identity.operation === 'Apply' ? '' : identity.apiVersion;
  return JSON.stringify([identity.manager, identity.operation, version, identity.subresource]);
}

/** Reads metadata.managedFields. Undefined when an entry cannot be read. */
export function decodeManagers(entries: readonly ManagedFieldsEntry[] | undefined): Managers | undefined {
  const managers: Managers = new Map();
  for (const entry of entries ?? []) {
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') return undefined;
    if (entry.fieldsType !== undefined && entry.fieldsType !== 'FieldsV1') return undefined;
    const identity: ManagerIdentity = {
      manager: entry.manager ?? '',
      operation: entry.operation,
      apiVersion: entry.apiVersion ?? '',
      subresource: entry.subresource ?? '',
    };
    let set: FieldSet;
    try {
      set =
        entry.fieldsV1 === undefined || entry.fieldsV1 === null
          ? emptyFieldSet
          : decodeFieldSet(entry.fieldsV1 as FieldsV1);
    } catch {
      return undefined;
    }
    managers.set(identityKey(identity), {
      identity,
      apiVersion: entry.apiVersion ?? '',
      set,
      time: entry.time ?? undefined,
    });
  }
  return managers;
}

/** Writes metadata.managedFields: appliers first, then by time, name, version and subresource. */
export function encodeManagers(managers: Managers): ManagedFieldsEntry[] {
  const sorted = [...managers.values()].sort(compareEntries);
  return sorted.map(({ identity, apiVersion, set, time }) => ({
    manager: identity.manager,
    operation: identity.operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: set.encode(),
    ...(identity.subresource === '' ? {} : { subresource: identity.subresource }),
  }));
}

function seconds(time: string | undefined): number {
  const parsed = time === undefined ? undefined : parseTime(time);
  return parsed === undefined ? Number.NEGATIVE_INFINITY : parsed;
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareEntries(left: ManagerEntry, right: ManagerEntry): number {
  if (left.identity.operation !== right.identity.operation)
    return left.identity.operation === 'Apply' ? -1 : 1;
  if (left.time !== right.time) {
    const difference = seconds(left.time) - seconds(right.time);
    if (difference !== 0 && !Number.isNaN(difference)) return difference;
  }
  return (
    compareText(left.identity.manager, right.identity.manager) ||
    compareText(left.apiVersion, right.apiVersion) ||
    compareText(left.identity.subresource, right.identity.subresource)
  );
}

/** Merges the oldest Update entries per version until at most {@link updateManagersMax} are left. */
export function capManagers(managers: Managers): void {
  const updaters = [...managers].filter(([, entry]) => entry.identity.operation === 'Update');
  let excess = updaters.length - updateManagersMax;
  if (excess <= 0) return;
  updaters.sort(([leftKey, left], [rightKey, right]) => {
    if (left.time !== right.time) {
      const difference = seconds(left.time) - seconds(right.time);
      if (difference !== 0 && !Number.isNaN(difference)) return difference;
    }
    return compareText(leftKey, rightKey);
  });
  const firstByVersion = new Map<string, string>();
  for (const [key, entry] of updaters) {
    if (excess <= 0) return;
    const { apiVersion } = entry;
    const first = firstByVersion.get(apiVersion);
    if (first === undefined) {
      firstByVersion.set(apiVersion, key);
      continue;
    }
    const identity: ManagerIdentity = {
      manager: ancientChangesManager,
      operation: 'Update',
      apiVersion,
      subresource: '',
    };
    const bucketKey = identityKey(identity);
    let bucket = managers.get(bucketKey);
    if (bucket === undefined) {
      bucket = managers.get(first) as ManagerEntry;
      managers.delete(first);
    }
    managers.set(bucketKey, { identity, apiVersion, set: entry.set.union(bucket.set), time: entry.time });
    if (key !== bucketKey) managers.delete(key);
    excess--;
  }
}

/** An empty list of managers, or one empty entry, is the wish to forget all of them. */
export function forgetsManagers({ metadata }: KubeObject): boolean {
  const given = shownMember(metadata, 'managedFields') as readonly object[] | null;
  return (
    given !== null &&
    (given.length === 0 || (given.length === 1 && Object.keys(given[0] as object).length === 0))
  );
}
