import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';

const retryMs = 2000;

/** Start-up work that writes default objects. What fails is tried again, and `/readyz` names it until it is done. */
export class StartupWork {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #first: Promise<void>[] = [];
  /** Names of the work that is not done. */
  readonly pending = new Set<string>();
  #stopped = false;

  constructor(options: { clock: Clock; logger: Logger }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** Begins `work` at once. It must be idempotent: other servers do the same. */
  run(name: string, work: () => Promise<unknown>): void {
    this.pending.add(name);
    const attempt = async (): Promise<void> => {
      try {
        await work();
        this.pending.delete(name);
      } catch (error) {
        this.#logger.error('Cannot finish start-up work; it is tried again', {
          name,
          error: errorMessage(error),
        });
        void this.#later(attempt);
      }
    };
    this.#first.push(attempt());
  }

  async #later(attempt: () => Promise<void>): Promise<void> {
    await sleep(this.#clock, retryMs);
    if (!this.#stopped) await attempt();
  }

  /** Resolves when each work was tried once. */
  async firstAttempts(): Promise<void> {
    await Promise.all(this.#first);
  }

  stop(): void {
    this.#stopped = true;
  }
}
