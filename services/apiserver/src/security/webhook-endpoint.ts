import type { Clock, Logger, Random } from '@pilothouse/base';
import { sleep } from '@pilothouse/base';
import { FollowedKubeconfig } from './followed-kubeconfig.ts';
import { HttpsClient } from './https-json.ts';
import type { WebhookAccess } from './webhook-kubeconfig.ts';
import { webhookAccess } from './webhook-kubeconfig.ts';

/** Attempts and waits of upstream's webhooks. */
const attempts = 5;
const firstWaitMs = 500;
const waitFactor = 1.5;
const waitJitter = 0.2;

/** Sends reviews to one webhook. */
export class WebhookEndpoint {
  readonly #access: FollowedKubeconfig<WebhookAccess>;
  readonly #client: HttpsClient;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #firstWaitMs: number;

  /** Reads the kubeconfig file that describes the webhook. Throws FlagError. */
  constructor(
    kubeconfig: string,
    ports: { clock: Clock; random: Random; logger: Logger; firstWaitMs?: number },
  ) {
    this.#firstWaitMs = ports.firstWaitMs ?? firstWaitMs;
    this.#access = new FollowedKubeconfig(kubeconfig, webhookAccess, ports);
    this.#client = new HttpsClient(this.#access.value.peer);
    this.#access.onChange = ({ peer }) => this.#client.renew(peer);
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  get url(): string {
    return this.#access.value.url;
  }

  /**
   * POSTs a review and gives the parsed answer. Tries again, five times in all, after a reset connection, 429, 500 and 504; the whole
   * takes `timeoutMs` at most. Rejects with an Error whose text has no part of the review.
   */
  async post(review: object, timeoutMs: number): Promise<Readonly<Record<string, unknown>>> {
    const body = JSON.stringify(review);
    const deadline = this.#clock.monotonic() + timeoutMs;
    let waitMs = this.#firstWaitMs;
    for (let attempt = 1; ; attempt++) {
      const leftMs = deadline - this.#clock.monotonic();
      if (leftMs <= 0) throw new Error(`Post "${this.url}": context deadline exceeded`);
      try {
        return await this.#once(body, leftMs);
      } catch (error) {
        const again = error instanceof Temporary || (error as { code?: string }).code === 'ECONNRESET';
        if (!again || attempt === attempts) throw error;
        await sleep(this.#clock, waitMs * (1 + waitJitter * this.#random.float()));
        waitMs *= waitFactor;
      }
    }
  }

  close(): void {
    this.#client.close();
  }

  async #once(body: string, timeoutMs: number): Promise<Readonly<Record<string, unknown>>> {
    const { url, headers } = await this.#access.newest();
    const answer = await this.#client.send(url, {
      method: 'POST',
      headers: { 'user-agent': 'kube-apiserver', ...headers },
      body,
      timeoutMs,
    });
    if (answer.status < 200 || answer.status > 299) {
      const text = `the webhook ${url} answered with status ${answer.status}`;
      throw [429, 500, 504].includes(answer.status) ? new Temporary(text) : new Error(text);
    }
    try {
      const parsed: unknown = JSON.parse(answer.text);
      if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>;
    } catch {
      // Told below.
    }
    throw new Error(`the webhook ${url} answered with something that is no JSON object`);
  }
}

class Temporary extends Error {}
