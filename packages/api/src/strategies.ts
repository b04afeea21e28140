import type { ResourceStrategy } from './strategy.ts';
import { builtInStrategies } from './built-in-strategies.ts';

/** `apps/deployments`, `/pods`: the key of {@link strategies}. */
export function strategyKey(group: string, resource: string): string {
  return `${group}/${resource}`;
}

/** Strategies of the built-in kinds by `group/resource` (the core group is empty: `/pods`). */
export const strategies: ReadonlyMap<string, ResourceStrategy> = new Map(
  builtInStrategies.map((strategy) => [strategyKey(strategy.group, strategy.resource), strategy]),
);

/**
 * The strategy of a resource, or one without rules of its own when the kind is not built in: names are DNS-1123 subdomains,
 * nothing is defaulted, the table shows name and creation time.
 */
export function strategyFor(group: string, resource: string, version = 'v1', kind = ''): ResourceStrategy {
  return strategies.get(strategyKey(group, resource)) ?? { group, version, kind, resource };
}
