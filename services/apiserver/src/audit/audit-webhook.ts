import type { Clock, Logger, Random } from '@pilothouse/base';
import { sleep } from '@pilothouse/base';
import { FollowedKubeconfig } from '../security/followed-kubeconfig.ts';
import { HttpsClient } from '../security/https-json.ts';
import type { WebhookAccess } from '../security/webhook-kubeconfig.ts';
import { webhookAccess } from '../security/webhook-kubeconfig.ts';

const webhookTimeoutMs = 30_000;
/** Tries in all, and how the time between them grows, as upstream's. */
const webhookTries = 5;
const backoffFactor = 1.5;
const backoffJitter = 0.2;

/** POSTs event lists to the server of a kubeconfig file. */
export class AuditWebhook {
  readonly #access: FollowedKubeconfig<WebhookAccess>;
  readonly #client: HttpsClient;
  readonly #backoffMs: number;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(
    kubeconfig: string,
    backoffMs: number,
    ports: { clock: Clock; random: Random; logger: Logger },
  ) {
    this.#access = new FollowedKubeconfig(kubeconfig, webhookAccess, ports);
    this.#client = new HttpsClient(this.#access.value.peer);
    this.#access.onChange = ({ peer }) => this.#client.renew(peer);
    this.#backoffMs = backoffMs;
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  /** Any status of 2xx is good, whatever the answer says. A refusal is not sent again; what may pass by itself is. */
  async send(lines: readonly string[]): Promise<void> {
    const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${lines.join(',')}]}`;
    let waitMs = this.#backoffMs;
    for (let attempt = 1; ; attempt++) {
      const { url, headers } = await this.#access.newest();
      let failure: Error;
      try {
        const { status } = await this.#client.send(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'user-agent': 'kube-apiserver', ...headers },
          body,
          timeoutMs: webhookTimeoutMs,
        });
        if (status >= 200 && status <= 299) return;
        failure = new Error(`the webhook ${url} answered with status ${status}`);
        if (status < 500 && status !== 429) throw new Refused(failure.message);
      } catch (error) {
        if (error instanceof Refused) throw error;
        failure = error as Error;
      }
      if (attempt === webhookTries) throw failure;
      await sleep(this.#clock, waitMs * (1 + backoffJitter * this.#random.float()));
      waitMs *= backoffFactor;
    }
  }

  close(): void {
    this.#client.close();
  }
}

class Refused extends Error {}
