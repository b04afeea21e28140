export type { ResourceStrategy, StrategyContext, TableColumn, UpdateHooks } from './strategy.ts';
export { strategies, strategyFor, strategyKey } from './strategies.ts';
