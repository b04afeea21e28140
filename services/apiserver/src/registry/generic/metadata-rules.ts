import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import {
  nameIsDnsSubdomain,
  nameIsPathSegment,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from '@pilothouse/apimachinery';
import type { ResourceStrategy, UpdateHooks } from '@pilothouse/api';

type Meta = KubeObject['metadata'];

/** The rules for metadata of one kind. */
export interface MetadataRules {
  readonly strategy: ResourceStrategy;
  readonly namespaced: boolean;
  /** Finalizers need a domain; false for custom resources. */
  readonly builtIn: boolean;
}

/** What holds for the metadata of every kind. */
export function plainMetaErrors({ namespaced }: MetadataRules, meta: Meta): FieldError[] {
  return validateObjectMeta(meta, { namespaced, nameRule: nameIsPathSegment, builtIn: false });
}

/** All of the metadata, by the kind's own rule of names. */
export function kindMetaErrors({ strategy, namespaced, builtIn }: MetadataRules, meta: Meta): FieldError[] {
  return validateObjectMeta(meta, {
    namespaced,
    nameRule: (name, prefix) => strategy.validateName?.(name, prefix) ?? nameIsDnsSubdomain(name, prefix),
    builtIn: builtIn && strategy.anyFinalizer !== true,
  });
}

/** `hooks`: of the path that is written, the main resource's or those of a part of it. */
export function changedMetaErrors(
  rules: MetadataRules,
  meta: Meta,
  old: Meta,
  hooks: UpdateHooks,
): FieldError[] {
  const { strategy } = rules;
  const isMain = hooks === strategy;
  const builtIn = strategy.anyFinalizer !== true && hooks.anyFinalizer !== true && rules.builtIn;
  const changes = validateObjectMetaUpdate(meta, old, { builtIn });
  // Upstream checks metadata in general and once more in each kind, so clients get these causes twice.
  return [
    ...plainMetaErrors(rules, meta),
    ...changes,
    ...(isMain && strategy.revalidatesMetadata === true ? kindMetaErrors(rules, meta) : []),
    ...changes,
  ];
}
