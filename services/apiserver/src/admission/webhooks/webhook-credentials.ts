import type { Clock, Logger } from '@pilothouse/base';
import { FollowedKubeconfig } from '../../security/followed-kubeconfig.ts';
import type { WebhookIdentity, WebhookKubeconfig } from '../../security/webhook-kubeconfig.ts';

interface Identities {
  readonly byUser: ReadonlyMap<string, WebhookIdentity>;
  readonly fallback: WebhookIdentity | undefined;
}

/**
 * Credentials for admission webhooks by their host, from a kubeconfig file whose users are called `host:port`, `*.domain`, either without
 * the port when it is 443, or `*`. The files that it names are followed. Throws FlagError on a user that cannot be used.
 */
export class WebhookCredentials {
  readonly #identities: FollowedKubeconfig<Identities> | undefined;

  /** An empty `file`: nobody asks for credentials. */
  constructor(file: string, ports: { clock: Clock; logger: Logger }) {
    if (file !== '') this.#identities = new FollowedKubeconfig(file, identitiesOf, ports);
  }

  /** Called after credentials changed. */
  set onChange(callback: () => void) {
    if (this.#identities !== undefined) this.#identities.onChange = callback;
  }

  async for(host: string, port: number): Promise<WebhookIdentity | undefined> {
    if (this.#identities === undefined) return undefined;
    const { byUser, fallback } = await this.#identities.newest();
    if (byUser.size === 0) return undefined;
    const names = [`${host}:${port}`, ...(port === 443 ? [host] : [])].flatMap((target) => {
      const steps = target.split('.');
      return [target, ...steps.slice(1).map((_, index) => `*.${steps.slice(index + 1).join('.')}`)];
    });
    const found = [...names, '*'].find((name) => byUser.has(name));
    return found === undefined ? fallback : byUser.get(found);
  }
}

function identitiesOf(kubeconfig: WebhookKubeconfig): Identities {
  const byUser = new Map(
    kubeconfig
      .entries('users')
      .map((entry) => [
        String(entry['name']),
        kubeconfig.identityOf((entry['user'] ?? {}) as Readonly<Record<string, unknown>>),
      ]),
  );
  const { currentContext } = kubeconfig;
  if (currentContext === undefined || currentContext === '') return { byUser, fallback: undefined };
  const user = kubeconfig.find('contexts', 'context', currentContext)['user'];
  return { byUser, fallback: byUser.get(String(user)) };
}
