import type { Clock, Logger, Random } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { apiVersionOf } from '@pilothouse/apimachinery';
import type { BuiltinResource } from '@pilothouse/api';
import {
  builtinResources,
  builtinSchemas,
  featureGates,
  strategyFor,
  withoutPrivileged,
} from '@pilothouse/api';
import { DefinitionStore } from '../apiextensions/definition-store.ts';
import { deepClone } from '../storage/deep.ts';
import type { KeyValueStore } from '../storage/key-value-store.ts';
import { builtinCodec } from './codecs.ts';
import { horizontalPodAutoscalerV1 } from './autoscaling/horizontal-pod-autoscaler.ts';
import { selfSubjectReview, tokenReview } from './authentication/reviews.ts';
import type { ReviewAnswer } from './authorization/reviews.ts';
import { accessReview, rulesReview } from './authorization/reviews.ts';
import { priorityClassHooks } from './scheduling/priority-class.ts';
import { jobHooks } from './batch/job.ts';
import { componentStatusStore } from './core/component-status.ts';
import { eventsV1, eventTtlSeconds } from './core/event.ts';
import { NamespaceStore } from './core/namespace/namespace-store.ts';
import { BindingStore } from './core/pod/binding.ts';
import { EvictionStore } from './core/pod/eviction.ts';
import { connectStore } from './core/connect.ts';
import { IpAllocator } from './core/service/ip-allocator.ts';
import { PortAllocator } from './core/service/port-allocator.ts';
import { serviceHooks } from './core/service/service-hooks.ts';
import { TokenStore } from './core/serviceaccount/token.ts';
import type { RegistryDelegates } from './delegates.ts';
import { resourceDescriptor, subresourceDescriptor } from './descriptors.ts';
import type { ConvertVersion } from './generic/builtin-field-tracker.ts';
import { builtinFieldTracker } from './generic/builtin-field-tracker.ts';
import { claimHooks, claimTemplateHooks } from './resource/claim-hooks.ts';
import type { VersionConversion } from './generic/converted-store.ts';
import { ConvertedStore } from './generic/converted-store.ts';
import type { FieldTracker } from './generic/field-tracker.ts';
import { ReviewStore } from './generic/review-store.ts';
import { ScaleStore } from './generic/scale.ts';
import type { RegistryServices } from './generic/services.ts';
import { GenericStore } from './generic/store.ts';
import type { StoreHooks } from './generic/store-options.ts';
import { SubresourceStore } from './generic/subresource-store.ts';
import { DirectClient } from './internal-client.ts';
import type {
  CachedResource,
  CacheView,
  InternalClient,
  Registry,
  RestStorage,
} from './rest/rest-storage.ts';
import type { ServedVersions } from './rest/served-versions.ts';
import type { OpenedStorage } from './storage-factory.ts';
import { StorageFactory } from './storage-factory.ts';

export interface RegistryOptions {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /** Whether this resource is served (--runtime-config); default: what a stock server serves. */
  readonly isServed?: (resource: BuiltinResource) => boolean;
  /** Feature gates told to the server; the others have their default. */
  readonly featureGates?: Readonly<Record<string, boolean>>;
  /** --service-cluster-ip-range: one CIDR, or one of each family. */
  readonly serviceCidrs?: readonly string[];
  /** --service-node-port-range. */
  readonly nodePorts?: { readonly base: number; readonly size: number };
  /** --etcd-prefix with both slashes. */
  readonly etcdRoot?: string;
  readonly eventTtlSeconds?: number;
  /** False: pods with privileged containers are invalid. Default true. */
  readonly allowPrivileged?: boolean;
  /** May be filled in later: see {@link RegistryDelegates}. */
  readonly delegates?: RegistryDelegates;
}

/** The registry of a server, and the means to fill and end it. */
export interface ApiRegistry extends Registry {
  readonly client: InternalClient;
  readonly delegates: RegistryDelegates;
  readonly factory: StorageFactory;
  readonly services: RegistryServices;
  /** Ranges of cluster IPs, the first is the one of the `kubernetes` Service. */
  readonly serviceCidrs: readonly string[];
  /** Fills all watch caches; resolves when they are. */
  start(): Promise<void>;
  /** True once every watch cache has been filled. */
  readonly synced: boolean;
  /** Ends watches; the store stays open. */
  close(): void;
}

/** DELETE of these answers with the object that is gone. */
const returnsDeletedObject = new Set([
  '/pods',
  '/services',
  '/serviceaccounts',
  '/resourcequotas',
  '/podtemplates',
  '/persistentvolumes',
  '/persistentvolumeclaims',
  'apiextensions.k8s.io/customresourcedefinitions',
  'resource.k8s.io/deviceclasses',
  'resource.k8s.io/resourceclaims',
  'resource.k8s.io/resourceclaimtemplates',
  'resource.k8s.io/resourceslices',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/csinodes',
  'storage.k8s.io/storageclasses',
  'storage.k8s.io/volumeattachments',
  'storage.k8s.io/volumeattributesclasses',
]);

/** Builds the storages of all built-in resources that are served. */
export function createRegistry(options: RegistryOptions): ApiRegistry {
  return new BuiltinRegistry(options);
}

class BuiltinRegistry implements ApiRegistry {
  readonly client: InternalClient;
  readonly delegates: RegistryDelegates;
  readonly factory: StorageFactory;
  readonly services: RegistryServices;
  readonly serviceCidrs: readonly string[];
  readonly #options: RegistryOptions;
  readonly #storages = new Map<string, RestStorage>();
  readonly #opened = new Map<string, OpenedStorage>();
  readonly #generic = new Map<string, GenericStore>();
  #synced = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.delegates = options.delegates ?? {};
    this.serviceCidrs = options.serviceCidrs ?? ['10.0.0.0/24'];
    const gates = options.featureGates ?? {};
    this.services = {
      clock: options.clock,
      random: options.random,
      logger: options.logger ?? silentLogger,
      featureEnabled: (gate) => gates[gate] ?? featureGates[gate]?.default ?? false,
    };
    this.factory = new StorageFactory(options.store, this.services, options.etcdRoot);
    this.client = new DirectClient(
      (group, version, resource, subresource) => this.storage(group, version, resource, subresource),
      (group, resource) => this.#view(group, resource),
      options.clock,
    );
    const isServed = options.isServed ?? ((resource) => resource.served === 'default');
    const served = builtinResources.filter((resource) => isServed(resource));
    // Storages first: subresources and reviews may use those of other resources.
    for (const resource of served) if (resource.storage !== undefined) this.#openStored(resource);
    for (const resource of served) this.#install(resource);
    shareVersions(this.#storages.values());
  }

  get cached(): ReadonlyMap<string, CachedResource> {
    return this.factory.cached;
  }

  get storages(): Iterable<RestStorage> {
    return this.#storages.values();
  }

  get synced(): boolean {
    return this.#synced;
  }

  storage(group: string, version: string, resource: string, subresource = ''): RestStorage | undefined {
    return this.#storages.get(storageKey(group, version, resource, subresource));
  }

  async start(): Promise<void> {
    await Promise.all([...this.#opened.values()].map((opened) => opened.start()));
    this.#synced = true;
  }

  close(): void {
    this.factory.close();
  }

  #view(group: string, resource: string): CacheView | undefined {
    return this.#opened.get(`${group}/${resource}`)?.view;
  }

  /** The store of a resource in the version it is kept in memory; the other versions are views of it. */
  #openStored(resource: BuiltinResource): void {
    const [group, version] = memoryVersion(resource);
    const id = `${group}/${resource.plural}`;
    if (this.#generic.has(id)) return;
    const storedVersion = resource.storage?.[1] ?? version;
    const hasSchema = builtinSchemas.kind(group, storedVersion, resource.kind) !== undefined;
    const codec = builtinCodec(group, version, resource.kind, {
      version: hasSchema ? storedVersion : version,
      ...(id === 'apps/statefulsets' ? { decode: nameClaimTemplates } : {}),
    });
    const typeMeta = { apiVersion: apiVersionOf(group, version), kind: resource.kind };
    const trigger =
      id === '/pods'
        ? (pod: KubeObject): string => (pod['spec']?.nodeName as string | undefined) ?? ''
        : undefined;
    const opened = this.factory.open({
      etcdPrefix: resource.etcdPrefix ?? resource.plural,
      groupResource: { group, resource: resource.plural },
      codec,
      typeMeta,
      trigger,
      refusesAsStore: id === '/events',
    });
    this.#opened.set(id, opened);
    const descriptor = { ...resourceDescriptor(resource), group, version };
    const full = strategyFor(group, resource.plural, version, resource.kind);
    const strategy = this.#options.allowPrivileged === false ? withoutPrivileged(full) : full;
    const storeOptions = {
      resource: descriptor,
      strategy,
      storage: opened.storage,
      codec,
      prefix: opened.prefix,
      services: this.services,
      tracker: this.#tracker(group, version, resource.kind),
      hooks: this.#hooks(id),
      returnsDeletedObject: returnsDeletedObject.has(id),
      triggerField: id === '/pods' ? 'spec.nodeName' : undefined,
    };
    this.#generic.set(
      id,
      id === '/namespaces'
        ? new NamespaceStore(storeOptions)
        : id === 'apiextensions.k8s.io/customresourcedefinitions'
          ? new DefinitionStore(storeOptions)
          : new GenericStore(storeOptions),
    );
  }

  #hooks(id: string): StoreHooks | undefined {
    if (id === '/events') {
      const ttl = this.#options.eventTtlSeconds ?? eventTtlSeconds;
      return { ttlSeconds: () => ttl };
    }
    if (id === 'batch/jobs') return jobHooks;
    const namespaces = (): CacheView | undefined => this.#view('', 'namespaces');
    if (id === 'resource.k8s.io/resourceclaims')
      return claimHooks(namespaces, this.delegates, (gate) => this.services.featureEnabled(gate));
    if (id === 'resource.k8s.io/resourceclaimtemplates') return claimTemplateHooks(namespaces);
    if (id === 'scheduling.k8s.io/priorityclasses') return priorityClassHooks;
    if (id !== '/services') return undefined;
    const { random, logger } = this.services;
    const ips = new IpAllocator(() => this.client, this.serviceCidrs, random, logger);
    const codec = builtinCodec('', 'v1', 'RangeAllocation', { version: 'v1' });
    const typeMeta = { apiVersion: 'v1', kind: 'RangeAllocation' };
    const ranges = this.factory.openUncached({ etcdPrefix: 'ranges', codec, typeMeta });
    const { base, size } = this.#options.nodePorts ?? { base: 30000, size: 2768 };
    return serviceHooks(ips, new PortAllocator(ranges, base, size, random));
  }

  #tracker(group: string, version: string, kind: string): FieldTracker | undefined {
    return builtinFieldTracker(builtinSchemas, { group, version, kind }, conversionsOf(kind));
  }

  #install(resource: BuiltinResource): void {
    const descriptor = resourceDescriptor(resource);
    if (resource.storage === undefined) {
      this.#add(this.#virtual(resource));
      return;
    }
    const [group, version] = memoryVersion(resource);
    const store = this.#generic.get(`${group}/${resource.plural}`) as GenericStore;
    const view = (storage: GenericStore | SubresourceStore, target: typeof descriptor): RestStorage => {
      const own = builtinCodec(resource.group, resource.version, resource.kind, {
        version: resource.version,
      });
      const conversion = conversionOf(resource.kind);
      const tracker = this.#tracker(resource.group, resource.version, resource.kind);
      return new ConvertedStore(storage, target, own, conversion, tracker);
    };
    const isView = group !== resource.group || version !== resource.version;
    this.#add(isView ? view(store, descriptor) : store);
    for (const sub of resource.subresources) {
      if (sub.gate !== undefined && !this.services.featureEnabled(sub.gate)) continue;
      const target = subresourceDescriptor(resource, sub);
      const storage = this.#subresource(store, target);
      this.#add(isView && storage instanceof SubresourceStore ? view(storage, target) : storage);
    }
  }

  #subresource(store: GenericStore, target: ReturnType<typeof subresourceDescriptor>): RestStorage {
    const { subresource } = target;
    const codecOf = (): ReturnType<typeof builtinCodec> => {
      const { group, version, kind } = target.responseKind ?? target;
      return builtinCodec(group, version, kind, { version });
    };
    switch (subresource) {
      case 'scale':
        return new ScaleStore(store, target, codecOf(), this.#tracker('autoscaling', 'v1', 'Scale'));
      case 'token':
        return new TokenStore(store, target, codecOf(), this.delegates);
      case 'binding':
        return new BindingStore(store, target);
      case 'eviction':
        return new EvictionStore(store, () => this.#generic.get('policy/poddisruptionbudgets'), target);
      case 'log':
      case 'exec':
      case 'attach':
      case 'portforward':
      case 'proxy':
        return connectStore(target, { client: this.client, delegates: this.delegates });
      default:
        return new SubresourceStore(store, target);
    }
  }

  /** Resources with nothing behind them in the store. */
  #virtual(resource: BuiltinResource): RestStorage {
    const descriptor = resourceDescriptor(resource);
    const review = (answer: ReviewAnswer): RestStorage =>
      new ReviewStore(
        descriptor,
        builtinCodec(resource.group, resource.version, resource.kind, { version: resource.version }),
        answer,
      );
    switch (resource.plural) {
      case 'bindings':
        return new BindingStore(this.#generic.get('/pods') as GenericStore, descriptor);
      case 'componentstatuses':
        return componentStatusStore(descriptor, this.#options.store, this.delegates);
      case 'tokenreviews':
        return review(tokenReview(this.delegates));
      case 'selfsubjectreviews':
        return review(selfSubjectReview(this.delegates));
      case 'subjectaccessreviews':
        return review(accessReview('subject', this.delegates));
      case 'localsubjectaccessreviews':
        return review(accessReview('local', this.delegates));
      case 'selfsubjectaccessreviews':
        return review(accessReview('self', this.delegates));
      case 'selfsubjectrulesreviews':
        return review(rulesReview(this.delegates));
      default:
        throw new Error(`Cannot serve ${resource.plural}: nothing stores or answers it`);
    }
  }

  #add(storage: RestStorage): void {
    const { group, version, resource, subresource } = storage.resource;
    this.#storages.set(storageKey(group, version, resource, subresource), storage);
  }
}

/** Tells the storages of resources that are served in two versions of each other. */
function shareVersions(storages: Iterable<RestStorage>): void {
  const families = new Map<string, RestStorage[]>();
  for (const storage of storages) {
    const { resource, kind, subresource, bodyKind } = storage.resource;
    if (bodyKind !== undefined || conversionsOf(kind) === undefined) continue;
    const key = `${resource}/${subresource}`;
    families.set(key, [...(families.get(key) ?? []), storage]);
  }
  for (const family of families.values()) {
    if (family.length < 2) continue;
    const convert = conversionsOf((family[0] as RestStorage).resource.kind) as ConvertVersion;
    const versions: ServedVersions = {
      members: family.map(({ resource: { group, version, resource, kind } }) => ({
        resource: { group, version, resource },
        kind: { group, version, kind },
      })),
      convert: (object, { group, version }) =>
        Promise.resolve(deepClone(convert(object, apiVersionOf(group, version)))),
    };
    for (const storage of family) Object.assign(storage, { versions });
  }
}

function storageKey(group: string, version: string, resource: string, subresource: string): string {
  return `${group}/${version}/${resource}/${subresource}`;
}

/**
 * Group and version in which objects of a resource are held. That is the served one, whatever the version in the store, except
 * for the kinds that are served in two: those are held in the version that loses nothing.
 */
function memoryVersion(resource: BuiltinResource): readonly [group: string, version: string] {
  if (resource.plural === 'events') return ['', 'v1'];
  if (resource.plural === 'horizontalpodautoscalers') return ['autoscaling', 'v2'];
  return [resource.group, resource.version];
}

/** Between the two versions of the kinds that are served in two. */
const conversionOf = (kind: string): VersionConversion =>
  kind === 'Event' ? eventsV1 : horizontalPodAutoscalerV1;

/** The same, to the version asked for. */
function conversionsOf(kind: string): ConvertVersion | undefined {
  if (kind !== 'Event' && kind !== 'HorizontalPodAutoscaler') return undefined;
  const conversion = conversionOf(kind);
  const stored = kind === 'Event' ? 'v1' : 'autoscaling/v2';
  return (object, apiVersion) => {
    if (object.apiVersion === apiVersion) return object;
    return apiVersion === stored ? conversion.toStored(object) : conversion.fromStored(object);
  };
}

/** Protobuf has no place for the kind of an embedded object; JSON shows it. */
function nameClaimTemplates(set: KubeObject): KubeObject {
  for (const claim of (set['spec']?.volumeClaimTemplates ?? []) as Record<string, unknown>[]) {
    claim['kind'] ??= 'PersistentVolumeClaim';
    claim['apiVersion'] ??= 'v1';
  }
  return set;
}
