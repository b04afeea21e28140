import type { FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { isDns1123Subdomain } from '@pilothouse/apimachinery';
import { statusPath } from '../common.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, semanticEqual, text } from '../validation/values.ts';
import { keyOfDevice } from './claim-status.ts';

/** A right beyond `resourceclaims/status` that a change of a claim's status takes: any one of `verbs`. */
export interface ClaimRight {
  readonly subresource: 'binding' | 'driver';
  readonly verbs: readonly string[];
  /** Driver that the right is for; empty for all claims of the cluster. */
  readonly name: string;
  /** Whether the right counts in the claim's namespace; else in the whole cluster. */
  readonly namespaced: boolean;
  /** Where and how a refusal is told, up to the authorizer's own words. */
  readonly path: FieldPath;
  readonly refusal: string;
}

interface Asker {
  readonly name: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Rights that the step from `old` to `claim` takes of `user`, who asked with `verb` (`update` or `patch`). */
export function rightsOfClaimStatus(
  claim: KubeObject,
  old: KubeObject,
  user: Asker,
  verb: string,
): ClaimRight[] {
  const status = (claim['status'] ?? {}) as Json;
  const before = (old['status'] ?? {}) as Json;
  const rights: ClaimRight[] = [];
  const same = (member: string): boolean => semanticEqual(status[member], before[member]);
  if (!same('allocation') || !same('reservedFor'))
    rights.push({
      subresource: 'binding',
      verbs: [verb],
      name: '',
      namespaced: false,
      path: statusPath.child('allocation'),
      refusal: `changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="${verb}" permission`,
    });
  // What drivers say of devices goes with the allocation, whoever takes that away.
  if (!isSet(status['allocation'])) return rights;
  const verbs = [`arbitrary-node:${verb}`];
  if (isOnNode(user, nodeOf(status['allocation'] as Json))) verbs.unshift(`associated-node:${verb}`);
  for (const driver of changedDrivers(status, before))
    rights.push({
      subresource: 'driver',
      verbs,
      name: driver,
      namespaced: true,
      path: statusPath.child('devices'),
      refusal: `changing status.devices requires resource="resourceclaims/driver", verb="[${verbs.join(' ')}]" permission`,
    });
  return rights;
}

/** Drivers of the devices whose status is new, other or gone, in order. */
function changedDrivers(status: Json, before: Json): string[] {
  const left = new Map((list(before['devices']) as Json[]).map((device) => [keyOfDevice(device), device]));
  const drivers = new Set<string>();
  for (const device of list(status['devices']) as Json[]) {
    const key = keyOfDevice(device);
    const known = left.get(key);
    left.delete(key);
    if (known === undefined || !semanticEqual(known, device)) drivers.add(text(device['driver']));
  }
  for (const device of left.values()) drivers.add(text(device['driver']));
  return [...drivers].sort();
}

/** The one node that an allocation is bound to, as the scheduler writes it; empty for devices of several nodes. */
function nodeOf(allocation: Json): string {
  const terms = list(allocation['nodeSelector']?.nodeSelectorTerms) as Json[];
  const [term] = terms;
  if (term === undefined || terms.length !== 1 || list(term['matchExpressions']).length > 0) return '';
  const fields = list(term['matchFields']) as Json[];
  const [field] = fields;
  if (field === undefined || fields.length !== 1) return '';
  const values = list(field['values']);
  if (field['key'] !== 'metadata.name' || field['operator'] !== 'In' || values.length !== 1) return '';
  return text(values[0]);
}

/** Whether `user` is a service account whose token was made for a pod on that node. */
function isOnNode(user: Asker, node: string): boolean {
  if (node === '' || !/^system:serviceaccount:[^:]+:[^:]+$/.test(user.name)) return false;
  const nodes = user.extra?.['authentication.kubernetes.io/node-name'] ?? [];
  return nodes.length === 1 && nodes[0] === node && isDns1123Subdomain(node).length === 0;
}

/** Place of the first device given for administration, where the step to `claim` gives the first such. */
export function newAdminAccess(claim: KubeObject, old: KubeObject): FieldPath | undefined {
  const indexOf = (object: KubeObject): number =>
    list(object['status']?.allocation?.devices?.results).findIndex(
      (result: Json) => result['adminAccess'] === true,
    );
  const index = indexOf(claim);
  if (index < 0 || indexOf(old) >= 0) return undefined;
  return statusPath.child('allocation', 'devices', 'results').index(index).child('adminAccess');
}
