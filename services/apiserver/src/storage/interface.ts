import type { KubeObject } from '@pilothouse/apimachinery';
import type { Preconditions, Stored, WatchStream } from '../registry/rest/rest-storage.ts';

/** Which objects of a list or watch are wanted. */
export interface SelectionPredicate {
  /** True: every object matches, `matches` need not be asked. */
  readonly everything: boolean;
  matches(object: KubeObject): boolean;
  /** The only name that can match, where a field selector says so. */
  readonly name?: string;
  /** The only value that the resource's trigger field (pods: spec.nodeName) can have in a match. */
  readonly trigger?: string;
}

export const matchEverything: SelectionPredicate = { everything: true, matches: () => true };

export type ResourceVersionMatch = '' | 'Exact' | 'NotOlderThan';

/**
 * How fresh a read must be. `''`: as fresh as the moment of the call. `'0'`: anything, the older the cheaper. A number:
 * with match `Exact` the state at that revision, else that or any later one; a number ahead of the store gives 504
 * "Too large resource version" after a short wait.
 */
export interface StorageListOptions {
  readonly resourceVersion: string;
  readonly resourceVersionMatch: ResourceVersionMatch;
  readonly predicate: SelectionPredicate;
  /** At most so many; 0 is all. */
  readonly limit: number;
  readonly continue: string;
  /** Below this key prefix of the resource: `<namespace>/`, or empty for all. */
  readonly prefix: string;
}

export interface StorageList {
  readonly items: readonly Stored[];
  readonly revision: number;
  readonly continue: string;
  readonly remainingItemCount: number | undefined;
}

export interface StorageWatchOptions {
  readonly prefix: string;
  readonly predicate: SelectionPredicate;
  /**
   * `''`: the state of now as ADDED events, then changes. `'0'`: the same from any state at hand. A number: only what came after it;
   * 410 when that history is gone; a number of the future is silent until it is reached.
   */
  readonly resourceVersion: string;
  readonly bookmarks: boolean;
  /**
   * True: start with the state (at least as new as resourceVersion) as ADDED events and a bookmark that ends them. False: never.
   * Undefined: as resourceVersion says, without the bookmark.
   */
  readonly sendInitialEvents: boolean | undefined;
  /** For the last bookmark before the end; 0 when open. */
  readonly timeoutSeconds: number;
}

export interface UpdateState {
  /** Undefined: the key does not exist. */
  readonly existing: Stored | undefined;
}

/** The next state of a key. `ttlSeconds` 0 is for ever. */
export interface UpdateOutput {
  readonly object: KubeObject;
  readonly ttlSeconds?: number;
}

export interface StorageWriteResult {
  readonly stored: Stored;
  /** False when the object was equal to what is stored: nothing was written, no event follows. */
  readonly written: boolean;
}

/**
 * Objects of one resource, by key (`<namespace>/<name>`, or `<name>`). The resourceVersion of an object is the store's revision of its last
 * write. Objects go in as storage-version objects whose metadata.resourceVersion is ignored, and come out frozen.
 *
 * Staleness: writes compare-and-swap against the newest state. Reads through the plain storage are linearizable unless the
 * options allow less; reads through the cacher give the same guarantees by asking the store for its revision.
 *
 * Errors: StorageError for outcomes, StatusError for refusals in Kubernetes' words (410, 504), KeyValueError from below.
 */
export interface Storage {
  create(key: string, object: KubeObject, ttlSeconds: number): Promise<Stored>;
  get(key: string, options: { readonly resourceVersion: string }): Promise<Stored>;
  list(options: StorageListOptions): Promise<StorageList>;
  watch(options: StorageWatchOptions): Promise<WatchStream>;
  /**
   * Deletes when the preconditions hold and `validate` does not throw, both checked against the state that is deleted.
   * Gives the last state, with the resourceVersion of the deletion.
   */
  delete(
    key: string,
    preconditions: Preconditions | undefined,
    validate: (existing: Stored) => Promise<void> | void,
  ): Promise<Stored>;
  /**
   * Reads, asks `tryUpdate` for the next state, and writes it if nobody was faster; else again with the newer state. `tryUpdate` must not have
   * effects. It may first see a cached, older state; what it throws on that is not believed until it was asked with a fresh one.
   */
  guaranteedUpdate(
    key: string,
    options: { readonly mustExist: boolean; readonly preconditions: Preconditions | undefined },
    tryUpdate: (state: UpdateState) => Promise<UpdateOutput> | UpdateOutput,
  ): Promise<StorageWriteResult>;
  /** Linearizable. */
  currentRevision(): Promise<number>;
  count(): Promise<number>;
}

/** Throws StorageError when `existing` does not meet the preconditions; texts as upstream's Preconditions.Check. */
export type PreconditionCheck = (
  key: string,
  preconditions: Preconditions | undefined,
  existing: KubeObject,
) => void;
