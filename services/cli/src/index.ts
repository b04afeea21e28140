export { planeStatus } from './commands/status.ts';
export type { PlaneStatus, ProcessStatus } from './commands/status.ts';
