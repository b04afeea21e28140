import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import type { ResourceStrategy } from '@pilothouse/api';
import type { DeleteOptions } from '../rest/rest-storage.ts';

/** Finalizers by which the garbage collector is asked to act before the object goes. */
const orphanFinalizer = 'orphan';
const foregroundFinalizer = 'foregroundDeletion';

export interface DeletionStart {
  /** The object was given a grace period: it stays until that is over. */
  readonly graceful: boolean;
  /** The object is on its way out already and this request does not change that. */
  readonly pending: boolean;
  readonly gracePeriodSeconds: number | undefined;
}

/**
 * Decides how a delete begins, and sets deletionTimestamp and grace period in `object` when it is a graceful one (upstream's BeforeDelete).
 * `object` may be changed. Throws 409 when a precondition does not hold.
 */
export function beginDeletion(
  object: KubeObject,
  strategy: ResourceStrategy,
  options: DeleteOptions,
  nowMs: number,
): DeletionStart {
  const meta = object.metadata;
  const { uid, resourceVersion } = options.preconditions ?? {};
  const kind = { group: strategy.group, resource: object.kind ?? strategy.kind };
  if (uid !== undefined && uid !== (meta.uid ?? '')) {
    throw statusErrors.conflict(
      kind,
      meta.name ?? '',
      `the UID in the precondition (${uid}) does not match the UID in record (${meta.uid ?? ''}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== (meta.resourceVersion ?? '')) {
    throw statusErrors.conflict(
      kind,
      meta.name ?? '',
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${meta.resourceVersion ?? ''}). The object might have been modified`,
    );
  }
  // A negative period counts as one second.
  const requested =
    options.gracePeriodSeconds !== undefined && options.gracePeriodSeconds < 0
      ? 1
      : options.gracePeriodSeconds;
  const graceOf = strategy.gracePeriodSeconds;
  if (isDeleting(object)) {
    const current = meta.deletionGracePeriodSeconds ?? 0;
    // Zero: the period was over and only the removal failed; it is done now.
    if (current === 0 || graceOf === undefined)
      return { graceful: false, pending: false, gracePeriodSeconds: requested };
    // A grace period can only be made shorter.
    if (requested === undefined || requested >= current) {
      return { graceful: false, pending: true, gracePeriodSeconds: current };
    }
    const startedMs = Date.parse(meta.deletionTimestamp as string) - secondsInMs(current);
    meta.deletionTimestamp = timestamp(startedMs + secondsInMs(requested));
    meta.deletionGracePeriodSeconds = requested;
    return { graceful: true, pending: false, gracePeriodSeconds: requested };
  }
  const period = graceOf?.call(strategy, object, requested);
  if (period === undefined) return { graceful: false, pending: false, gracePeriodSeconds: requested };
  meta.deletionTimestamp = timestamp(nowMs + secondsInMs(period));
  meta.deletionGracePeriodSeconds = period;
  bumpGeneration(object);
  return { graceful: true, pending: false, gracePeriodSeconds: period };
}

/**
 * Checks the preconditions of a delete before anything is written, for the two kinds whose deletion upstream begins by hand: they tell it
 * in other words than the store does. Throws 409.
 */
export function checkDeletePreconditions(
  object: KubeObject,
  kind: { readonly group: string; readonly resource: string },
  options: DeleteOptions,
): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  const meta = object.metadata;
  const refuse = (what: string, wanted: string, there: string): never => {
    throw statusErrors.conflict(
      kind,
      meta.name ?? '',
      `Precondition failed: ${what} in precondition: ${wanted}, ${what} in object meta: ${there}`,
    );
  };
  if (uid !== undefined && uid !== (meta.uid ?? '')) refuse('UID', uid, meta.uid ?? '');
  if (resourceVersion !== undefined && resourceVersion !== (meta.resourceVersion ?? ''))
    refuse('ResourceVersion', resourceVersion, meta.resourceVersion ?? '');
}

/** Seconds as milliseconds. As in Go nanoseconds of 64 bits carry them: longer periods than 292 years wrap around. */
function secondsInMs(seconds: number | bigint): number {
  if (typeof seconds === 'number' && Math.abs(seconds) < 9_000_000_000) return seconds * 1000;
  return Number(BigInt.asIntN(64, BigInt(seconds) * 1_000_000_000n) / 1_000_000n);
}

/** Deletion of a kind without grace that waits for finalizers. */
export function markDeleting(object: KubeObject, nowMs: number): void {
  const meta = object.metadata;
  if (!isDeleting(object)) {
    meta.deletionTimestamp = timestamp(nowMs);
    bumpGeneration(object);
  }
  meta.deletionGracePeriodSeconds = 0;
}

export function isDeleting(object: KubeObject): boolean {
  const at = object.metadata.deletionTimestamp;
  return at !== undefined && at !== null && at !== '';
}

/** The finalizers after this request; undefined: unchanged. */
export function finalizersForGarbageCollection(
  object: KubeObject,
  strategy: ResourceStrategy,
  options: DeleteOptions,
): string[] | undefined {
  // Nobody looks for what such objects own.
  if (strategy.defaultPropagation === 'Unsupported') return undefined;
  const present = object.metadata.finalizers ?? [];
  const orphan = orphansDependents(present, strategy, options);
  const foreground = deletesInForeground(present, options);
  const wanted = present.filter(
    (finalizer) => finalizer !== orphanFinalizer && finalizer !== foregroundFinalizer,
  );
  if (orphan) wanted.push(orphanFinalizer);
  if (foreground) wanted.push(foregroundFinalizer);
  const unchanged =
    wanted.length === present.length && wanted.every((finalizer) => present.includes(finalizer));
  return unchanged ? undefined : wanted;
}

function orphansDependents(
  present: readonly string[],
  strategy: ResourceStrategy,
  options: DeleteOptions,
): boolean {
  if (options.orphanDependents !== undefined) return options.orphanDependents;
  if (options.propagationPolicy !== undefined) return options.propagationPolicy === 'Orphan';
  return present.includes(orphanFinalizer) || strategy.defaultPropagation === 'Orphan';
}

function deletesInForeground(present: readonly string[], options: DeleteOptions): boolean {
  if (options.orphanDependents !== undefined) return false;
  if (options.propagationPolicy !== undefined) return options.propagationPolicy === 'Foreground';
  return present.includes(foregroundFinalizer);
}

function bumpGeneration(object: KubeObject): void {
  const generation = object.metadata.generation ?? 0;
  if (generation > 0) object.metadata.generation = generation + 1;
}

function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
