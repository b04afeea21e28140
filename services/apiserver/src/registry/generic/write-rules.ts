import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { apiVersionOf, statusErrors } from '@pilothouse/apimachinery';
import type { UpdateHooks } from '@pilothouse/api';
import { deepEqual } from '../../storage/deep.ts';
import type { CreateOptions, RestContext } from '../rest/rest-storage.ts';
import { isDeleting } from './graceful-delete.ts';
import type { MetadataRules } from './metadata-rules.ts';
import { changedMetaErrors, kindMetaErrors, plainMetaErrors } from './metadata-rules.ts';
import { strategyContext } from './services.ts';
import type { GenericStoreOptions } from './store-options.ts';

/** What is done to an object of one resource before it is written: its type, its managed fields, strategy and validation. */
export class WriteRules {
  readonly #options: GenericStoreOptions;

  constructor(options: GenericStoreOptions) {
    this.#options = options;
  }

  /** Strategy and validation of a new object (upstream's BeforeCreate). */
  async beforeCreate(context: RestContext, object: KubeObject): Promise<void> {
    const { strategy, hooks } = this.#options;
    const meta = object.metadata;
    const rules = strategyContext(context, this.#options.services);
    strategy.prepareForCreate?.(object, rules);
    const isPlain = strategy.plainMetadata === true;
    const errors: FieldError[] = [];
    const findings = hooks?.findings?.(context, object, undefined, '');
    if (findings !== undefined) errors.push(...(await findings));
    if (!isPlain) errors.push(...kindMetaErrors(this.#metadataRules(), meta));
    errors.push(...(strategy.validate?.(object, rules) ?? []));
    if (isPlain && errors.length === 0) errors.push(...plainMetaErrors(this.#metadataRules(), meta));
    if (errors.length > 0) throw statusErrors.invalid(this.#groupKind(), meta.name ?? '', errors);
    for (const warning of strategy.warningsOnCreate?.(object, rules) ?? []) context.addWarning(warning);
    strategy.canonicalize?.(object);
  }

  #metadataRules(): MetadataRules {
    const { builtIn = true } = this.#options;
    return { strategy: this.#options.strategy, namespaced: this.#options.resource.namespaced, builtIn };
  }

  /** Strategy and validation of a change (upstream's BeforeUpdate). */
  async beforeUpdate(
    context: RestContext,
    object: KubeObject,
    old: KubeObject,
    { hooks, subresource }: { readonly hooks: UpdateHooks; readonly subresource: string },
  ): Promise<void> {
    const meta = object.metadata;
    const oldMeta = old.metadata;
    const rules = strategyContext(context, this.#options.services);
    if (oldMeta.generation === undefined) delete meta.generation;
    else meta.generation = oldMeta.generation;
    // Never stored; upstream shows it in the answer to a dry run.
    if (!context.dryRun) delete meta.selfLink;
    hooks.prepareForUpdate?.(object, old, rules);
    if ((meta.uid ?? '') === '' && oldMeta.uid !== undefined) meta.uid = oldMeta.uid;
    meta.creationTimestamp = oldMeta.creationTimestamp ?? context.now;
    if (isDeleting(old)) meta.deletionTimestamp = oldMeta.deletionTimestamp as string;
    if (meta.deletionGracePeriodSeconds === undefined && oldMeta.deletionGracePeriodSeconds !== undefined)
      meta.deletionGracePeriodSeconds = oldMeta.deletionGracePeriodSeconds;
    const errors = changedMetaErrors(this.#metadataRules(), meta, oldMeta, hooks);
    const findings = this.#options.hooks?.findings?.(context, object, old, subresource);
    if (findings !== undefined) errors.push(...(await findings));
    errors.push(...(hooks.validateUpdate?.(object, old, rules) ?? []));
    if (errors.length > 0) throw statusErrors.invalid(this.#groupKind(), meta.name ?? '', errors);
    for (const warning of hooks.warningsOnUpdate?.(object, old, rules) ?? []) context.addWarning(warning);
    this.#options.strategy.canonicalize?.(object);
  }

  /** `object` with the managed fields that this write leaves. */
  track(
    context: RestContext,
    live: KubeObject | undefined,
    object: KubeObject,
    subresource: string,
    hooks: UpdateHooks,
    options: CreateOptions,
  ): KubeObject {
    if (this.#options.tracker === undefined || options.fieldTracking === 'none') return object;
    return this.#options.tracker.update(live, object, {
      manager: context.fieldManager,
      subresource,
      now: context.now,
      resetFields: hooks.resetFields ?? [],
    });
  }

  /** Writes the kind and version of the resource into `object`. */
  setType(object: KubeObject): void {
    object.apiVersion = apiVersionOf(this.#options.resource.group, this.#options.resource.version);
    object.kind =
      this.#options.strategy.kind === '' ? this.#options.resource.kind : this.#options.strategy.kind;
  }

  #groupKind(): { group: string; kind: string } {
    return {
      group: this.#options.resource.group,
      kind: this.#options.strategy.kind === '' ? this.#options.resource.kind : this.#options.strategy.kind,
    };
  }
}

/** A write that changes nothing but the times in managedFields keeps the old ones, and so is no write at all. */
export function keepManagedFieldsTime(object: KubeObject, old: KubeObject): void {
  const now = object.metadata.managedFields;
  const before = old.metadata.managedFields;
  if (now === undefined || before === undefined || now.length !== before.length) return;
  const timeless = (entries: typeof now): unknown => entries.map(({ time: _, ...entry }) => entry);
  if (!deepEqual(timeless(now), timeless(before))) return;
  const rest = (each: KubeObject): unknown => ({
    ...each,
    metadata: { ...each.metadata, managedFields: undefined },
  });
  if (deepEqual(rest(object), rest(old))) object.metadata.managedFields = before;
}
