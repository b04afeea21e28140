import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, StatusError, statusErrors } from '@pilothouse/apimachinery';
import type { Random } from '@pilothouse/base';
import { uuid } from '@pilothouse/base';

/** The namespace of a body must be that of the path; an absent one is filled in. Throws 400. */
export function ensureNamespace(object: KubeObject, namespaced: boolean, namespace: string): void {
  const own = object.metadata.namespace ?? '';
  if (!namespaced || namespace === '') {
    if (!namespaced && own === '') return;
    if (!namespaced) delete object.metadata.namespace;
    return;
  }
  if (own === '') object.metadata.namespace = namespace;
  else if (own !== namespace) {
    throw statusErrors.badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    );
  }
}

/** What the server alone decides about a new object. */
export function fillSystemFields(object: KubeObject, now: string, random: Random): void {
  delete object.metadata.deletionTimestamp;
  delete object.metadata.deletionGracePeriodSeconds;
  delete object.metadata.selfLink;
  object.metadata.creationTimestamp = now;
  object.metadata.uid = uuid(random);
}

/** 500 without a reason, as upstream answers a resourceVersion that is no number. */
export function resourceVersionOf(object: KubeObject): number {
  const text = object.metadata.resourceVersion ?? '';
  if (text === '') return 0;
  if (!/^[0-9]+$/.test(text)) {
    throw new StatusError(500, '', `strconv.ParseUint: parsing ${goQuote(text)}: invalid syntax`);
  }
  return Number(text);
}

/** Owner references that say the same twice are dropped, with a warning (upstream's dedupOwnerReferencesAndAddWarning). */
export function dedupOwnerReferences(
  object: KubeObject,
  addWarning: (text: string) => void,
  duringUpdate: boolean,
): void {
  const references = object.metadata.ownerReferences;
  if (references === undefined || references.length < 2) return;
  const seen = new Set<string>();
  const kept: typeof references = [];
  const repeated: string[] = [];
  for (const reference of references) {
    const same = JSON.stringify([
      reference.apiVersion,
      reference.kind,
      reference.name,
      reference.uid,
      reference.controller ?? null,
      reference.blockOwnerDeletion ?? null,
    ]);
    if (seen.has(same)) repeated.push(reference.uid);
    else {
      seen.add(same);
      kept.push(reference);
    }
  }
  if (repeated.length === 0) return;
  object.metadata.ownerReferences = kept;
  const uids = [...new Set(repeated)].join(', ');
  addWarning(
    duringUpdate
      ? `.metadata.ownerReferences contains duplicate entries after mutating admission happens; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) that were observed: ${uids}`
      : `.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) that were observed: ${uids}`,
  );
}
