export { SeededRandom } from './seeded-random.ts';
export { FakeClock } from './fake-clock.ts';
export type { GoldenCommand } from './golden.ts';
export { goldenFiles, runGolden } from './golden.ts';
