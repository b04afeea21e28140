export { nodeClock } from './node-clock.ts';
export { nodeRandom } from './node-random.ts';
export { nodeDisk } from './node-disk.ts';
export type { LogOptions } from './log.ts';
export { createLogger } from './log.ts';
export type { FlagSpec, FlagSpecs, FlagType, FlagValue, ParsedFlags } from './flags.ts';
export { FlagError, flagUsage, parseDuration, parseFlags } from './flags.ts';
