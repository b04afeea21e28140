export { cleanupFinalizer, isConditionTrue, withCondition } from './conditions.ts';
export type { CrdCondition } from './conditions.ts';
export { customResourceStrategy } from './custom-resource-strategy.ts';
export type { CustomResourceStrategyOptions } from './custom-resource-strategy.ts';
export { applyDefaults } from './defaulting.ts';
export { eachEmbedded } from './embedded.ts';
export { JsonPath } from './json-path.ts';
export { decideNames } from './names.ts';
export type { NamesDecision } from './names.ts';
export { prune } from './prune.ts';
export type {
  ConversionSpec,
  CustomResourceDefinitionSpec,
  CustomResourceNames,
  CustomResourceVersion,
  JsonSchema,
  ScaleSubresource,
  ValidationRule,
} from './schema.ts';
export { validateValue } from './validate-value.ts';
export type { RuleSet } from './cel/rule-set.ts';
