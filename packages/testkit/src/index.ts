export type { CollectedSpan } from './otlp-collector.ts';
export { OtlpCollector } from './otlp-collector.ts';
export { SeededRandom } from './seeded-random.ts';
export { FakeClock } from './fake-clock.ts';
export type { GoldenCommand } from './golden.ts';
export { goldenFiles, runGolden } from './golden.ts';
export { SimulatedDisk, SimulatedDiskError } from './simulated-disk.ts';
export type { NetworkFaults } from './simulated-network.ts';
export { SimulatedNetwork, calmNetwork } from './simulated-network.ts';
export type { LinearizabilityResult, Model, Operation } from './linearizability.ts';
export { checkLinearizability } from './linearizability.ts';
export type { KeyedOperation, RegisterInput, RegisterOutput } from './register-model.ts';
export { checkRegisters, registerModel } from './register-model.ts';
export type {
  GotEvent,
  GotItem,
  HistoryEvent,
  WatchCheck,
  WatchGuarantee,
  WatchProblem,
  WatchSegment,
  WatchShape,
} from './watch-guarantees.ts';
export { checkWatchSegment, EventHistory, watchGuarantees } from './watch-guarantees.ts';
