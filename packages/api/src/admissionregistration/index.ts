import type { ResourceStrategy } from '../strategy.ts';
import { policyStrategies } from './policy.ts';
import {
  mutatingWebhookConfigurationStrategy,
  validatingWebhookConfigurationStrategy,
} from './webhook-configuration.ts';

export const admissionRegistrationStrategies: readonly ResourceStrategy[] = [
  mutatingWebhookConfigurationStrategy,
  validatingWebhookConfigurationStrategy,
  ...policyStrategies,
];
export type { OpenApiComponents } from './openapi-schema.ts';
export { openApiSchemaOf } from './openapi-schema.ts';
export type { CheckedKind, CheckedPolicy, ExpressionWarning } from './type-checking.ts';
export { expressionWarnings } from './type-checking.ts';
export type { PolicyNames } from './policy-expressions.ts';
export {
  CelResultTypeError,
  compileTo,
  jsonPatchType,
  patchObjectType,
  policyEnvironment,
} from './policy-expressions.ts';
