import type { ResourceStrategy } from '../strategy.ts';
import { cronJobStrategy } from './cron-job.ts';
import { jobStrategy } from './job.ts';

export const batchStrategies: readonly ResourceStrategy[] = [cronJobStrategy, jobStrategy];
