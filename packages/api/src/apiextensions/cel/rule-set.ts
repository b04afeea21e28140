import type { FieldError, KubeObject } from '@pilothouse/apimachinery';

/** The compiled rules of one schema. */
export interface RuleSet {
  /** `old` is undefined on create: transition rules are skipped then. */
  validate(object: KubeObject, old: KubeObject | undefined): FieldError[];
}
