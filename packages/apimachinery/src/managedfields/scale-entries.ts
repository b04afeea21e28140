import type { ManagedFieldsEntry } from '../meta.ts';
import { FieldSet } from './field-set.ts';
import type { ManagerEntry, Managers } from './managers.ts';
import { decodeManagers, encodeManagers } from './managers.ts';
import { memberElement } from './path-element.ts';

const scaleApiVersion = 'autoscaling/v1';
const replicasInScale = FieldSet.of([memberElement('spec'), memberElement('replicas')]);

/** Where each version of the scaled kind keeps its replicas: a dotted path; null where the version has none. */
export type ReplicasPaths = Readonly<Record<string, string | null>>;

function elements(dotted: string): string[] {
  return dotted
    .split('.')
    .filter((name) => name !== '')
    .map(memberElement);
}

/** managedFields of the /scale view: who among the managers of the object owns the replicas. */
export function scaleManagedFields(
  parent: readonly ManagedFieldsEntry[] | undefined,
  paths: ReplicasPaths,
): ManagedFieldsEntry[] {
  const out: Managers = new Map();
  for (const [key, entry] of decodeManagers(parent) ?? new Map<string, ManagerEntry>()) {
    const path = paths[entry.apiVersion];
    if (path === undefined || path === null || !entry.set.has(elements(path))) continue;
    out.set(key, { ...entry, apiVersion: scaleApiVersion, set: replicasInScale });
  }
  return encodeManagers(out);
}

/** managedFields of the object after a write to its /scale, which left `scale` in the view. `apiVersion` is the object's. */
export function parentManagedFields(
  parent: readonly ManagedFieldsEntry[] | undefined,
  scale: readonly ManagedFieldsEntry[] | undefined,
  options: { readonly apiVersion: string; readonly paths: ReplicasPaths },
): ManagedFieldsEntry[] {
  const parentManagers = decodeManagers(parent) ?? new Map<string, ManagerEntry>();
  const scaleManagers: Managers = new Map(decodeManagers(scale) ?? []);
  const out: Managers = new Map();
  for (const [key, entry] of parentManagers) {
    const path = options.paths[entry.apiVersion];
    if (path === undefined) continue;
    if (path === null || !entry.set.has(elements(path))) {
      out.set(key, entry);
    } else if (scaleManagers.has(key)) {
      out.set(key, entry);
      scaleManagers.delete(key);
    } else {
      const set = entry.set.difference(FieldSet.of(elements(path)));
      if (!set.isEmpty) out.set(key, { ...entry, set });
    }
  }
  const ownPath = options.paths[options.apiVersion];
  for (const [key, entry] of scaleManagers) {
    if (entry.set.isEmpty || ownPath === undefined || ownPath === null) continue;
    const set = FieldSet.of(elements(ownPath));
    out.set(key, { ...entry, apiVersion: options.apiVersion, set, time: parentManagers.get(key)?.time });
  }
  return encodeManagers(out);
}
