import { diskFaults } from './disk-faults.ts';
import type { Fault } from './fault.ts';
import { networkFaults } from './network-faults.ts';
import { processFaults } from './process-faults.ts';

export const faults: readonly Fault[] = [...processFaults, ...networkFaults, ...diskFaults];
export type { Fault, FaultContext } from './fault.ts';
