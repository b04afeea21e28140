import type { GroupResource, KubeObject } from '@pilothouse/apimachinery';
import {
  apiVersionOf,
  fieldError,
  FieldPath,
  generateName,
  hasReason,
  StatusError,
  statusErrors,
} from '@pilothouse/apimachinery';
import type { ResourceStrategy, UpdateHooks } from '@pilothouse/api';
import { deepClone } from '../../storage/deep.ts';
import { interpretStorageError } from '../../storage/errors.ts';
import type { Storage, UpdateOutput } from '../../storage/interface.ts';
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
  UpdatedObjectInfo,
  UpdateOptions,
  WatchStream,
} from '../rest/rest-storage.ts';
import type { WritableStorage } from './dry-run.ts';
import { Deletion, EmptiedFinalizers } from './deletion.ts';
import { checkNew, dryRunStorage } from './dry-run.ts';
import type { FieldTracker } from './field-tracker.ts';
import { isDeleting } from './graceful-delete.ts';
import { dedupOwnerReferences, ensureNamespace, fillSystemFields, resourceVersionOf } from './object-meta.ts';
import { objectKey } from './object-name.ts';
import { selectionPredicate } from './selection.ts';
import type { Finish, GenericStoreOptions } from './store-options.ts';
import { keepManagedFieldsTime, WriteRules } from './write-rules.ts';

const optimisticLockText =
  'the object has been modified; please apply your changes to the latest version and try again';
const generateNameAttempts = 8;
const noFinish: Finish = () => undefined;

/** How an update is made: the main resource and each subresource have their own rules. */
export interface UpdatePath {
  readonly subresource: string;
  readonly hooks: UpdateHooks;
  /** Subresources never create. */
  readonly mayCreate: boolean;
}

/**
 * A resource over a {@link Storage}, as its strategy says (upstream's generic registry Store). Order on create: namespace, system fields,
 * managed fields, mutating admission, name, strategy, validation, validating admission, write.
 */
export class GenericStore implements RestStorage {
  readonly resource: ResourceDescriptor;
  readonly strategy: ResourceStrategy;
  readonly storage: Storage;
  readonly options: GenericStoreOptions;
  readonly groupResource: GroupResource;
  readonly tracker: FieldTracker | undefined;
  readonly #dryRun: WritableStorage;
  readonly #rules: WriteRules;
  readonly #deletion: Deletion;
  readonly #main: UpdatePath;

  constructor(options: GenericStoreOptions) {
    this.options = options;
    this.resource = options.resource;
    this.strategy = options.strategy;
    this.storage = options.storage;
    this.tracker = options.tracker;
    this.groupResource = { group: options.resource.group, resource: options.resource.resource };
    this.#dryRun = dryRunStorage(options.storage, options.codec, options.prefix);
    this.#rules = new WriteRules(options);
    this.#deletion = new Deletion(options, this.#dryRun);
    this.#main = { subresource: '', hooks: options.strategy, mayCreate: true };
  }

  get apiVersion(): string {
    return apiVersionOf(this.resource.group, this.resource.version);
  }

  defaults(object: KubeObject): void {
    this.strategy.defaults?.(object);
  }

  async get(
    context: RestContext,
    name: string,
    options: { readonly resourceVersion?: string },
  ): Promise<Stored> {
    return this.#translated(name, 'get', () =>
      this.storage.get(this.key(context, name), { resourceVersion: options.resourceVersion ?? '' }),
    );
  }

  async list(context: RestContext, options: ListOptions): Promise<ListResult> {
    const predicate = this.#predicate(options);
    const list = await this.#translated('', 'list', () =>
      this.storage.list({
        resourceVersion: options.resourceVersion ?? '',
        resourceVersionMatch: options.resourceVersionMatch ?? '',
        predicate,
        limit: options.limit ?? 0,
        continue: options.continue ?? '',
        prefix: this.#listPrefix(context),
      }),
    );
    return {
      items: list.items,
      resourceVersion: String(list.revision),
      continue: list.continue,
      ...(list.remainingItemCount === undefined ? {} : { remainingItemCount: list.remainingItemCount }),
    };
  }

  async watch(context: RestContext, options: ListOptions): Promise<WatchStream> {
    const predicate = this.#predicate(options);
    return this.#translated('', 'watch', () =>
      this.storage.watch({
        prefix: this.#listPrefix(context),
        predicate,
        resourceVersion: options.resourceVersion ?? '',
        bookmarks: options.allowWatchBookmarks ?? false,
        sendInitialEvents: options.sendInitialEvents,
        timeoutSeconds: options.timeoutSeconds ?? 0,
      }),
    );
  }

  async create(
    context: RestContext,
    _name: string,
    given: KubeObject,
    options: CreateOptions,
    admission: AdmissionHooks,
  ): Promise<Stored> {
    let object = given;
    this.#rules.setType(object);
    ensureNamespace(object, this.resource.namespaced, context.namespace);
    fillSystemFields(object, context.now, this.options.services.random);
    dedupOwnerReferences(object, (text) => context.addWarning(text), false);
    object = this.#rules.track(context, undefined, object, '', this.strategy, options);
    object = (await admission.admit('CREATE', object, undefined)) ?? object;
    dedupOwnerReferences(object, (text) => context.addWarning(text), true);
    const generated = (object.metadata.name ?? '') === '' && (object.metadata.generateName ?? '') !== '';
    for (let attempt = 1; ; attempt++) {
      const candidate = generated && attempt < generateNameAttempts ? deepClone(object) : object;
      try {
        return await this.#createOnce(context, candidate, admission);
      } catch (error) {
        if (!generated || !hasReason(error, 'AlreadyExists')) throw error;
        if (attempt >= generateNameAttempts) throw this.#generatedNameConflict(candidate.metadata.name ?? '');
      }
    }
  }

  async update(
    context: RestContext,
    name: string,
    info: UpdatedObjectInfo,
    options: UpdateOptions,
    admission: AdmissionHooks,
  ): Promise<{ readonly object: Stored; readonly created: boolean }> {
    return this.updateThrough(this.#main, context, name, info, options, admission);
  }

  /** {@link update} by the rules of a subresource, or of the main resource. */
  async updateThrough(
    path: UpdatePath,
    context: RestContext,
    name: string,
    info: UpdatedObjectInfo,
    options: UpdateOptions,
    admission: AdmissionHooks,
  ): Promise<{ readonly object: Stored; readonly created: boolean }> {
    const key = this.key(context, name);
    const mayCreate =
      path.mayCreate && (options.forceAllowCreate === true || this.strategy.allowCreateOnUpdate === true);
    const storage = context.dryRun ? this.#dryRun : this.storage;
    let created = false;
    let finish: Finish = noFinish;
    try {
      const result = await storage.guaranteedUpdate(
        key,
        { mustExist: false, preconditions: info.preconditions },
        async ({ existing }): Promise<UpdateOutput> => {
          await finish(false);
          finish = noFinish;
          if (existing === undefined && !mayCreate) throw statusErrors.notFound(this.groupResource, name);
          if (existing === undefined) checkNew(this.options.prefix + key, context.dryRun, info.preconditions);
          let object = await info.updatedObject(context, existing?.object);
          this.#rules.setType(object);
          created = existing === undefined;
          if (existing === undefined) {
            const { uid } = object.metadata;
            if (uid !== undefined && uid !== '' && options.forceAllowCreate === true) {
              const text = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
              throw statusErrors.conflict(this.groupResource, name, text);
            }
            object = await this.#admitCreateOnUpdate(context, object, path, options, admission);
            finish = (await this.options.hooks?.beginCreate?.(context, object)) ?? noFinish;
            await this.#rules.beforeCreate(context, object);
            await admission.validate('CREATE', object, undefined);
            delete object.metadata.resourceVersion;
          } else {
            object = await this.#admitUpdate(context, name, object, existing, path, options, admission);
            if (path.subresource === '') {
              finish =
                (await this.options.hooks?.beginUpdate?.(context, object, existing.object)) ?? noFinish;
            }
            await this.#rules.beforeUpdate(context, object, existing.object, path);
            await admission.validate('UPDATE', object, existing.object);
            keepManagedFieldsTime(object, existing.object);
            if (this.#deletion.endsWith(object, existing.object)) {
              throw new EmptiedFinalizers(object, existing);
            }
          }
          const ttlSeconds = this.options.hooks?.ttlSeconds?.(object) ?? 0;
          return { object, ttlSeconds };
        },
      );
      await finish(true);
      return { object: result.stored, created };
    } catch (error) {
      await finish(false);
      if (error instanceof EmptiedFinalizers) return this.#deletion.complete(context, key, error);
      throw interpretStorageError(error, this.groupResource, name, 'update');
    }
  }

  async delete(
    context: RestContext,
    name: string,
    options: DeleteOptions,
    admission: AdmissionHooks,
  ): Promise<DeleteResult> {
    const key = this.key(context, name);
    try {
      return await this.#deletion.delete(context, key, name, options, admission);
    } catch (error) {
      throw interpretStorageError(error, this.groupResource, name, 'delete');
    }
  }

  async deleteCollection(
    context: RestContext,
    options: DeleteOptions,
    list: ListOptions,
    admission: AdmissionHooks,
  ): Promise<ListResult> {
    const found = await this.list(context, list);
    const items = [...found.items];
    // As upstream's default: the order of the events is the order of the list.
    const workers = 1;
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < items.length) {
        const { object } = items[next++] as Stored;
        const name = object.metadata.name ?? '';
        const inNamespace = {
          ...context,
          namespace: object.metadata.namespace ?? '',
          addWarning: context.addWarning.bind(context),
        };
        const named: AdmissionHooks = {
          admit: (operation, each, old) => admission.admit(operation, each, old, name),
          validate: (operation, each, old) => admission.validate(operation, each, old, name),
        };
        try {
          await this.delete(inNamespace, name, options, named);
        } catch (error) {
          if (!hasReason(error, 'NotFound')) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(workers, items.length) }, work));
    return { ...found, items };
  }

  /** The key of an object of the request's namespace. Throws 400. */
  key(context: RestContext, name: string): string {
    return objectKey(this.resource.namespaced, context.namespace, name);
  }

  async #createOnce(context: RestContext, object: KubeObject, admission: AdmissionHooks): Promise<Stored> {
    const { hooks } = this.options;
    this.#generateName(object);
    const finish = (await hooks?.beginCreate?.(context, object)) ?? noFinish;
    const storage = context.dryRun ? this.#dryRun : this.storage;
    let stored: Stored;
    let name = '';
    let key = '';
    try {
      await this.#rules.beforeCreate(context, object);
      await admission.validate('CREATE', object, undefined);
      this.#refuseResourceVersion(object, context);
      name = object.metadata.name ?? '';
      key = objectKey(this.resource.namespaced, object.metadata.namespace ?? '', name);
      stored = await storage.create(key, object, hooks?.ttlSeconds?.(object) ?? 0);
    } catch (error) {
      await finish(false);
      const told = interpretStorageError(error, this.groupResource, name, 'create');
      if (key !== '' && hasReason(told, 'AlreadyExists'))
        throw await this.#tellDeleting(told as StatusError, key);
      throw told;
    }
    await finish(true);
    return stored;
  }

  #generateName(object: KubeObject): void {
    const { metadata } = object;
    if ((metadata.name ?? '') !== '' || (metadata.generateName ?? '') === '') return;
    metadata.name = generateName(metadata.generateName as string, this.options.services.random);
  }

  async #admitCreateOnUpdate(
    context: RestContext,
    given: KubeObject,
    path: UpdatePath,
    options: UpdateOptions,
    admission: AdmissionHooks,
  ): Promise<KubeObject> {
    let object = given;
    ensureNamespace(object, this.resource.namespaced, context.namespace);
    fillSystemFields(object, context.now, this.options.services.random);
    object = this.#rules.track(context, undefined, object, path.subresource, path.hooks, options);
    return (await admission.admit('CREATE', object, undefined)) ?? object;
  }

  async #admitUpdate(
    context: RestContext,
    name: string,
    given: KubeObject,
    existing: Stored,
    path: UpdatePath,
    options: UpdateOptions,
    admission: AdmissionHooks,
  ): Promise<KubeObject> {
    let object = given;
    const old = existing.object;
    ensureNamespace(object, this.resource.namespaced, context.namespace);
    dedupOwnerReferences(object, (text) => context.addWarning(text), false);
    object = this.#rules.track(context, old, object, path.subresource, path.hooks, options);
    object = (await admission.admit('UPDATE', object, old)) ?? object;
    dedupOwnerReferences(object, (text) => context.addWarning(text), true);
    const revision = resourceVersionOf(object);
    if (revision === 0) {
      if (this.strategy.allowUnconditionalUpdate === false) {
        const at = new FieldPath('metadata').child('resourceVersion');
        const error = fieldError.invalid(at, 0, 'must be specified for an update');
        // Upstream names the resource where the kind belongs.
        const { group, resource } = this.groupResource;
        throw statusErrors.invalid({ group, kind: resource }, name, [error]);
      }
      object.metadata.resourceVersion = String(existing.revision);
    } else if (revision !== existing.revision) {
      throw statusErrors.conflict(this.groupResource, name, optimisticLockText);
    }
    return object;
  }

  #predicate(options: ListOptions) {
    return selectionPredicate(
      options.labelSelector ?? '',
      options.fieldSelector ?? '',
      this.strategy,
      this.options.triggerField,
    );
  }

  #listPrefix(context: RestContext): string {
    return this.resource.namespaced && context.namespace !== '' ? `${context.namespace}/` : '';
  }

  /** Text that is not a number is ignored; a dry run does not come to the store, which is what refuses it. */
  #refuseResourceVersion(object: KubeObject, { dryRun }: RestContext): void {
    if (dryRun) return;
    if (/^[0-9]+$/.test(object.metadata.resourceVersion ?? '') && resourceVersionOf(object) !== 0) {
      throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
    }
    delete object.metadata.resourceVersion;
  }

  #generatedNameConflict(name: string): StatusError {
    const error = statusErrors.alreadyExists(this.groupResource, name);
    error.status.message = `${error.status.message ?? ''}, the server was not able to generate a unique name for the object`;
    error.status.details = { ...error.status.details, retryAfterSeconds: 1 };
    return error;
  }

  async #tellDeleting(error: StatusError, key: string): Promise<StatusError> {
    try {
      const existing = await this.storage.get(key, { resourceVersion: '' });
      if (isDeleting(existing.object))
        error.status.message = `object is being deleted: ${error.status.message ?? ''}`;
    } catch {
      // The first error says what matters.
    }
    return error;
  }

  async #translated<T>(name: string, operation: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw interpretStorageError(error, this.groupResource, name, operation);
    }
  }
}
