import type { Duplex } from 'node:stream';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GroupVersionKind, KubeObject, Status } from '@pilothouse/apimachinery';
import type { ResourceStrategy } from '@pilothouse/api';
import type { ServedVersions } from './served-versions.ts';

/** Who asks, after authentication and impersonation. */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/**
 * What a storage may know of the request. The request context of the HTTP layer has these members and more; in-process
 * callers ({@link InternalClient}) make one of their own.
 */
export interface RestContext {
  readonly user: UserInfo;
  /** Verb of the request, as authorizers are asked; absent for in-process callers. */
  readonly verb?: string;
  /** Namespace of the path; empty for cluster-scoped resources and for all namespaces. */
  readonly namespace: string;
  /** RFC 3339, UTC, whole seconds. */
  readonly now: string;
  /** The same instant with microseconds. */
  readonly nowMicro: string;
  /** True when nothing may be stored (`?dryRun=All` or the same in the options of the body). */
  readonly dryRun: boolean;
  /** apiVersion of the request when the storage keeps the kind in another one. */
  readonly requestVersion?: string;
  /** Name for managedFields; empty when the request gave none and has no user agent. */
  readonly fieldManager: string;
  /** A `Warning: 299` header of the answer. */
  addWarning(text: string): void;
  /** Whether the client went away or the request's time is over. */
  isAborted(): boolean;
}

/**
 * One stored object with its encodings. Shared by all readers: never change anything reachable from it.
 * An object made for an answer only (a dry run, a Scale) has revision 0 where no write stands behind it.
 */
export interface Stored {
  /** Storage key below the resource's prefix, `<namespace>/<name>` or `<name>`; empty when the object was made for the answer only. */
  readonly key: string;
  /** Revision of the store at which the object got this state. */
  readonly revision: number;
  /** Deep frozen; has apiVersion, kind and metadata.resourceVersion. */
  readonly object: KubeObject;
  /** UTF-8 JSON without a line end, made at most once. */
  json(): Uint8Array;
  /**
   * A view of the same bytes as an item of a typed list: behind `{"kind":…,"apiVersion":…,`. The writer puts `{` (or `,{`) before it.
   * Items of lists of custom resources keep kind and apiVersion: use {@link json} there.
   */
  listItemJson(): Uint8Array;
  /** The `k8s\0` envelope, made at most once; undefined when the kind has no protobuf form. */
  protobuf(): Uint8Array | undefined;
  /** A view of the message inside the envelope: an item of a list message. */
  listItemProtobuf(): Uint8Array | undefined;
}

/** Options of GET, LIST, WATCH and DELETE of a collection, parsed from the query. Empty strings mean absent. */
export interface ListOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: '' | 'Exact' | 'NotOlderThan';
  readonly limit?: number;
  readonly continue?: string;
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
  /** The watch is closed by the handler after this time; the storage uses it to place a last bookmark before. */
  readonly timeoutSeconds?: number;
}

export interface ListResult {
  /** In key order. May be iterated once or more; holds no locks and stays as it was at {@link resourceVersion}. */
  readonly items: Iterable<Stored>;
  readonly resourceVersion: string;
  /** Token of the next page; empty at the end. */
  readonly continue: string;
  /** How many follow after this page; undefined when unknown (selectors) or none. */
  readonly remainingItemCount?: number;
}

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: Stored }
  | { readonly type: 'ERROR'; readonly status: Status };

/**
 * A cursor on the log of changes. `next` gives all events that are ready (at least one, bounded by the watcher's buffer),
 * waits when there are none, and gives undefined once the stream has ended. One `next` at a time. A reader that does not
 * come back for too long is ended by the storage; others do not notice.
 */
export interface WatchStream {
  next(): Promise<readonly WatchEvent[] | undefined>;
  /** Ends the stream; a waiting `next` gives undefined. May be called any number of times. */
  close(): void;
  [Symbol.asyncIterator](): AsyncIterator<WatchEvent>;
}

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

/**
 * Admission as the storage calls it, made by the handler from the chain and the request. `admit` returns the object to go on
 * with (plugins may replace it) and is called with an object of its own that may be changed; `validate` sees frozen or
 * final objects and throws StatusError to refuse. For DELETE `object` is undefined and `old` is the object to go; for
 * CREATE `old` is undefined. `name` is given when it differs from that of the request (collections, generated names).
 */
export interface AdmissionHooks {
  admit(
    operation: Operation,
    object: KubeObject | undefined,
    old: KubeObject | undefined,
    name?: string,
  ): Promise<KubeObject | undefined>;
  validate(
    operation: Operation,
    object: KubeObject | undefined,
    old: KubeObject | undefined,
    name?: string,
  ): Promise<void>;
}

/** Admission that lets everything pass: for in-process writes. */
export const noAdmission: AdmissionHooks = {
  admit: (_operation, object) => Promise.resolve(object),
  validate: () => Promise.resolve(),
};

/** How a write changes managedFields. `none` leaves what the object says (apply has done it already, or in-process repairs). */
export type FieldTracking = 'update' | 'none';

export interface CreateOptions {
  readonly dryRun?: readonly string[];
  readonly fieldManager?: string;
  readonly fieldTracking?: FieldTracking;
}

export interface UpdateOptions extends CreateOptions {
  /** Create a missing object even where the strategy does not allow it (server-side apply). */
  readonly forceAllowCreate?: boolean;
}

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/**
 * Where the new object of an update comes from, so that PUT, PATCH and apply share one path. Called again with the newer
 * object whenever the write lost a race, so it must not remember its earlier answer.
 */
export interface UpdatedObjectInfo {
  /** Checked against the stored object before anything else. For a PUT: the uid of the body. */
  readonly preconditions?: Preconditions;
  /**
   * Gives the new object (a fresh one, may be changed by the storage). `existing` is frozen and undefined when there is none and the
   * object may be created. For a PUT the body's resourceVersion decides the conflict; a PATCH keeps that of `existing`.
   */
  updatedObject(context: RestContext, existing: KubeObject | undefined): Promise<KubeObject> | KubeObject;
}

export interface DeleteOptions {
  readonly dryRun?: readonly string[];
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: Preconditions;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  /** Before propagationPolicy there was this; both together are refused by validation of the options. */
  readonly orphanDependents?: boolean;
  readonly ignoreStoreReadErrorWithClusterBreakingPotential?: boolean;
}

export interface DeleteResult {
  /** The object (its last state, or with its deletionTimestamp) or a Success Status. */
  readonly object: Stored | Status;
  /** False: the deletion only started (finalizers, grace period); the handler answers 202 when it was told to wait (orphan/foreground), else 200. */
  readonly immediate: boolean;
}

/** The stream behind exec, attach, port-forward, log and proxy: takes over the HTTP exchange, upgrade included. */
export interface ConnectHandler {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Absent: the connection cannot be upgraded. */
  upgrade?(request: IncomingMessage, socket: Duplex, head: Uint8Array): void;
}

/** What discovery, the installer and messages need to know. */
export interface ResourceDescriptor {
  readonly group: string;
  readonly version: string;
  /** Plural, lower case, without the subresource: `pods`. */
  readonly resource: string;
  readonly subresource: string;
  readonly singularName: string;
  /** Of the object that the path answers with: `Pod` for pods, `Scale` for deployments/scale. */
  readonly kind: string;
  /** Kind of lists where it is not {@link kind} with `List` behind it. */
  readonly listKind?: string;
  /** Group and version of {@link kind} where they differ from those of the path (`autoscaling/v1` for Scale). */
  readonly responseKind?: GroupVersionKind;
  /** Kind of the body of a create where it differs from the answer. */
  readonly bodyKind?: GroupVersionKind;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Discovery shows it for listable resources. */
  readonly storageVersionHash?: string;
}

/** Columns of Table answers. */
export type TableSource = Pick<ResourceStrategy, 'columns' | 'cells'>;

/**
 * One resource or subresource in one version. Only the members of the verbs it has are present. Every error is a StatusError.
 * Objects are in the version of {@link resource}: the storage converts. `name` is never checked by the caller.
 */
export interface RestStorage {
  readonly resource: ResourceDescriptor;
  /** Hooks of the kind; the handler uses the columns and resetFields of it. */
  readonly strategy?: ResourceStrategy;
  /** Table columns of a kind that has no strategy of its own (Scale, custom resources). */
  readonly table?: TableSource;
  /** The Warning that every answer of a deprecated version carries (custom resources). */
  readonly deprecation?: string;
  /** Absent where the resource is served in one version only. */
  readonly versions?: ServedVersions;
  /** Defaults a decoded body in place, in the version of {@link resource}. */
  defaults?(object: KubeObject): void;

  get?(context: RestContext, name: string, options: { readonly resourceVersion?: string }): Promise<Stored>;
  list?(context: RestContext, options: ListOptions): Promise<ListResult>;
  watch?(context: RestContext, options: ListOptions): Promise<WatchStream>;
  /** `name` is empty for a create on the collection; subresources (binding, eviction, token) get the parent's name. */
  create?(
    context: RestContext,
    name: string,
    object: KubeObject,
    options: CreateOptions,
    admission: AdmissionHooks,
  ): Promise<Stored | Status>;
  update?(
    context: RestContext,
    name: string,
    info: UpdatedObjectInfo,
    options: UpdateOptions,
    admission: AdmissionHooks,
  ): Promise<{ readonly object: Stored; readonly created: boolean }>;
  delete?(
    context: RestContext,
    name: string,
    options: DeleteOptions,
    admission: AdmissionHooks,
  ): Promise<DeleteResult>;
  deleteCollection?(
    context: RestContext,
    options: DeleteOptions,
    list: ListOptions,
    admission: AdmissionHooks,
  ): Promise<ListResult>;
  /**
   * `path` is what follows the subresource (proxy), `query` the raw query parameters.
   * Throws StatusError before anything was sent.
   */
  connect?(context: RestContext, name: string, path: string, query: URLSearchParams): Promise<ConnectHandler>;
}

/** A frozen, synchronous view of a resource's watch cache. */
export interface CacheView {
  /** Empty namespace: all. In key order. May lag behind the store by the watch's delay. */
  list(namespace?: string): Iterable<KubeObject>;
  get(namespace: string, name: string): KubeObject | undefined;
  /** False until the first list came in; then `list` and `get` see nothing. */
  readonly synced: boolean;
  /** Number and average size of the objects, and the open watches; for estimates. */
  stats?(): { readonly count: number; readonly averageBytes: number; readonly watchers: number };
}

/** A resource with a watch cache, for those who count. Custom resources too. */
export interface CachedResource {
  readonly group: string;
  readonly resource: string;
  readonly view: CacheView;
}

/**
 * The API as plugins, authorizers and hooks inside the server use it: straight on the storages, as user `system:apiserver`,
 * without admission. Reads come from the watch cache. Errors are StatusError, NotFound for an unknown resource.
 */
export interface InternalClient {
  get(group: string, version: string, resource: string, namespace: string, name: string): Promise<KubeObject>;
  list(
    group: string,
    version: string,
    resource: string,
    namespace?: string,
    options?: ListOptions,
  ): Promise<KubeObject[]>;
  watch(group: string, version: string, resource: string, options?: ListOptions): Promise<WatchStream>;
  create(group: string, version: string, resource: string, object: KubeObject): Promise<KubeObject>;
  /** Unconditional when the object has no resourceVersion. `subresource`: for example `status`. */
  update(
    group: string,
    version: string,
    resource: string,
    object: KubeObject,
    subresource?: string,
  ): Promise<KubeObject>;
  delete(
    group: string,
    version: string,
    resource: string,
    namespace: string,
    name: string,
    options?: DeleteOptions,
  ): Promise<void>;
  /** The storage itself, for what the methods above do not give; undefined when not served. */
  storage(group: string, version: string, resource: string, subresource?: string): RestStorage | undefined;
  /** Undefined when the resource is not served. */
  watchCache(group: string, resource: string): CacheView | undefined;
}

/** All storages of the server, for the installer and discovery. Custom resources are added and removed while it runs. */
export interface Registry {
  /** Undefined when not served. */
  storage(group: string, version: string, resource: string, subresource?: string): RestStorage | undefined;
  /** Every storage in discovery order (main resources followed by their subresources). */
  readonly storages: Iterable<RestStorage>;
  readonly client: InternalClient;
  /** By `group/resource`. Absent: nobody counts. */
  readonly cached?: ReadonlyMap<string, CachedResource>;
}

/** The full plural with subresource, as discovery and audit write it: `pods/status`. */
export function resourcePath(resource: ResourceDescriptor): string {
  return resource.subresource === '' ? resource.resource : `${resource.resource}/${resource.subresource}`;
}
