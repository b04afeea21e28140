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
export type { PolicyNames } from './policy-expressions.ts';
export {
  CelResultTypeError,
  compileTo,
  jsonPatchType,
  patchObjectType,
  policyEnvironment,
} from './policy-expressions.ts';
