import type { Clock, Logger, Random } from '@pilothouse/base';
import type { StrategyContext } from '@pilothouse/api';
import type { RestContext } from '../rest/rest-storage.ts';

/** What the storages use of the server. */
export interface RegistryServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Whether a feature gate is on. */
  featureEnabled(gate: string): boolean;
}

export function strategyContext(context: RestContext, services: RegistryServices): StrategyContext {
  return {
    now: context.now,
    nowMicro: context.nowMicro,
    user: context.user,
    dryRun: context.dryRun,
    namespace: context.namespace,
    ...(context.requestVersion !== undefined && { requestVersion: context.requestVersion }),
    featureEnabled: (gate) => services.featureEnabled(gate),
    addWarning: (text) => {
      context.addWarning(text);
    },
  };
}
