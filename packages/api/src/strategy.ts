import type { FieldError, KubeObject } from '@pilothouse/apimachinery';

/** What a strategy may know of the request. Everything that is not in the object itself comes from here. */
export interface StrategyContext {
  /** RFC 3339, UTC, whole seconds. */
  readonly now: string;
  /** The same instant with microseconds, for MicroTime fields. */
  readonly nowMicro: string;
  /** Of the authenticated (or impersonated) user. */
  readonly user: {
    readonly name: string;
    readonly groups: readonly string[];
    readonly uid?: string;
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
  /** True when the write will not be stored. */
  readonly dryRun: boolean;
  readonly namespace: string;
  /** apiVersion that the request was made in, where that is not the strategy's own. */
  readonly requestVersion?: string;
  /** Whether an API-server feature gate is on; the defaults of 1.36 when the server was not told otherwise. */
  featureEnabled(gate: string): boolean;
  /** A warning that is told even when the object turns out invalid; the rest comes from the warningsOn… hooks after validation. */
  addWarning?(text: string): void;
}

/** The hooks of one way to write a kind: the main resource, or a subresource such as status. Hooks mutate only their first argument. */
export interface UpdateHooks {
  /** Resets fields that this path may not change (status on the main resource, everything else on /status) and bumps generation. */
  prepareForUpdate?(object: KubeObject, old: KubeObject, context: StrategyContext): void;
  validateUpdate?(object: KubeObject, old: KubeObject, context: StrategyContext): FieldError[];
  warningsOnUpdate?(object: KubeObject, old: KubeObject, context: StrategyContext): string[];
  /** Finalizers need no domain where the kind's own rules for metadata are not asked on this path. */
  readonly anyFinalizer?: boolean;
  /** Dotted paths that this path never owns in managedFields, e.g. `['status']` on the main resource (upstream's GetResetFields). */
  readonly resetFields?: readonly string[];
}

/** A column of the Table answer (meta/v1 TableColumnDefinition). */
export interface TableColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format: string;
  readonly description: string;
  /** 0 is shown by default, greater only with `-o wide`. */
  readonly priority: number;
}

/**
 * The whole behaviour of a kind, one small file each (upstream's registry/<group>/<kind>/strategy.go). The generic registry
 * runs, on create: defaults → prepareForCreate → admission → validate; on update: defaults → prepareForUpdate → admission → validateUpdate.
 * ObjectMeta is handled by the generic registry (names, generateName, namespace, uid, timestamps, immutable meta), never here,
 * except for the rule a name must follow.
 */
export interface ResourceStrategy extends UpdateHooks {
  readonly group: string;
  /** Version whose JSON shape the hooks see: the storage version of the kind. */
  readonly version: string;
  readonly kind: string;
  /** Plural lower-case name, e.g. `pods`. */
  readonly resource: string;
  /** Fills defaults in place on the decoded storage-version object; must be idempotent. */
  defaults?(object: KubeObject): void;
  /** An update checks all of the metadata anew, by the kind's own rule of names, as a create does. */
  readonly revalidatesMetadata?: boolean;
  /** The kind has no rules of its own for metadata: only what holds for all kinds is checked, and on a create after all else. */
  readonly plainMetadata?: boolean;
  prepareForCreate?(object: KubeObject, context: StrategyContext): void;
  validate?(object: KubeObject, context: StrategyContext): FieldError[];
  warningsOnCreate?(object: KubeObject, context: StrategyContext): string[];
  /** Last normalisation before storage, after validation. */
  canonicalize?(object: KubeObject): void;
  /** Problems of a name (texts as upstream's NameIs… functions give), default: DNS-1123 subdomain. `prefix`: it is a generateName. */
  validateName?(name: string, prefix: boolean): string[];
  /** PUT to a missing name creates. Default false. */
  readonly allowCreateOnUpdate?: boolean;
  /** PUT without resourceVersion overwrites. Default true. */
  readonly allowUnconditionalUpdate?: boolean;
  /** Hooks by subresource that writes the parent: `status`, `ephemeralcontainers`, `resize`, `approval`, `finalize`. */
  readonly subresources?: Readonly<Record<string, UpdateHooks>>;
  /** Field selectors beyond metadata.name and metadata.namespace. */
  readonly selectableFields?: Readonly<Record<string, (object: KubeObject) => string>>;
  /** metadata.namespace is no field of the kind's selectors (cluster-scoped kinds with conversion functions of their own). */
  readonly noNamespaceField?: boolean;
  /** The message for a field that is not in `selectableFields`, where the kind has its own. */
  unsupportedField?(field: string): string;
  /** Grace period of a DELETE in seconds: undefined when the kind is deleted at once (only pods have one upstream). */
  gracePeriodSeconds?(object: KubeObject, requested: number | undefined): number | undefined;
  /** What a DELETE without propagationPolicy does; `Unsupported`: policies mean nothing. Default `Background`. */
  readonly defaultPropagation?: 'Background' | 'Orphan' | 'Unsupported';
  /** Told when a DELETE names no propagation policy (only Jobs have one). */
  readonly deleteWithoutPropagationWarning?: string;
  readonly columns?: readonly TableColumn[];
  /** Order of the rows of a list's Table, where it is not that of the list. */
  compareRows?(one: KubeObject, two: KubeObject): number;
  /** Cells in the order of `columns`; `nowMs` for ages. Default: name and creation time. */
  cells?(object: KubeObject, nowMs: number): unknown[];
  /** Conditions of a Table row (only pods: `Completed`); absent means none. */
  rowConditions?(
    object: KubeObject,
  ): { type: string; status: string; reason: string; message: string }[] | undefined;
}
