import type { Clock } from '@pilothouse/base';
import { MemoryBackend } from '../core/memory-backend.ts';
import type { BackendImage } from '../core/backend.ts';

/** A backend that keeps, over a crash, exactly what was flushed: all of it or, for a flush cut short, nothing of it. */
export class DurableBackend extends MemoryBackend {
  readonly #clock: Clock;
  #durable: BackendImage | undefined;

  /** Called before a flush and before what it wrote is durable. */
  readonly #step: () => void;

  constructor(clock: Clock, step: () => void, image?: BackendImage) {
    super();
    this.#clock = clock;
    this.#step = step;
    this.#durable = image;
    if (!image) return;
    for (const [key, value] of image.records()) this.writeRecord(key, value);
    for (const { main, sub, bytes } of image.revisions()) this.writeRevision(main, sub, bytes);
  }

  override flush(): Promise<void> {
    const image = this.snapshot();
    return new Promise((resolve, reject) => {
      this.#clock.setTimeout(() => {
        try {
          this.#step();
        } catch (error) {
          reject(error as Error);
          return;
        }
        this.#durable = image;
        resolve();
      }, 5);
    });
  }

  /** What a restart after a crash finds. */
  afterCrash(): DurableBackend {
    return new DurableBackend(this.#clock, this.#step, this.#durable);
  }
}
