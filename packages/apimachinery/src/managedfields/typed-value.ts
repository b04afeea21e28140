import type { JsonObject } from '../json.ts';
import { deepEqual, goFormat, isJsonObject, setOwn } from '../json.ts';
import type { JsonValue } from '../meta.ts';
import type { FieldSet } from './field-set.ts';
import { FieldSetBuilder } from './field-set.ts';
import type { ListType, MapType, MergeType } from './merge-schema.ts';
import { deducedType } from './merge-schema.ts';
import type { PathElement } from './path-element.ts';
import { keyElement, memberElement, pathElementText, valueElement } from './path-element.ts';

/** What a value turned out to be under its type. */
type Shape =
  | { readonly kind: 'leaf' }
  | { readonly kind: 'list'; readonly type: ListType }
  | { readonly kind: 'map'; readonly type: MapType };

const leaf: Shape = { kind: 'leaf' };
const deducedMap: MapType = {
  kind: 'map',
  relationship: 'granular',
  fields: () => new Map(),
  element: deducedType,
};

function shapeOf(type: MergeType, value: JsonValue | undefined): Shape {
  switch (type.kind) {
    case 'scalar':
    case 'atomic':
      return leaf;
    case 'list':
      return type.relationship === 'atomic' ||
        (value !== undefined && value !== null && !Array.isArray(value))
        ? leaf
        : { kind: 'list', type };
    case 'map':
      return type.relationship === 'atomic' || (value !== undefined && value !== null && !isJsonObject(value))
        ? leaf
        : { kind: 'map', type };
    case 'deduced':
      return isJsonObject(value) ? { kind: 'map', type: deducedMap } : leaf;
  }
}

const noMembers: ReadonlyMap<string, JsonValue> = new Map();
const emptyMap: JsonObject = {};

function memberType(type: MapType, name: string): MergeType {
  return type.fields().get(name) ?? type.element ?? deducedType;
}

/** The identity of an element in a set or map list, or why it has none. */
function elementIdentity(type: ListType, element: JsonValue): PathElement | { readonly problem: string } {
  if (type.relationship === 'set') {
    if (element === null)
      return { problem: "associative list without keys has an element that's an explicit null" };
    if (typeof element === 'object')
      return {
        problem: `associative list without keys has an element that's a ${Array.isArray(element) ? 'list' : 'map'} type`,
      };
    return valueElement(element);
  }
  if (!isJsonObject(element)) return { problem: 'associative list with keys may not have non-map elements' };
  // A key that may be left out is no part of the identity of an element without it.
  const keys: string[] = [];
  const values: unknown[] = [];
  for (const key of type.keys) {
    const value = element[key] ?? type.keyDefaults.get(key);
    if (value === undefined) continue;
    keys.push(key);
    values.push(value);
  }
  if (keys.length === 0)
    return {
      problem: `associative list with keys has an element that omits all key fields [${type.keys.map((key) => JSON.stringify(key)).join(' ')}] (and doesn't have default values for any key fields)`,
    };
  return keyElement(keys, values);
}

function identityOrIndex(type: ListType, element: JsonValue, index: number): PathElement {
  const identity = elementIdentity(type, element);
  return typeof identity === 'string' ? identity : `i:${index}`;
}

// ---- validation -------------------------------------------------------------------------------------------------------------

/** What is wrong with a value under its type, as `path: text` lines of upstream. */
export function typeErrors(value: JsonValue, type: MergeType, path = ''): string[] {
  const at = (text: string): string[] => [path === '' ? text : `${path}: ${text}`];
  if (value === null) return [];
  switch (type.kind) {
    case 'atomic':
    case 'deduced':
      return [];
    case 'scalar': {
      const kind = typeof value;
      if (type.scalar === 'untyped')
        return kind === 'object' ? at(`expected any scalar, got &{${goFormat(value)}}`) : [];
      if (kind === type.scalar || (kind === 'bigint' && type.scalar === 'number')) return [];
      if (type.scalar === 'string')
        return at(`expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`);
      if (type.scalar === 'number')
        return at('expected numeric (int or float), got *value.valueUnstructured');
      return at(`expected boolean, got &{${goFormat(value)}}`);
    }
    case 'list': {
      if (!Array.isArray(value)) return at(`expected list, got &{${goFormat(value)}}`);
      const errors: string[] = [];
      const seen = new Set<PathElement>();
      value.forEach((element, index) => {
        let step: PathElement = `i:${index}`;
        if (type.relationship !== 'atomic') {
          const identity = elementIdentity(type, element);
          if (typeof identity !== 'string') {
            errors.push(...at(`element ${index}: ${identity.problem}`));
            return;
          }
          if (seen.has(identity))
            errors.push(...at(`duplicate entries for key ${pathElementText(identity)}`));
          seen.add(identity);
          step = identity;
        }
        errors.push(...typeErrors(element, type.element, path + pathElementText(step)));
      });
      return errors;
    }
    case 'map': {
      if (!isJsonObject(value)) return at(`expected map, got &{${goFormat(value)}}`);
      const errors: string[] = [];
      for (const [name, member] of Object.entries(value)) {
        const inner = type.fields().get(name) ?? type.element;
        const memberPath = `${path}.${name}`;
        if (inner === undefined) errors.push(`${memberPath}: field not declared in schema`);
        else errors.push(...typeErrors(member, inner, memberPath));
      }
      return errors;
    }
  }
}

/** Go's `%#v` of decoded JSON, as far as scalars go. */
function goSyntax(value: JsonValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (isJsonObject(value)) {
    const members = Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${goSyntax(value[key] as JsonValue)}`);
    return `map[string]interface {}{${members.join(', ')}}`;
  }
  return value === null ? 'interface {}(nil)' : String(value);
}

// ---- field sets -------------------------------------------------------------------------------------------------------------

/** All paths a value states. */
export function fieldSetOf(value: JsonValue, type: MergeType): FieldSet {
  const builder = new FieldSetBuilder();
  collect(value, type, [], builder);
  return builder.build();
}

function collect(value: JsonValue, type: MergeType, path: PathElement[], out: FieldSetBuilder): void {
  const shape = shapeOf(type, value);
  if (shape.kind === 'leaf') {
    out.insert(path);
  } else if (shape.kind === 'list') {
    if (!Array.isArray(value)) return;
    const { type: list } = shape;
    const counts = new Map<PathElement, number>();
    value.forEach((element, index) => {
      const step = identityOrIndex(list, element, index);
      counts.set(step, (counts.get(step) ?? 0) + 1);
    });
    value.forEach((element, index) => {
      const step = identityOrIndex(list, element, index);
      path.push(step);
      if (counts.get(step) === 1) collect(element, list.element, path, out);
      out.insert(path);
      path.pop();
    });
  } else {
    if (!isJsonObject(value)) return;
    const fields = shape.type.fields();
    for (const name of Object.keys(value)) {
      const member = value[name];
      if (member === undefined) continue;
      path.push(memberElement(name));
      collect(member, memberType(shape.type, name), path, out);
      if (member === null || (isJsonObject(member) && isEmptyObject(member)) || !fields.has(name))
        out.insert(path);
      path.pop();
    }
  }
}

function isEmptyObject(value: JsonObject): boolean {
  for (const key in value) if (value[key] !== undefined) return false;
  return true;
}

/** Makes every declared member that has something below it a member of the set as well. */
export function withNamedMembers(set: FieldSet, type: MergeType): FieldSet {
  const builder = new FieldSetBuilder();
  const walk = (node: FieldSet, at: MergeType, path: PathElement[]): void => {
    for (const element of node.members) builder.insert([...path, element]);
    const map = at.kind === 'map' ? at : at.kind === 'deduced' ? deducedMap : undefined;
    for (const [element, child] of node.children) {
      const next = [...path, element];
      let inner: MergeType = deducedType;
      if (element.startsWith('f:') && map !== undefined) {
        const name = element.slice(2);
        if (map.fields().has(name)) builder.insert(next);
        inner = memberType(map, name);
      } else if (at.kind === 'list') inner = at.element;
      walk(child, inner, next);
    }
  };
  walk(set, type, []);
  return builder.build();
}

// ---- comparison -------------------------------------------------------------------------------------------------------------

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

interface ComparisonBuilders {
  readonly added: FieldSetBuilder;
  readonly modified: FieldSetBuilder;
  readonly removed: FieldSetBuilder;
}

/** Which paths differ between two values of a type. Parts that are the same object are skipped. */
export function compareTyped(old: JsonValue, next: JsonValue, type: MergeType): Comparison {
  const out: ComparisonBuilders = {
    added: new FieldSetBuilder(),
    modified: new FieldSetBuilder(),
    removed: new FieldSetBuilder(),
  };
  compareInto(old, next, type, [], out);
  return { added: out.added.build(), modified: out.modified.build(), removed: out.removed.build() };
}

function isNothing(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null) return true;
  return Array.isArray(value) ? value.length === 0 : typeof value === 'object' && isEmptyObject(value);
}

function compareInto(
  old: JsonValue | undefined,
  next: JsonValue | undefined,
  type: MergeType,
  path: PathElement[],
  out: ComparisonBuilders,
): void {
  if (old === next) return;
  const oldShape = shapeOf(type, old);
  const nextShape = shapeOf(type, next);
  if (next === undefined) compareAs(oldShape, old, next, path, out);
  else if (old === undefined || oldShape.kind === nextShape.kind) compareAs(nextShape, old, next, path, out);
  else {
    compareAs(oldShape, old, next, path, out);
    compareAs(nextShape, old, next, path, out);
  }
}

function compareAs(
  shape: Shape,
  old: JsonValue | undefined,
  next: JsonValue | undefined,
  path: PathElement[],
  out: ComparisonBuilders,
): void {
  const leafHere = shape.kind === 'leaf' || (isNothing(old) && isNothing(next));
  if (leafHere) {
    if (old === undefined) out.added.insert(path);
    else if (next === undefined) out.removed.insert(path);
    else if (!deepEqual(old, next)) out.modified.insert(path);
    return;
  }
  if (shape.kind === 'list')
    compareLists(shape.type, Array.isArray(old) ? old : [], Array.isArray(next) ? next : [], path, out);
  else {
    const mapOf = (value: JsonValue | undefined): JsonObject | undefined =>
      isJsonObject(value) ? value : undefined;
    compareMaps(shape.type, mapOf(old), mapOf(next), path, out);
  }
  if (old === undefined) out.added.insert(path);
  else if (next === undefined) out.removed.insert(path);
}

function compareMaps(
  type: MapType,
  oldMap: JsonObject | undefined,
  nextMap: JsonObject | undefined,
  path: PathElement[],
  out: ComparisonBuilders,
): void {
  const unset = type.unset?.() ?? noMembers;
  const old = oldMap ?? emptyMap;
  const next = nextMap ?? emptyMap;
  const member = (map: JsonObject | undefined, name: string): JsonValue | undefined => {
    if (map === undefined) return undefined;
    if (Object.hasOwn(map, name)) return map[name];
    return unset.get(name);
  };
  const compare = (name: string): void => {
    path.push(memberElement(name));
    compareInto(member(oldMap, name), member(nextMap, name), memberType(type, name), path, out);
    path.pop();
  };
  for (const name in old) if (old[name] !== next[name]) compare(name);
  for (const name in next) if (!Object.hasOwn(old, name)) compare(name);
  if (oldMap !== undefined && nextMap !== undefined) return;
  for (const name of unset.keys()) if (!Object.hasOwn(old, name) && !Object.hasOwn(next, name)) compare(name);
}

/** An element of a set or map list has no identity: nobody's fields in the object can be told. */
export class NoIdentityError extends Error {}

function groupElements(type: ListType, list: readonly JsonValue[]): Map<PathElement, JsonValue[]> {
  const groups = new Map<PathElement, JsonValue[]>();
  list.forEach((element) => {
    const step = elementIdentity(type, element);
    if (typeof step !== 'string') throw new NoIdentityError(step.problem);
    const group = groups.get(step);
    if (group === undefined) groups.set(step, [element]);
    else group.push(element);
  });
  return groups;
}

function compareLists(
  type: ListType,
  old: readonly JsonValue[],
  next: readonly JsonValue[],
  path: PathElement[],
  out: ComparisonBuilders,
): void {
  const oldGroups = groupElements(type, old);
  const nextGroups = groupElements(type, next);
  for (const step of new Set([...oldGroups.keys(), ...nextGroups.keys()])) {
    const left = oldGroups.get(step) ?? [];
    const right = nextGroups.get(step) ?? [];
    path.push(step);
    if (left.length <= 1 && right.length <= 1) compareInto(left[0], right[0], type.element, path, out);
    else if (left.length === 0) out.added.insert(path);
    else if (right.length === 0) out.removed.insert(path);
    else if (!deepEqual(left, right)) out.modified.insert(path);
    path.pop();
  }
}

// ---- merging ----------------------------------------------------------------------------------------------------------------

/** `live` with everything that `applied` states put in. Unstated parts are shared with `live`. */
export function mergeTyped(live: JsonValue, applied: JsonValue, type: MergeType): JsonValue {
  return mergeValue(live, applied, type) ?? null;
}

function mergeValue(
  live: JsonValue | undefined,
  applied: JsonValue | undefined,
  type: MergeType,
): JsonValue | undefined {
  if (applied === undefined) return live;
  if (live === undefined && type.kind !== 'list') return applied;
  const shape = shapeOf(type, applied);
  if (shape.kind === 'leaf' || (isNothing(live) && isNothing(applied))) return applied;
  if (shape.kind === 'list')
    return mergeLists(shape.type, Array.isArray(live) ? live : [], Array.isArray(applied) ? applied : []);
  const out: JsonObject = isJsonObject(live) ? { ...live } : {};
  if (isJsonObject(applied)) {
    for (const [name, member] of Object.entries(applied)) {
      const merged = mergeValue(
        Object.hasOwn(out, name) ? out[name] : undefined,
        member,
        memberType(shape.type, name),
      );
      if (merged !== undefined) setOwn(out, name, merged);
    }
  }
  return out;
}

/** Elements keep the live order where they can; shared ones take the applied order, new ones come where the applier has them. */
function mergeLists(type: ListType, live: readonly JsonValue[], applied: readonly JsonValue[]): JsonValue[] {
  const liveSteps = live.map((element, index) => identityOrIndex(type, element, index));
  const appliedSteps = applied.map((element, index) => identityOrIndex(type, element, index));
  const liveByStep = new Map<PathElement, JsonValue | undefined>();
  // An element that stands there twice has no single counterpart: the applied one replaces it.
  liveSteps.forEach((step, index) => liveByStep.set(step, liveByStep.has(step) ? undefined : live[index]));
  const appliedByStep = new Map(appliedSteps.map((step, index) => [step, applied[index] as JsonValue]));
  const shared = appliedSteps.filter((step) => liveByStep.has(step));
  let sharedIndex = 0;
  const merged = new Set<PathElement>();
  const out: JsonValue[] = [];
  const take = (step: PathElement): void => {
    merged.add(step);
    const value = mergeValue(liveByStep.get(step), appliedByStep.get(step), type.element);
    if (value !== undefined) out.push(value);
  };
  let left = 0;
  let right = 0;
  while (left < live.length || right < applied.length) {
    const liveStep = liveSteps[left];
    const appliedStep = appliedSteps[right];
    if (liveStep !== undefined && appliedStep !== undefined) {
      if (liveStep === appliedStep) {
        take(liveStep);
        left++;
        right++;
        sharedIndex++;
        continue;
      }
      if (appliedByStep.has(liveStep) && sharedIndex < shared.length && shared[sharedIndex] !== liveStep) {
        left++;
        continue;
      }
    }
    if (liveStep !== undefined) {
      if (!appliedByStep.has(liveStep)) {
        out.push(live[left] as JsonValue);
        left++;
        continue;
      }
      if (merged.has(liveStep)) {
        left++;
        if (appliedStep === undefined) continue;
      }
    }
    if (appliedStep !== undefined) {
      take(appliedStep);
      right++;
      if (shared[sharedIndex] === appliedStep) sharedIndex++;
    } else if (liveStep !== undefined && !merged.has(liveStep)) left++;
  }
  return out;
}

// ---- removal ----------------------------------------------------------------------------------------------------------------

/** The value without the paths of `removal`; a list or map that loses all it had becomes null. */
export function removeItems(value: JsonValue, removal: FieldSet, type: MergeType): JsonValue {
  if (removal.isEmpty) return value;
  // Something below an atomic part goes: the part goes as one.
  if (type.kind === 'list' && type.relationship === 'atomic') return null;
  if (type.kind === 'map' && type.relationship === 'atomic') return null;
  const shape = shapeOf(type, value);
  if (shape.kind === 'leaf') return type.kind === 'deduced' && Array.isArray(value) ? null : value;
  if (shape.kind === 'list') {
    if (!Array.isArray(value) || value.length === 0) return null;
    const { type: list } = shape;
    const kept: JsonValue[] = [];
    value.forEach((element, index) => {
      const step = identityOrIndex(list, element, index);
      if (!removal.members.has(step)) kept.push(removeItems(element, removal.child(step), list.element));
    });
    return kept.length === 0 ? null : kept;
  }
  if (!isJsonObject(value) || isEmptyObject(value)) return null;
  const out: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    const step = memberElement(name);
    if (!removal.members.has(step))
      setOwn(out, name, removeItems(member, removal.child(step), memberType(shape.type, name)));
  }
  return isEmptyObject(out) ? null : out;
}
