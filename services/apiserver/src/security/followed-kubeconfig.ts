import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { WebhookKubeconfig } from './webhook-kubeconfig.ts';

/** How old what was read of certificates, keys, tokens and authorities may be when it is used, milliseconds. */
const ageMsMax = 1000;

/**
 * What a webhook kubeconfig says, with the newest content of the files it names. Upstream looks at certificates with each new connection, at
 * tokens once a minute and at authorities every five; here whoever asks gets them all, at most a second old. A pair that does not fit, or a
 * file that cannot be read, is told once and leaves the old ones in force.
 */
export class FollowedKubeconfig<T> {
  readonly #kubeconfig: WebhookKubeconfig;
  readonly #read: (kubeconfig: WebhookKubeconfig) => T;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #value: T;
  #readAtMs: number;
  #reading: Promise<void> | undefined;
  #problem = '';
  /** Called with each new value, before anyone else gets it. */
  onChange: ((value: T) => void) | undefined;

  /** Throws FlagError when the file, or one that it names, cannot be used. */
  constructor(
    file: string,
    read: (kubeconfig: WebhookKubeconfig) => T,
    ports: { clock: Clock; logger: Logger },
  ) {
    this.#kubeconfig = new WebhookKubeconfig(file);
    this.#read = read;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    this.#value = read(this.#kubeconfig);
    this.#readAtMs = this.#clock.monotonic();
  }

  /** What is in force. */
  get value(): T {
    return this.#value;
  }

  /** Looks at the files first, when that was long ago. Never rejects. */
  async newest(): Promise<T> {
    if (this.#clock.monotonic() - this.#readAtMs >= ageMsMax) {
      this.#reading ??= this.#look().finally(() => (this.#reading = undefined));
      await this.#reading;
    }
    return this.#value;
  }

  async #look(): Promise<void> {
    const { file } = this.#kubeconfig;
    try {
      // A pair that did not fit may be whole by now without another change of its files.
      if ((await this.#kubeconfig.reread()) || this.#problem !== '') {
        const value = this.#read(this.#kubeconfig);
        this.onChange?.(value);
        this.#value = value;
        this.#logger.info('Renewed the credentials for a webhook', { kubeconfig: file });
      }
      this.#problem = '';
    } catch (error) {
      const problem = errorMessage(error);
      if (problem !== this.#problem)
        this.#logger.error('Cannot renew the credentials for a webhook; the old ones stay in force', {
          kubeconfig: file,
          error: problem,
        });
      this.#problem = problem;
    }
    this.#readAtMs = this.#clock.monotonic();
  }
}
