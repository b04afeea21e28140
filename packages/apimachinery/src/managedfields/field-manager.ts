import { jsonText } from '../exact-json.ts';
import type { JsonObject } from '../json.ts';
import { deepEqual, isJsonObject } from '../json.ts';
import type { JsonValue, KubeObject, ManagedFieldsEntry, ObjectMeta } from '../meta.ts';
import { annotationsBytesMax } from '../object-meta-validation.ts';
import { utf8Length } from '../name-validation.ts';
import type { MessageSchema, SchemaRegistry } from '../schema.ts';
import { StatusError, statusErrors } from '../status-error.ts';
import type { Conflict } from './conflicts.ts';
import { conflictError } from './conflicts.ts';
import { emptyFieldSet, FieldSet } from './field-set.ts';
import type { ManagerEntry, ManagerIdentity, Managers } from './managers.ts';
import { capManagers, decodeManagers, forgetsManagers, encodeManagers, identityKey } from './managers.ts';
import type { MapType } from './merge-schema.ts';
import { mergeTypeOfMessage } from './merge-schema.ts';
import { emptyObjectOf } from './empty-object.ts';
import { memberElement } from './path-element.ts';
import type { Comparison } from './typed-value.ts';
import {
  compareTyped,
  fieldSetOf,
  mergeTyped,
  NoIdentityError,
  removeItems,
  typeErrors,
  withNamedMembers,
} from './typed-value.ts';

const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';
const beforeFirstApply = 'before-first-apply';

const path = (...names: string[]): string[] => names.map(memberElement);

/** Nobody owns these: they identify the object or are the server's. */
const neverOwned = FieldSet.of(
  path('apiVersion'),
  path('kind'),
  path('metadata'),
  ...[
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'clusterName',
    'generation',
    'managedFields',
    'resourceVersion',
  ].map((name) => path('metadata', name)),
);

/** One version of a kind, as the field manager of one resource or subresource sees it. */
export interface FieldManagerOptions {
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty for the main resource. */
  readonly subresource: string;
  readonly type: MapType;
  /** An object of the kind in which nothing is set (emptyObjectOf); default: without any member. */
  readonly empty?: JsonObject;
  /** Dotted paths that this way of writing never owns (`status` on the main resource). */
  readonly resetFields?: readonly string[];
  /** For entries in other versions of a kind with several: its type, and conversion. Without it such entries are dropped. */
  readonly versions?: {
    type(apiVersion: string): MapType | undefined;
    convert(object: KubeObject, apiVersion: string): KubeObject;
  };
}

export interface ApplyOptions {
  readonly manager: string;
  readonly force: boolean;
  /** RFC 3339, whole seconds. */
  readonly now: string;
}

/** The field manager of a built-in kind. */
export function builtInFieldManager(
  registry: SchemaRegistry,
  message: MessageSchema,
  options: Omit<FieldManagerOptions, 'type' | 'empty'>,
): FieldManager {
  return new FieldManager({
    ...options,
    type: mergeTypeOfMessage(registry, message),
    empty: emptyObjectOf(registry, message),
  });
}

/** Tracks who set which field (metadata.managedFields) and merges applied configurations. Stateless; one per resource and version. */
export class FieldManager {
  readonly #options: FieldManagerOptions;
  readonly #ignored: FieldSet;
  constructor(options: FieldManagerOptions) {
    this.#options = options;
    const resets = (options.resetFields ?? []).map((dotted) => path(...dotted.split('.')));
    this.#ignored = resets.length === 0 ? emptyFieldSet : FieldSet.of(...resets);
  }

  /**
   * The managedFields of `next`, written by a create (`live` undefined), update or patch. The arguments are not changed, and share parts
   * where they can: what is the same object in both is not compared. A timestamp moves only when its
   * manager takes a field.
   */
  update(
    live: KubeObject | undefined,
    next: KubeObject,
    options: { readonly manager: string; readonly now: string },
  ): ManagedFieldsEntry[] {
    const decodedManagers = this.#decode(live, next);
    const managers = decodedManagers.managers;
    // An object that is not tracked (someone cleared its managedFields) stays so until the first apply.
    if (managers.size === 0 && live?.metadata.uid !== undefined) return [];
    const identity = this.#identity(options.manager, 'Update');
    let changed: boolean;
    try {
      changed = this.#update(managers, live, next, identity, options.now);
    } catch (error) {
      // Such an object is written all the same, without a record of who wrote it.
      if (error instanceof NoIdentityError) return [];
      throw error;
    }
    if (!changed && decodedManagers.entries !== undefined) return decodedManagers.entries;
    capManagers(managers);
    return encodeManagers(managers);
  }

  /**
   * Merges an applied configuration into the live object (undefined: it is created). `changed` is false when the object stays as it is;
   * ownership may still have moved. The result's managedFields are set.
   * @throws StatusError 400 for another type or managedFields in `applied`, 409 for conflicts, 500 for a configuration against the schema
   */
  apply(
    live: KubeObject | undefined,
    applied: KubeObject,
    options: ApplyOptions,
  ): { object: KubeObject; changed: boolean } {
    if (applied.apiVersion !== this.#options.apiVersion || applied.kind !== this.#options.kind) {
      throw statusErrors.badRequest(`invalid object type: ${goKind(applied)}`);
    }
    if (applied.metadata?.managedFields !== undefined)
      throw statusErrors.badRequest('metadata.managedFields must be nil');
    const managers = decodeManagers(live?.metadata.managedFields) ?? new Map<string, ManagerEntry>();
    const base = withoutManagedFields(live ?? this.#emptyObject());
    if (managers.size === 0 && live !== undefined) {
      this.#update(managers, undefined, base, this.#identity(beforeFirstApply, 'Update'), options.now);
      capManagers(managers);
    }
    const result = this.#applyResolvingLastApplied(base, applied, managers, options);
    let { object } = result;
    if (options.manager === 'kubectl') object = this.#withLastApplied(object, applied);
    const entries = encodeManagers(result.managers);
    const metadata: ObjectMeta = { ...object.metadata };
    if (entries.length > 0) metadata.managedFields = entries;
    return { object: { ...object, metadata }, changed: result.changed };
  }

  #identity(manager: string, operation: 'Apply' | 'Update'): ManagerIdentity {
    return {
      manager,
      operation,
      apiVersion: this.#options.apiVersion,
      subresource: this.#options.subresource,
    };
  }

  #emptyObject(): KubeObject {
    return { apiVersion: this.#options.apiVersion, kind: this.#options.kind, metadata: {} };
  }

  /** What a new object is compared with. */
  #unsetObject(): KubeObject {
    return { ...this.#options.empty, ...this.#emptyObject() };
  }

  /** The managers a write starts from, and the entries they came from when nothing in them was changed by the request. */
  #decode(
    live: KubeObject | undefined,
    next: KubeObject,
  ): { managers: Managers; entries: ManagedFieldsEntry[] | undefined } {
    const liveEntries = live?.metadata.managedFields;
    const fromLive = (): { managers: Managers; entries: ManagedFieldsEntry[] | undefined } => ({
      managers: decodeManagers(liveEntries) ?? new Map<string, ManagerEntry>(),
      entries: liveEntries,
    });
    if (this.#options.subresource !== '') return fromLive();
    const given = next.metadata.managedFields;
    if (given === liveEntries && given !== undefined) return fromLive();
    if (forgetsManagers(next)) return { managers: new Map(), entries: undefined };
    const managers = decodeManagers(given);
    return managers === undefined || managers.size === 0 ? fromLive() : { managers, entries: given };
  }

  /** Books the change from `live` to `next` on `identity`; true when any entry changed. */
  #update(
    managers: Managers,
    live: KubeObject | undefined,
    next: KubeObject,
    identity: ManagerIdentity,
    now: string,
  ): boolean {
    const comparisons = new VersionedComparison(
      this.#options,
      this.#ignored,
      live === undefined ? this.#unsetObject() : withoutManagedFields(live),
      withoutManagedFields(next),
    );
    let changed = takeOver(managers, comparisons, undefined);
    const { added, modified } = comparisons.own();
    const taken = added.union(modified).difference(neverOwned);
    if (!taken.isEmpty) {
      const key = identityKey(identity);
      const previous = managers.get(key);
      const set = previous === undefined ? taken : previous.set.union(taken);
      managers.set(key, { identity, apiVersion: identity.apiVersion, set, time: now });
      changed = true;
    }
    return changed;
  }

  #applyResolvingLastApplied(
    base: KubeObject,
    applied: KubeObject,
    managers: Managers,
    options: ApplyOptions,
  ): { object: KubeObject; managers: Managers; changed: boolean } {
    if (options.manager !== 'kubectl' || options.force) return this.#apply(base, applied, managers, options);
    const attempt: { conflicts?: readonly Conflict[] } = {};
    try {
      return this.#apply(base, applied, managers, options, attempt);
    } catch (error) {
      if (attempt.conflicts === undefined) throw error;
      // What kubectl wrote before with client-side apply is its own: conflicts on that are none.
      const allowed = this.#ownedByLastApplied(base);
      const remaining = attempt.conflicts
        .map(({ identity, set }) => ({ identity, set: set.difference(allowed) }))
        .filter(({ set }) => !set.isEmpty);
      if (remaining.length > 0) throw conflictError(remaining);
      return this.#apply(base, applied, managers, { ...options, force: true });
    }
  }

  #apply(
    base: KubeObject,
    applied: KubeObject,
    managersBefore: Managers,
    options: ApplyOptions,
    attempt: { conflicts?: readonly Conflict[] } = {},
  ): { object: KubeObject; managers: Managers; changed: boolean } {
    const { type, apiVersion } = this.#options;
    const errors = typeErrors(asJson(applied), type);
    if (errors.length > 0) {
      const text =
        errors.length === 1 ? errors[0] : `errors:\n${errors.map((error) => `  ${error}`).join('\n')}`;
      throw new StatusError(500, '', `failed to create typed patch object (${describe(applied)}): ${text}`);
    }
    const managers: Managers = new Map(managersBefore);
    const identity = this.#identity(options.manager, 'Apply');
    const key = identityKey(identity);
    const before = managers.get(key);
    let merged = mergeTyped(asJson(base), asJson(applied), type);
    const set = fieldSetOf(asJson(applied), type).recursiveDifference(this.#ignored);
    managers.set(key, { identity, apiVersion, set, time: before?.time });
    merged = this.#prune(merged, managers, before);
    const next = merged as KubeObject;
    const comparisons = new VersionedComparison(this.#options, this.#ignored, base, next);
    const conflicts = findConflicts(managers, comparisons, key);
    if (conflicts.length > 0 && !options.force) {
      attempt.conflicts = conflicts;
      throw conflictError(conflicts);
    }
    takeOver(managers, comparisons, key);
    const owned = (managers.get(key) as ManagerEntry).set.difference(neverOwned);
    const changed = !deepEqual(base, next);
    if (owned.isEmpty) managers.delete(key);
    else managers.set(key, { identity, apiVersion, set: owned, time: changed ? options.now : before?.time });
    return { object: changed ? next : base, managers, changed };
  }

  /** Takes out what the applier had and states no more, unless somebody else owns it. */
  #prune(merged: JsonValue, managers: Managers, before: ManagerEntry | undefined): JsonValue {
    if (before === undefined || before.set.isEmpty) return merged;
    const { apiVersion } = this.#options;
    const beforeType = this.#typeOf(before.apiVersion);
    if (beforeType === undefined) return merged;
    const mergedThen = this.#convert(merged, before.apiVersion);
    let pruned = removeItems(mergedThen, withNamedMembers(before.set, beforeType), beforeType);
    const ownedByVersion = new Map<string, FieldSet>();
    for (const entry of managers.values()) {
      ownedByVersion.set(
        entry.apiVersion,
        (ownedByVersion.get(entry.apiVersion) ?? emptyFieldSet).union(entry.set),
      );
    }
    for (const [version, owned] of ownedByVersion) {
      const type = this.#typeOf(version);
      if (type === undefined) continue;
      const all = this.#convert(mergedThen, version);
      const kept = withNamedMembers(fieldSetOf(this.#convert(pruned ?? {}, version), type), type);
      const wanted = kept.union(withNamedMembers(owned, type));
      pruned = this.#convert(
        removeItems(all, withNamedMembers(fieldSetOf(all, type), type).difference(wanted), type),
        before.apiVersion,
      );
    }
    // What vanished without the applier ever having owned it comes back.
    const left = withNamedMembers(fieldSetOf(pruned ?? {}, beforeType), beforeType);
    const lost = withNamedMembers(fieldSetOf(mergedThen, beforeType), beforeType)
      .difference(left)
      .intersection(withNamedMembers(before.set, beforeType));
    return this.#convert(removeItems(mergedThen, lost, beforeType), apiVersion);
  }

  #typeOf(apiVersion: string): MapType | undefined {
    return apiVersion === this.#options.apiVersion
      ? this.#options.type
      : this.#options.versions?.type(apiVersion);
  }
  #convert(object: JsonValue, apiVersion: string): JsonValue {
    if (!isJsonObject(object) || object['apiVersion'] === apiVersion || this.#options.versions === undefined)
      return object;
    return asJson(this.#options.versions.convert(object as unknown as KubeObject, apiVersion));
  }

  #ownedByLastApplied(live: KubeObject): FieldSet {
    const annotation = live.metadata.annotations?.[lastAppliedAnnotation];
    if (annotation === undefined || annotation === '') return emptyFieldSet;
    let lastApplied: unknown;
    try {
      lastApplied = JSON.parse(annotation);
    } catch {
      return emptyFieldSet;
    }
    if (!isJsonObject(lastApplied) || lastApplied['apiVersion'] !== this.#options.apiVersion)
      return emptyFieldSet;
    const { type } = this.#options;
    const comparison = compareTyped(lastApplied, asJson(live), type);
    return fieldSetOf(lastApplied, type)
      .difference(comparison.modified)
      .difference(comparison.added)
      .difference(comparison.removed);
  }

  #withLastApplied(object: KubeObject, applied: KubeObject): KubeObject {
    const annotations = object.metadata.annotations;
    if (annotations === undefined || !Object.hasOwn(annotations, lastAppliedAnnotation)) return object;
    const shown: KubeObject = { ...applied, metadata: { ...applied.metadata } };
    if (shown.metadata.annotations !== undefined) {
      const { [lastAppliedAnnotation]: _, ...rest } = shown.metadata.annotations;
      shown.metadata.annotations = rest;
    }
    const next: Record<string, string> = {
      ...annotations,
      [lastAppliedAnnotation]: sortedJson(shown) + '\n',
    };
    let bytes = 0;
    for (const [key, value] of Object.entries(next)) bytes += utf8Length(key) + utf8Length(value);
    if (bytes > annotationsBytesMax) Reflect.deleteProperty(next, lastAppliedAnnotation);
    return { ...object, metadata: { ...object.metadata, annotations: next } };
  }
}

/** The change of an object in the version of each manager. */
class VersionedComparison {
  readonly #options: FieldManagerOptions;
  readonly #ignored: FieldSet;
  readonly #old: KubeObject;
  readonly #next: KubeObject;
  readonly #byVersion = new Map<string, Comparison | undefined>();
  constructor(options: FieldManagerOptions, ignored: FieldSet, old: KubeObject, next: KubeObject) {
    this.#options = options;
    this.#ignored = ignored;
    this.#old = old;
    this.#next = next;
  }
  own(): Comparison {
    return this.at(this.#options.apiVersion) as Comparison;
  }
  /** Undefined when the version is not served any more. */
  at(apiVersion: string): Comparison | undefined {
    if (this.#byVersion.has(apiVersion)) return this.#byVersion.get(apiVersion);
    let comparison: Comparison | undefined;
    if (apiVersion === this.#options.apiVersion) {
      comparison = this.#exclude(compareTyped(asJson(this.#old), asJson(this.#next), this.#options.type));
    } else {
      const { versions } = this.#options;
      const type = versions?.type(apiVersion);
      if (versions !== undefined && type !== undefined) {
        const old = asJson(versions.convert(this.#old, apiVersion));
        comparison = this.#exclude(compareTyped(old, asJson(versions.convert(this.#next, apiVersion)), type));
      }
    }
    this.#byVersion.set(apiVersion, comparison);
    return comparison;
  }
  #exclude(comparison: Comparison): Comparison {
    if (this.#ignored.isEmpty) return comparison;
    return {
      added: comparison.added.recursiveDifference(this.#ignored),
      modified: comparison.modified.recursiveDifference(this.#ignored),
      removed: comparison.removed.recursiveDifference(this.#ignored),
    };
  }
}

function findConflicts(managers: Managers, comparisons: VersionedComparison, self: string): Conflict[] {
  const conflicts: Conflict[] = [];
  for (const [key, entry] of managers) {
    if (key === self) continue;
    const comparison = comparisons.at(entry.apiVersion);
    if (comparison === undefined) continue;
    const set = entry.set.intersection(comparison.modified.union(comparison.added));
    if (!set.isEmpty) conflicts.push({ identity: entry.identity, set });
  }
  return conflicts;
}

/** Everybody but `self` loses what was changed or removed. True when any entry changed. */
function takeOver(managers: Managers, comparisons: VersionedComparison, self: string | undefined): boolean {
  let changed = false;
  for (const [key, entry] of [...managers]) {
    if (key === self) continue;
    const comparison = comparisons.at(entry.apiVersion);
    const set =
      comparison === undefined
        ? emptyFieldSet
        : entry.set
            .difference(comparison.modified)
            .difference(comparison.added)
            .difference(comparison.removed);
    if (set === entry.set) continue;
    changed = true;
    if (set.isEmpty) managers.delete(key);
    else managers.set(key, { ...entry, set });
  }
  return changed;
}

function asJson(object: KubeObject): JsonObject {
  return object as unknown as JsonObject;
}

function withoutManagedFields(object: KubeObject): KubeObject {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function goKind(object: KubeObject): string {
  const parts = (object.apiVersion ?? '').split('/');
  const [group, version] = parts.length === 2 ? parts : ['', parts[0]];
  return `${group}/${version}, Kind=${object.kind ?? ''}`;
}

function describe(object: KubeObject): string {
  const version = object.apiVersion ?? '';
  const shown = version.includes('/') ? version : `/${version}`;
  return `${object.metadata?.namespace ?? ''}/${object.metadata?.name ?? ''}; ${shown}, Kind=${object.kind ?? ''}`;
}

function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return jsonText(value);
  const members = Object.keys(value)
    .filter((key) => (value as Record<string, unknown>)[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${sortedJson((value as Record<string, unknown>)[key])}`);
  return `{${members.join(',')}}`;
}

/**
 * The managedFields to store with `next`: those of `live` when the only difference of the whole object is in their timestamps, so that a
 * write that changes nothing stays without effect.
 */
export function ignoreTimestampOnlyChange(live: KubeObject, next: KubeObject): KubeObject {
  const liveEntries = live.metadata.managedFields ?? [];
  const nextEntries = next.metadata.managedFields ?? [];
  if (liveEntries === nextEntries || liveEntries.length !== nextEntries.length) return next;
  const byKey = (entries: readonly ManagedFieldsEntry[]): Map<string, ManagedFieldsEntry> =>
    new Map(
      entries.map((entry) => [
        JSON.stringify([entry.manager, entry.operation, entry.apiVersion, entry.subresource]),
        entry,
      ]),
    );
  const old = byKey(liveEntries);
  for (const [key, entry] of byKey(nextEntries)) {
    const before = old.get(key);
    if (before === undefined || !deepEqual(before.fieldsV1, entry.fieldsV1)) return next;
  }
  if (!deepEqual(withoutManagedFields(live), withoutManagedFields(next))) return next;
  const { managedFields: _, ...metadata } = next.metadata;
  return {
    ...next,
    metadata: liveEntries.length === 0 ? metadata : { ...metadata, managedFields: liveEntries },
  };
}
