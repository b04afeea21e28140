import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { CustomResourceDefinitionSpec } from '@pilothouse/api/apiextensions';
import { customGroupPriority } from '../endpoints/discovery/discovery-manager.ts';
import { internalContext } from '../registry/internal-client.ts';
import type { InternalClient } from '../registry/rest/rest-storage.ts';
import { deepClone } from '../storage/deep.ts';
import type { GroupVersionResources } from './custom-resources.ts';

const group = 'apiregistration.k8s.io';
const automanaged = 'kube-aggregator.kubernetes.io/automanaged';

/** Keeps an APIService for each group-version of custom resources, as lists of them show. Any number of servers may do this. */
export class ApiServiceRegistration {
  readonly #client: InternalClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** One after the other, so that the last change of a group-version wins. */
  #tail: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: { client: InternalClient; clock: Clock; logger: Logger }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  publish(changed: readonly GroupVersionResources[]): void {
    for (const each of changed) {
      this.#tail = this.#tail.then(async () => {
        if (this.#stopped) return;
        try {
          if (each.isServed) await this.#ensure(each.group, each.version);
          else if (!this.#isDefined(each.group, each.version))
            await this.#remove(`${each.version}.${each.group}`);
        } catch (error) {
          const name = `${each.version}.${each.group}`;
          if (!this.#stopped) this.#logger.warn('APIService not kept', { name, error: errorMessage(error) });
        }
      });
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Another server may have made it for a definition that this one has not served yet. */
  #isDefined(ofGroup: string, version: string): boolean {
    const definitions =
      this.#client.watchCache('apiextensions.k8s.io', 'customresourcedefinitions')?.list() ?? [];
    return [...definitions].some((definition) => {
      const spec = definition['spec'] as CustomResourceDefinitionSpec;
      return spec.group === ofGroup && spec.versions.some((each) => each.name === version && each.served);
    });
  }

  async #ensure(ofGroup: string, version: string): Promise<void> {
    const name = `${version}.${ofGroup}`;
    const known = this.#client.watchCache(group, 'apiservices')?.get('', name);
    if (known?.['status']?.conditions !== undefined) return;
    let object = await this.#find(name);
    if (object === undefined) {
      const { groupPriority, versionPriority } = customGroupPriority;
      const wanted: KubeObject = {
        apiVersion: `${group}/v1`,
        kind: 'APIService',
        metadata: { name, labels: { [automanaged]: 'true' } },
        spec: { group: ofGroup, version, groupPriorityMinimum: groupPriority, versionPriority },
      };
      try {
        object = await this.#client.create(group, 'v1', 'apiservices', wanted);
      } catch (error) {
        if (hasReason(error, 'AlreadyExists')) return;
        throw error;
      }
    }
    if (object['spec']?.service !== undefined || object['status']?.conditions !== undefined) return;
    const next = deepClone(object);
    next['status'] = {
      conditions: [
        {
          type: 'Available',
          status: 'True',
          lastTransitionTime: internalContext(this.#clock, '').now,
          reason: 'Local',
          message: 'Local APIServices are always available',
        },
      ],
    };
    try {
      await this.#client.update(group, 'v1', 'apiservices', next, 'status');
    } catch (error) {
      if (!hasReason(error, 'Conflict') && !hasReason(error, 'NotFound')) throw error;
    }
  }

  async #remove(name: string): Promise<void> {
    const object = await this.#find(name);
    if (object?.metadata.labels?.[automanaged] !== 'true') return;
    try {
      await this.#client.delete(group, 'v1', 'apiservices', '', name);
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }

  async #find(name: string): Promise<KubeObject | undefined> {
    try {
      return await this.#client.get(group, 'v1', 'apiservices', '', name);
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}
