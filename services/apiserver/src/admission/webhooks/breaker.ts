import type { Clock } from '@pilothouse/base';
import type { AdmissionAttributes } from '../interface.ts';

export interface BreakerConfig {
  /** False: a webhook that fails is called each time, and its failurePolicy holds for everyone. */
  readonly enabled: boolean;
}

/** So many calls in a row must fail before a webhook counts as dead. */
const failuresMin = 5;
/** How often a dead webhook is tried again. */
const probeEveryMs = 1000;
/** Namespaces whose objects the cluster itself lives by. */
const systemNamespaces: ReadonlySet<string> = new Set(['kube-system', 'kube-node-lease', 'kube-public']);
/** Cluster-scoped kinds that nodes and control plane live by. */
const systemResources: ReadonlySet<string> = new Set([
  '/nodes',
  'certificates.k8s.io/certificatesigningrequests',
  'apiregistration.k8s.io/apiservices',
]);
/** Whoever asks in this group is not stopped by a dead webhook: `kubectl --as=admin --as-group=pilothouse:break-glass`. */
export const breakGlassGroup = 'pilothouse:break-glass';

interface Record {
  failures: number;
  lastTriedMs: number;
}

/** What to do with a call: make it; refuse at once, since the webhook is dead; or let the request pass without it. */
export type BreakerVerdict = 'call' | 'refuse' | 'skip';

/**
 * Watches webhooks that must be asked (failurePolicy Fail). One that failed several times in a row is dead: it is tried once a second, and
 * until it answers, requests are refused without waiting for it; those that the cluster lives by, and those of the break-glass group, pass.
 */
export class WebhookBreaker {
  readonly #clock: Clock;
  readonly #isEnabled: boolean;
  readonly #records = new Map<string, Record>();

  constructor(clock: Clock, config: BreakerConfig | undefined) {
    this.#clock = clock;
    this.#isEnabled = config?.enabled !== false;
  }

  decide(webhook: string, attributes: AdmissionAttributes): BreakerVerdict {
    const record = this.#records.get(webhook);
    if (!this.#isEnabled || record === undefined || record.failures < failuresMin) return 'call';
    const now = this.#clock.monotonic();
    if (now - record.lastTriedMs >= probeEveryMs && !isVital(attributes)) {
      record.lastTriedMs = now;
      return 'call';
    }
    return isVital(attributes) ? 'skip' : 'refuse';
  }

  answered(webhook: string): void {
    this.#records.delete(webhook);
  }

  /** True when this failure is the one that makes the webhook count as dead. */
  failed(webhook: string): boolean {
    const record = this.#records.get(webhook) ?? { failures: 0, lastTriedMs: 0 };
    record.failures += 1;
    record.lastTriedMs = this.#clock.monotonic();
    this.#records.set(webhook, record);
    return this.#isEnabled && record.failures === failuresMin;
  }

  failuresOf(webhook: string): number {
    return this.#records.get(webhook)?.failures ?? 0;
  }
}

function isVital({ namespace, resource, user }: AdmissionAttributes): boolean {
  return (
    systemNamespaces.has(namespace) ||
    user.groups.includes(breakGlassGroup) ||
    systemResources.has(`${resource.group}/${resource.resource}`)
  );
}
