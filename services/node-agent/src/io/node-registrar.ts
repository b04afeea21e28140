import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import type { RestClient } from '@pilothouse/client';
import { microTime, secondTime } from '@pilothouse/client';
import type { NodeCondition, NodeSettings } from '../core/node-object.ts';
import { newNode, nodeConditions } from '../core/node-object.ts';
import { limits } from '../limits.ts';

const nodes = { group: '', version: 'v1', resource: 'nodes' } as const;
const leases = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' } as const;

/** Keeps the Node object and its lease alive. Only conditions are refreshed, so resources that others patched into the status stay. */
export class NodeRegistrar {
  readonly #client: RestClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: NodeSettings;
  #timers: Timer[] = [];
  #lease: KubeObject | undefined;
  #stopped = false;

  constructor(options: { client: RestClient; clock: Clock; logger: Logger; settings: NodeSettings }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#settings = options.settings;
  }

  /** Resolves once the node is registered; tries until it is. */
  async start(): Promise<void> {
    for (let attempt = 0; !this.#stopped; attempt++) {
      try {
        await this.#register();
        break;
      } catch (error) {
        this.#logger.warn('Node is not registered yet', {
          node: this.#settings.name,
          error: errorMessage(error),
        });
        await sleep(this.#clock, Math.min(5_000, 200 * 2 ** attempt));
      }
    }
    await this.#renewLease();
    this.#timers = [
      this.#clock.setInterval(() => void this.#renewLease(), limits.leaseRenewMs),
      this.#clock.setInterval(() => void this.#refresh(), limits.nodeStatusMs),
    ];
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
  }

  async #register(): Promise<void> {
    const now = secondTime(this.#clock.now());
    const wanted = newNode(this.#settings, now);
    try {
      await this.#client.create(nodes, wanted);
      return;
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists')) throw error;
    }
    const existing = await this.#client.get(nodes, this.#settings.name);
    const status = wanted['status'] as Record<string, unknown>;
    const old = (existing['status'] ?? {}) as {
      conditions?: NodeCondition[];
      capacity?: object;
      allocatable?: object;
    };
    await this.#client.patch(
      nodes,
      this.#settings.name,
      {
        status: {
          ...status,
          conditions: nodeConditions(now, old.conditions),
          capacity: { ...(status['capacity'] as object), ...old.capacity },
          allocatable: { ...(status['allocatable'] as object), ...old.allocatable },
        },
      },
      { type: 'strategic', subresource: 'status' },
    );
  }

  async #refresh(): Promise<void> {
    try {
      const existing = await this.#client.get(nodes, this.#settings.name);
      const old = (existing['status'] as { conditions?: NodeCondition[] } | undefined)?.conditions ?? [];
      const conditions = nodeConditions(secondTime(this.#clock.now()), old);
      await this.#client.patch(
        nodes,
        this.#settings.name,
        { status: { conditions } },
        { type: 'strategic', subresource: 'status' },
      );
    } catch (error) {
      if (hasReason(error, 'NotFound')) await this.#register().catch(() => undefined);
      else
        this.#logger.warn('Node status not refreshed', {
          node: this.#settings.name,
          error: errorMessage(error),
        });
    }
  }

  async #renewLease(): Promise<void> {
    const namespace = 'kube-node-lease';
    const { name } = this.#settings;
    const renewTime = microTime(this.#clock.now());
    try {
      if (this.#lease) {
        this.#lease = await this.#client.update(leases, {
          ...this.#lease,
          spec: { ...(this.#lease['spec'] as object), renewTime },
        });
        return;
      }
      const node = await this.#client.get(nodes, name);
      try {
        this.#lease = await this.#client.create(leases, {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: {
            name,
            namespace,
            ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid: node.metadata.uid ?? '' }],
          },
          spec: { holderIdentity: name, leaseDurationSeconds: limits.leaseDurationSeconds, renewTime },
        });
      } catch (error) {
        if (!hasReason(error, 'AlreadyExists')) throw error;
        const found = await this.#client.get(leases, name, { namespace });
        this.#lease = await this.#client.update(leases, {
          ...found,
          spec: { ...(found['spec'] as object), holderIdentity: name, renewTime },
        });
      }
    } catch (error) {
      this.#lease = undefined;
      this.#logger.warn('Node lease not renewed', { node: name, error: errorMessage(error) });
    }
  }
}
