import { hasReason } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { Transport } from '@pilothouse/client';
import { RestClient, withBearerToken } from '@pilothouse/client';
import { resources } from './common/resources.ts';

const namespace = 'kube-system';
const expirationSeconds = 3600;

/**
 * Clients that act as service accounts in kube-system (--use-service-account-credentials), so that each controller has just the
 * rights of its own role. Tokens are asked for on first use and renewed after three quarters of their life. `anonymous` is a
 * transport without a client certificate: a certificate would win over the token.
 */
export class ServiceAccountClients {
  readonly #root: RestClient;
  readonly #anonymous: Transport;
  readonly #clock: Clock;

  constructor(root: RestClient, anonymous: Transport, clock: Clock) {
    this.#root = root;
    this.#anonymous = anonymous;
    this.#clock = clock;
  }

  client(serviceAccount: string): RestClient {
    let current: { token: Promise<string>; renewAtMs: number } | undefined;
    const token = (): Promise<string> => {
      const now = this.#clock.monotonic();
      if (!current || now >= current.renewAtMs) {
        const asked = this.#requestToken(serviceAccount);
        current = { token: asked, renewAtMs: now + expirationSeconds * 750 };
        asked.catch(() => (current = undefined));
      }
      return current.token;
    };
    const forget = (): void => void (current = undefined);
    return new RestClient(withBearerToken(this.#anonymous, token, forget), {
      clock: this.#clock,
      userAgent: `pilothouse-controller-manager/v1.36.3 ${namespace}/${serviceAccount}`,
    });
  }

  async #requestToken(name: string): Promise<string> {
    const ask = async (): Promise<string> => {
      const answer = await this.#root.create(
        resources.serviceAccounts,
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          metadata: {},
          spec: { expirationSeconds },
        },
        { namespace, name, subresource: 'token' },
      );
      return answer['status'].token as string;
    };
    try {
      return await ask();
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
    await this.#root
      .create(resources.serviceAccounts, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name, namespace },
      })
      .catch((error: unknown) => {
        if (!hasReason(error, 'AlreadyExists')) throw error;
      });
    return ask();
  }
}
