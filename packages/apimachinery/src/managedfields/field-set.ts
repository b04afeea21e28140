import type { PathElement } from './path-element.ts';
import { pathElementText } from './path-element.ts';

const noMembers: ReadonlySet<PathElement> = new Set();
const noChildren: ReadonlyMap<PathElement, FieldSet> = new Map();

/** The wire form of a set: nested objects keyed by path elements, `.` for the field itself. */
export interface FieldsV1 {
  [element: string]: FieldsV1;
}

/** A set of field paths. Immutable; operations give back an operand when nothing changes. */
export class FieldSet {
  readonly members: ReadonlySet<PathElement>;
  readonly children: ReadonlyMap<PathElement, FieldSet>;
  #encoded: FieldsV1 | undefined;
  constructor(
    members: ReadonlySet<PathElement> = noMembers,
    children: ReadonlyMap<PathElement, FieldSet> = noChildren,
    encoded?: FieldsV1,
  ) {
    this.members = members;
    this.children = children;
    this.#encoded = encoded;
  }

  static of(...paths: readonly (readonly PathElement[])[]): FieldSet {
    const builder = new FieldSetBuilder();
    for (const path of paths) builder.insert(path);
    return builder.build();
  }

  get isEmpty(): boolean {
    return this.members.size === 0 && this.children.size === 0;
  }

  has(path: readonly PathElement[]): boolean {
    if (path.length === 0) return false;
    let set: FieldSet | undefined = this;
    for (let index = 0; index < path.length - 1; index++) {
      set = set.children.get(path[index] as PathElement);
      if (set === undefined) return false;
    }
    return set.members.has(path.at(-1) as PathElement);
  }

  child(element: PathElement): FieldSet {
    return this.children.get(element) ?? emptyFieldSet;
  }

  union(other: FieldSet): FieldSet {
    if (other === this || other.isEmpty) return this;
    if (this.isEmpty) return other;
    let members = this.members;
    for (const element of other.members) {
      if (members.has(element)) continue;
      if (members === this.members) members = new Set(members);
      (members as Set<PathElement>).add(element);
    }
    let children = this.children;
    for (const [element, set] of other.children) {
      const own = children.get(element);
      const next = own === undefined ? set : own.union(set);
      if (next === own) continue;
      if (children === this.children) children = new Map(children);
      (children as Map<PathElement, FieldSet>).set(element, next);
    }
    return this.#with(members, children);
  }

  /** The paths that `other` does not have. */
  difference(other: FieldSet): FieldSet {
    return this.#remove(other, false);
  }
  /** As {@link difference}, and what lies below a path of `other` goes too. */
  recursiveDifference(other: FieldSet): FieldSet {
    return this.#remove(other, true);
  }

  #remove(other: FieldSet, recursive: boolean): FieldSet {
    if (other.isEmpty || this.isEmpty) return this;
    if (other === this && !recursive) return emptyFieldSet;
    let members = this.members;
    for (const element of this.members) {
      if (!other.members.has(element)) continue;
      if (members === this.members) members = new Set(members);
      (members as Set<PathElement>).delete(element);
    }
    let children = this.children;
    for (const [element, set] of this.children) {
      const theirs = other.children.get(element);
      let next: FieldSet = set;
      if (recursive && other.members.has(element)) next = emptyFieldSet;
      else if (theirs !== undefined) next = set.#remove(theirs, recursive);
      if (next === set) continue;
      if (children === this.children) children = new Map(children);
      if (next.isEmpty) (children as Map<PathElement, FieldSet>).delete(element);
      else (children as Map<PathElement, FieldSet>).set(element, next);
    }
    return this.#with(members, children);
  }

  intersection(other: FieldSet): FieldSet {
    if (other === this || this.isEmpty) return this;
    if (other.isEmpty) return emptyFieldSet;
    const members = new Set<PathElement>();
    for (const element of this.members) if (other.members.has(element)) members.add(element);
    const children = new Map<PathElement, FieldSet>();
    for (const [element, set] of this.children) {
      const theirs = other.children.get(element);
      if (theirs === undefined) continue;
      const both = set.intersection(theirs);
      if (!both.isEmpty) children.set(element, both);
    }
    return members.size === 0 && children.size === 0 ? emptyFieldSet : new FieldSet(members, children);
  }

  #with(members: ReadonlySet<PathElement>, children: ReadonlyMap<PathElement, FieldSet>): FieldSet {
    if (members === this.members && children === this.children) return this;
    return members.size === 0 && children.size === 0 ? emptyFieldSet : new FieldSet(members, children);
  }

  equals(other: FieldSet): boolean {
    if (other === this) return true;
    if (this.members.size !== other.members.size || this.children.size !== other.children.size) return false;
    for (const element of this.members) if (!other.members.has(element)) return false;
    for (const [element, set] of this.children) {
      const theirs = other.children.get(element);
      if (theirs === undefined || !set.equals(theirs)) return false;
    }
    return true;
  }

  /** All paths in order, each as its text (`.spec.containers[name="a"]`). */
  texts(prefix = ''): string[] {
    const out: string[] = [];
    for (const element of [...new Set([...this.members, ...this.children.keys()])].sort()) {
      const text = prefix + pathElementText(element);
      if (this.members.has(element)) out.push(text);
      const child = this.children.get(element);
      if (child !== undefined) out.push(...child.texts(text));
    }
    return out;
  }

  /** The wire form, with sorted members. Shared: do not change it. */
  encode(): FieldsV1 {
    if (this.#encoded !== undefined) return this.#encoded;
    const out: FieldsV1 = {};
    for (const element of [...new Set([...this.members, ...this.children.keys()])].sort()) {
      const child = this.children.get(element);
      if (child === undefined) out[element] = {};
      else if (this.members.has(element)) out[element] = { '.': {}, ...child.encode() };
      else out[element] = child.encode();
    }
    this.#encoded = Object.freeze(out);
    return out;
  }
}

export const emptyFieldSet = new FieldSet();

/** Collects paths; then {@link build}s the set. */
export class FieldSetBuilder {
  readonly #members = new Set<PathElement>();
  readonly #children = new Map<PathElement, FieldSetBuilder>();
  insert(path: readonly PathElement[]): void {
    let node: FieldSetBuilder = this;
    for (let index = 0; index < path.length - 1; index++) node = node.#descend(path[index] as PathElement);
    const last = path.at(-1);
    if (last !== undefined) node.#members.add(last);
  }
  #descend(element: PathElement): FieldSetBuilder {
    let child = this.#children.get(element);
    if (child === undefined) {
      child = new FieldSetBuilder();
      this.#children.set(element, child);
    }
    return child;
  }
  build(): FieldSet {
    if (this.#members.size === 0 && this.#children.size === 0) return emptyFieldSet;
    const children = new Map<PathElement, FieldSet>();
    for (const [element, child] of this.#children) children.set(element, child.build());
    return new FieldSet(this.#members, children);
  }
}

const decoded = new WeakMap<object, FieldSet>();

/** Reads the wire form. Frozen input is read once only. @throws Error on an element of no known type */
export function decodeFieldSet(fields: FieldsV1): FieldSet {
  const cached = decoded.get(fields);
  if (cached !== undefined) return cached;
  const members = new Set<PathElement>();
  const children = new Map<PathElement, FieldSet>();
  for (const element of Object.keys(fields)) {
    if (element === '.') continue;
    if (!/^[fkvi]:/.test(element))
      throw new Error(`missing colon or unknown type in path element ${element}`);
    if (element[0] === 'k' || element[0] === 'v') JSON.parse(element.slice(2));
    const inner = fields[element] as FieldsV1;
    let own = true;
    let nested = false;
    for (const key in inner) {
      if (key === '.') continue;
      nested = true;
      break;
    }
    if (nested) {
      own = Object.hasOwn(inner, '.');
      children.set(element, decodeFieldSet(inner));
    }
    if (own) members.add(element);
  }
  const frozen = Object.isFrozen(fields);
  const set =
    members.size === 0 && children.size === 0
      ? emptyFieldSet
      : new FieldSet(members, children, frozen && !Object.hasOwn(fields, '.') ? fields : undefined);
  if (frozen) decoded.set(fields, set);
  return set;
}
