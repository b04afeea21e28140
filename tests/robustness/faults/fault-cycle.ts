import { SeededRandom } from '@pilothouse/testkit';
import type { Target } from '../cluster/target.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { faults } from './index.ts';
import type { Fault } from './index.ts';

/** Deals the faults out to rounds, so that each has its turn; the seed alone tells which a round gets. */
export class FaultCycle {
  readonly #available: readonly Fault[];
  readonly #isGiven: boolean;
  readonly #tried = new Set<string>();

  /** `wanted`: only these, all of them in each round. */
  constructor(sandbox: Sandbox, target: Target, wanted: readonly Fault[] | undefined) {
    this.#isGiven = wanted !== undefined;
    this.#available = (wanted ?? faults).filter(({ name, needs, unless }) => {
      const isKnown = unless === undefined || !target.exceptions.has(unless);
      if (!isKnown) console.log(`SKIP  ${name}: ${target.name} does not have it`);
      return isKnown && needs.every((each) => sandbox.capabilities.has(each));
    });
  }

  next(seed: number): readonly Fault[] {
    if (this.#available.length === 0) return [];
    let chosen: readonly Fault[] = this.#available;
    if (!this.#isGiven) {
      // Each block of rounds goes once through all faults, in an order of its own.
      const perRound = 3;
      const blocks = Math.ceil(this.#available.length / perRound);
      const random = new SeededRandom(Math.floor(seed / blocks) + 1);
      const shuffled = [...this.#available];
      for (let at = shuffled.length - 1; at > 0; at--) {
        const other = random.integer(at + 1);
        [shuffled[at], shuffled[other]] = [shuffled[other] as Fault, shuffled[at] as Fault];
      }
      const start = (seed % blocks) * perRound;
      chosen = shuffled.slice(start, start + perRound);
    }
    for (const { name } of chosen) this.#tried.add(name);
    return chosen;
  }

  get untried(): string[] {
    return this.#available.map(({ name }) => name).filter((name) => !this.#tried.has(name));
  }
}
