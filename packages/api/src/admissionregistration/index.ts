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
