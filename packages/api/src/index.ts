export type { ResourceStrategy, StrategyContext, TableColumn, UpdateHooks } from './strategy.ts';
