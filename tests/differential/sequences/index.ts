import type { Sequence } from '../sequence-runner.ts';
import { lifecycleSequences } from './lifecycles.ts';
import { workloadSequences } from './workloads.ts';

/** What is stored on both servers, step by step; of each sequence the answers and the events of a watch are compared. */
export const sequences: readonly Sequence[] = [...workloadSequences, ...lifecycleSequences];
