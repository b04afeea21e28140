import type { KubeObject, Status } from '@pilothouse/apimachinery';
import { noteGivenEmpty, shownMember, StatusError } from '@pilothouse/apimachinery';
import type { ResourceStrategy } from '@pilothouse/api';
import type { ObjectCodec } from '../../storage/stored-object.ts';
import { StoredObject } from '../../storage/stored-object.ts';
import { deepClone } from '../../storage/deep.ts';
import { mapWatchStream } from '../../storage/watch-queue.ts';
import type { FieldTracker } from './field-tracker.ts';
import type {
  AdmissionHooks,
  CreateOptions,
  DeleteOptions,
  DeleteResult,
  ListOptions,
  ListResult,
  ResourceDescriptor,
  RestContext,
  RestStorage,
  Stored,
  TableSource,
  UpdatedObjectInfo,
  UpdateOptions,
  WatchStream,
} from '../rest/rest-storage.ts';

/** Between the stored version of a kind and another one. Each function gives a new object with its apiVersion and kind set. */
export interface VersionConversion {
  toStored(object: KubeObject): KubeObject;
  fromStored(object: KubeObject): KubeObject;
  /** Field selectors of this version in the words of the stored one. */
  fieldSelector?(text: string): string;
}

/** A version of a resource whose objects are kept in another one (upstream's shared storage). */
export class ConvertedStore implements RestStorage {
  readonly resource: ResourceDescriptor;
  readonly strategy: ResourceStrategy;
  /** Rows are made of the stored version. */
  readonly table: TableSource;
  readonly #stored: RestStorage;
  /** In the words of this version, for server-side apply. */
  readonly tracker: FieldTracker | undefined;
  readonly #codec: ObjectCodec;
  readonly #conversion: VersionConversion;
  readonly #views = new WeakMap<Stored, Stored>();

  constructor(
    stored: RestStorage & { readonly strategy: ResourceStrategy },
    resource: ResourceDescriptor,
    codec: ObjectCodec,
    conversion: VersionConversion,
    tracker?: FieldTracker,
  ) {
    this.tracker = tracker;
    this.#stored = stored;
    this.resource = resource;
    this.#codec = codec;
    this.#conversion = conversion;
    this.strategy = stored.strategy;
    const { columns, cells } = stored.strategy;
    this.table = {
      columns: columns ?? [],
      cells: (object, nowMs) => cells?.call(stored.strategy, conversion.toStored(object), nowMs) ?? [],
    };
    const members = ['get', 'list', 'watch', 'create', 'update', 'delete', 'deleteCollection'] as const;
    for (const member of members) {
      // Which verbs a storage has shows in its members.
      if (stored[member] === undefined) Object.defineProperty(this, member, { value: undefined });
    }
  }

  defaults(object: KubeObject): void {
    // Defaults are those of the stored version: there and back.
    const stored = this.#conversion.toStored(deepClone(object));
    this.#stored.defaults?.(stored);
    const back = this.#conversion.fromStored(stored);
    for (const member of Object.keys(object)) if (!(member in back)) delete object[member];
    const forgets = shownMember(object.metadata, 'managedFields');
    Object.assign(object, back);
    // Copies know nothing of what was given as empty, and an empty list of managers is a wish.
    if (Array.isArray(forgets) && forgets.length === 0)
      noteGivenEmpty(object.metadata, 'managedFields', forgets);
  }

  async get(
    context: RestContext,
    name: string,
    options: { readonly resourceVersion?: string },
  ): Promise<Stored> {
    return this.#view(await this.#told(this.#stored.get!(context, name, options)));
  }

  async list(context: RestContext, options: ListOptions): Promise<ListResult> {
    const list = await this.#told(this.#stored.list!(context, this.#options(options)));
    return { ...list, items: [...list.items].map((item) => this.#view(item)) };
  }

  async watch(context: RestContext, options: ListOptions): Promise<WatchStream> {
    const stream = await this.#stored.watch!(context, this.#options(options));
    return mapWatchStream(stream, (event) => {
      if (event.type === 'ERROR') return event;
      if (event.type !== 'BOOKMARK') return { type: event.type, object: this.#view(event.object) };
      const { metadata } = event.object.object;
      const object = { kind: this.resource.kind, apiVersion: this.#apiVersion, metadata: { ...metadata } };
      return { type: 'BOOKMARK', object: new StoredObject(this.#codec, '', event.object.revision, object) };
    });
  }

  async create(
    context: RestContext,
    name: string,
    object: KubeObject,
    options: CreateOptions,
    admission: AdmissionHooks,
  ): Promise<Stored | Status> {
    const stored = this.#conversion.toStored(this.#track(context, undefined, object, options));
    const created = await this.#told(
      this.#stored.create!(
        this.#inOwnVersion(context),
        name,
        stored,
        this.tracker === undefined ? options : { ...options, fieldTracking: 'none' },
        this.#admission(admission),
      ),
    );
    return 'object' in created ? this.#view(created) : created;
  }

  async update(
    context: RestContext,
    name: string,
    info: UpdatedObjectInfo,
    options: UpdateOptions,
    admission: AdmissionHooks,
  ): Promise<{ readonly object: Stored; readonly created: boolean }> {
    const converted: UpdatedObjectInfo = {
      ...(info.preconditions === undefined ? {} : { preconditions: info.preconditions }),
      updatedObject: async (inner, existing) => {
        const own = existing === undefined ? undefined : deepClone(this.#conversion.fromStored(existing));
        const updated = await info.updatedObject(inner, own);
        const live = existing === undefined ? undefined : this.#conversion.fromStored(existing);
        return this.#conversion.toStored(this.#track(context, live, updated, options));
      },
    };
    const result = await this.#told(
      this.#stored.update!(
        this.#inOwnVersion(context),
        name,
        converted,
        this.tracker === undefined ? options : { ...options, fieldTracking: 'none' },
        this.#admission(admission),
      ),
    );
    return { object: this.#view(result.object), created: result.created };
  }

  async delete(
    context: RestContext,
    name: string,
    options: DeleteOptions,
    admission: AdmissionHooks,
  ): Promise<DeleteResult> {
    const result = await this.#told(this.#stored.delete!(context, name, options, this.#admission(admission)));
    if (!('key' in result.object)) {
      const { details } = result.object;
      if (details === undefined) return result;
      const { group: _, ...rest } = details;
      const group = this.resource.group === '' ? {} : { group: this.resource.group };
      return { ...result, object: { ...result.object, details: { ...rest, ...group } } };
    }
    return { ...result, object: this.#view(result.object) };
  }

  async deleteCollection(
    context: RestContext,
    options: DeleteOptions,
    list: ListOptions,
    admission: AdmissionHooks,
  ): Promise<ListResult> {
    const result = await this.#told(
      this.#stored.deleteCollection!(context, options, this.#options(list), this.#admission(admission)),
    );
    return { ...result, items: [...result.items].map((item) => this.#view(item)) };
  }

  /** Errors of the stored version's group name the group of this one. */
  async #told<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      const { group, resource } = this.resource;
      if (!(error instanceof StatusError) || group === this.#stored.resource.group) throw error;
      const { status } = error;
      status.message = (status.message ?? '').replace(`${resource} "`, `${resource}.${group} "`);
      if (status.details?.kind === resource) status.details.group = group;
      throw error;
    }
  }

  #inOwnVersion(context: RestContext): RestContext {
    const requestVersion = this.#apiVersion;
    return { ...context, requestVersion, addWarning: (text) => context.addWarning(text) };
  }

  /** Who wrote which field is told in the words of the version that was written. */
  #track(
    context: RestContext,
    live: KubeObject | undefined,
    object: KubeObject,
    options: CreateOptions,
  ): KubeObject {
    if (this.tracker === undefined || options.fieldTracking === 'none') return object;
    const { subresource } = this.resource;
    const hooks = subresource === '' ? this.strategy : this.strategy.subresources?.[subresource];
    return this.tracker.update(live, object, {
      manager: context.fieldManager,
      subresource,
      now: context.now,
      resetFields: hooks?.resetFields ?? [],
    });
  }

  get #apiVersion(): string {
    const { group, version } = this.resource;
    return group === '' ? version : `${group}/${version}`;
  }

  #view(stored: Stored): Stored {
    let view = this.#views.get(stored);
    if (view === undefined) {
      const object = unfrozen(this.#conversion.fromStored(stored.object));
      view = new StoredObject(this.#codec, stored.key, stored.revision, object);
      this.#views.set(stored, view);
    }
    return view;
  }

  #options(options: ListOptions): ListOptions {
    const convert = this.#conversion.fieldSelector;
    if (convert === undefined || options.fieldSelector === undefined) return options;
    return { ...options, fieldSelector: convert(options.fieldSelector) };
  }

  /** Admission sees the version of the request. */
  #admission(admission: AdmissionHooks): AdmissionHooks {
    const view = (object: KubeObject | undefined): KubeObject | undefined =>
      object === undefined ? undefined : unfrozen(this.#conversion.fromStored(object));
    return {
      admit: async (operation, object, old, name) => {
        const admitted = await admission.admit(operation, view(object), view(old), name);
        return admitted === undefined ? undefined : this.#conversion.toStored(admitted);
      },
      validate: (operation, object, old, name) =>
        admission.validate(operation, view(object), view(old), name),
    };
  }
}

/** Metadata of its own, so that it can be stamped: conversions may share what they do not change. */
function unfrozen(object: KubeObject): KubeObject {
  return { ...object, metadata: { ...object.metadata } };
}
