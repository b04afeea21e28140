import type { WebhookIdentity } from '../../security/webhook-endpoint.ts';
import { WebhookKubeconfig } from '../../security/webhook-endpoint.ts';

/**
 * Credentials for admission webhooks by their host, from a kubeconfig file whose users are called `host:port`, `*.domain`, either without
 * the port when it is 443, or `*`. Throws FlagError on a user that cannot be used.
 */
export class WebhookCredentials {
  readonly #identities = new Map<string, WebhookIdentity>();
  readonly #fallback: WebhookIdentity | undefined;

  /** An empty `file`: nobody asks for credentials. */
  constructor(file: string) {
    if (file === '') return;
    const kubeconfig = new WebhookKubeconfig(file);
    for (const entry of kubeconfig.entries('users')) {
      this.#identities.set(
        String(entry['name']),
        kubeconfig.identityOf((entry['user'] ?? {}) as Readonly<Record<string, unknown>>),
      );
    }
    const { currentContext } = kubeconfig;
    if (currentContext === undefined || currentContext === '') return;
    const user = kubeconfig.find('contexts', 'context', currentContext)['user'];
    this.#fallback = this.#identities.get(String(user));
  }

  for(host: string, port: number): WebhookIdentity | undefined {
    if (this.#identities.size === 0) return undefined;
    const names = [`${host}:${port}`, ...(port === 443 ? [host] : [])].flatMap((target) => {
      const steps = target.split('.');
      return [target, ...steps.slice(1).map((_, index) => `*.${steps.slice(index + 1).join('.')}`)];
    });
    const found = [...names, '*'].find((name) => this.#identities.has(name));
    return found === undefined ? this.#fallback : this.#identities.get(found);
  }
}
