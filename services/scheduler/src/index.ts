export { runScheduler } from './main.ts';
export type { Scheduler, SchedulerOptions } from './scheduler.ts';
export { startScheduler } from './scheduler.ts';
export { schedulerLimits } from './limits.ts';
