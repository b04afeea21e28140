import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { cleanupFinalizer, decideNames, isConditionTrue, withCondition } from '@pilothouse/api/apiextensions';
import type {
  CrdCondition,
  CustomResourceDefinitionSpec,
  CustomResourceNames,
} from '@pilothouse/api/apiextensions';
import { internalContext } from '../registry/internal-client.ts';
import type { InternalClient, WatchStream } from '../registry/rest/rest-storage.ts';
import { noAdmission } from '../registry/rest/rest-storage.ts';
import { deepClone, deepEqual } from '../storage/deep.ts';
import type { CustomResources } from './custom-resources.ts';

const group = 'apiextensions.k8s.io';
const resource = 'customresourcedefinitions';
const retryMs = 500;
/** Servers watch definitions independently; what one calls established the others should answer too. */
const establishDelayMs = 50;
const settleMs = 3000;
const settleStepMs = 10;

interface DefinitionStatus {
  conditions?: CrdCondition[] | null;
  acceptedNames?: CustomResourceNames;
  storedVersions?: string[];
}

/**
 * Follows the definitions: decides names, starts and ends serving, and removes the objects of definitions that are deleted. Runs in
 * every server; writes are conditional on the state they were decided on, so that any number may run.
 */
export class DefinitionController {
  readonly #client: InternalClient;
  readonly #resources: CustomResources;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Definitions with work to do; the value is the work after the one that runs. */
  readonly #running = new Map<string, { again: boolean }>();
  /** Names of definitions whose names are not accepted. */
  readonly #waiting = new Set<string>();
  #watch: WatchStream | undefined;
  #stopped = false;

  constructor(options: { client: InternalClient; resources: CustomResources; clock: Clock; logger: Logger }) {
    this.#client = options.client;
    this.#resources = options.resources;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** Resolves when the definitions that are there are served. */
  async start(): Promise<void> {
    const names = [...(this.#client.watchCache(group, resource)?.list() ?? [])].map(nameOf);
    void this.#follow();
    await Promise.all(names.map((name) => this.#enqueue(name)));
  }

  /** See {@link CustomResourceServing.settle}. */
  async settle(info: {
    readonly apiGroup: string;
    readonly apiVersion: string;
    readonly resource: string;
  }): Promise<void> {
    if (info.resource === '') return;
    const name = `${info.resource}.${info.apiGroup}`;
    const isDue = (definition: KubeObject | undefined): boolean =>
      definition !== undefined &&
      !isDeleting(definition) &&
      isConditionTrue(statusOf(definition).conditions, 'Established') &&
      (definition['spec'] as CustomResourceDefinitionSpec).versions.some(
        (version) => version.served && version.name === info.apiVersion,
      );
    let definition: KubeObject;
    try {
      definition = await this.#client.get(group, 'v1', resource, '', name);
    } catch {
      return;
    }
    if (!isDue(definition)) return;
    const end = this.#clock.monotonic() + settleMs;
    while (
      !this.#stopped &&
      !this.#resources.serves(name, info.apiVersion) &&
      this.#clock.monotonic() < end
    ) {
      await sleep(this.#clock, settleStepMs);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#watch?.close();
    this.#resources.close();
  }

  async #follow(): Promise<void> {
    while (!this.#stopped) {
      try {
        this.#watch = await this.#client.watch(group, 'v1', resource, {
          sendInitialEvents: true,
          resourceVersionMatch: 'NotOlderThan',
          allowWatchBookmarks: true,
        });
        for await (const event of this.#watch) {
          if (event.type === 'ERROR') break;
          if (event.type === 'BOOKMARK') continue;
          const { object } = event.object;
          const name = nameOf(object);
          if (event.type === 'DELETED') this.#resources.remove(name);
          if (event.type === 'DELETED' || isAccepted(object)) this.#waiting.delete(name);
          else this.#waiting.add(name);
          void this.#enqueue(name);
          // A name that was given up may be what another definition of the group waits for.
          for (const other of this.#waiting) {
            if (other !== name && other.endsWith(`.${String(object['spec'].group)}`))
              void this.#enqueue(other);
          }
        }
      } catch (error) {
        this.#logger.warn('Watching custom resource definitions failed', { error: errorMessage(error) });
      }
      if (!this.#stopped) await sleep(this.#clock, retryMs);
    }
  }

  /** One piece of work a definition at a time; more requests meanwhile become one more. */
  async #enqueue(name: string): Promise<void> {
    const running = this.#running.get(name);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    const state = { again: false };
    this.#running.set(name, state);
    do {
      state.again = false;
      try {
        await this.#work(name);
      } catch (error) {
        if (this.#stopped) break;
        if (!hasReason(error, 'Conflict') && !hasReason(error, 'NotFound')) {
          this.#logger.warn('Custom resource definition failed', { name, error: errorMessage(error) });
          await sleep(this.#clock, retryMs);
        } else await sleep(this.#clock, 10);
        state.again = this.#find(name) !== undefined;
      }
    } while (state.again && !this.#stopped);
    this.#running.delete(name);
  }

  #definitions(): KubeObject[] {
    return [...(this.#client.watchCache(group, resource)?.list() ?? [])];
  }

  #find(name: string): KubeObject | undefined {
    return this.#client.watchCache(group, resource)?.get('', name);
  }

  async #work(name: string): Promise<void> {
    const definition = this.#find(name);
    if (definition === undefined) {
      this.#resources.remove(name);
      return;
    }
    if (isDeleting(definition)) {
      await this.#resources.apply(definition);
      await this.#cleanUp(definition);
      return;
    }
    await this.#decideNames(definition);
    await this.#resources.apply(definition);
    await this.#establish(definition);
  }

  async #decideNames(definition: KubeObject): Promise<void> {
    const spec = definition['spec'] as CustomResourceDefinitionSpec;
    const status = statusOf(definition);
    // Names that were accepted stay so, whatever the others want.
    if (isAccepted(definition) && deepEqual(spec.names, status.acceptedNames)) return;
    const taken = this.#definitions()
      .filter((other) => other['spec'].group === spec.group && nameOf(other) !== nameOf(definition))
      .flatMap((other) => statusOf(other).acceptedNames ?? []);
    const { acceptedNames, condition } = decideNames(spec.names, status.acceptedNames, taken);
    const now = this.#now();
    let conditions = withCondition(status.conditions, condition, now);
    if (!isConditionTrue(conditions, 'Established')) {
      conditions = withCondition(
        conditions,
        condition.status === 'True'
          ? {
              type: 'Established',
              status: 'False',
              reason: 'Installing',
              message: 'the initial names have been accepted',
            }
          : {
              type: 'Established',
              status: 'False',
              reason: 'NotAccepted',
              message: 'not all names are accepted',
            },
        now,
      );
    }
    if (deepEqual(conditions, status.conditions) && deepEqual(acceptedNames, status.acceptedNames)) return;
    await this.#writeStatus(definition, { ...status, acceptedNames, conditions });
  }

  async #establish(definition: KubeObject): Promise<void> {
    const status = statusOf(definition);
    if (!isAccepted(definition) || isConditionTrue(status.conditions, 'Established')) return;
    await sleep(this.#clock, establishDelayMs);
    await this.#writeStatus(definition, {
      ...status,
      conditions: withCondition(
        status.conditions,
        {
          type: 'Established',
          status: 'True',
          reason: 'InitialNamesAccepted',
          message: 'the initial names have been accepted',
        },
        this.#now(),
      ),
    });
  }

  /** Deletes all objects, then lets the definition go. */
  async #cleanUp(definition: KubeObject): Promise<void> {
    if (!(definition.metadata.finalizers ?? []).includes(cleanupFinalizer)) return;
    const name = nameOf(definition);
    const storage = this.#resources.storagesOf(name)?.storages[0];
    if (storage !== undefined) {
      const context = internalContext(this.#clock, '');
      await storage.deleteCollection?.(context, {}, {}, noAdmission);
      const left = await storage.list?.(context, {});
      const count = [...(left?.items ?? [])].length;
      if (count > 0) {
        // Finalizers of the objects hold it up.
        await sleep(this.#clock, retryMs);
        void Promise.resolve().then(() => this.#enqueue(name));
        return;
      }
    }
    const next = deepClone(definition);
    next['status'] = {
      ...next['status'],
      conditions: withCondition(
        statusOf(definition).conditions,
        {
          type: 'Terminating',
          status: 'False',
          reason: 'InstanceDeletionCompleted',
          message: 'removed all instances',
        },
        this.#now(),
      ),
    };
    next.metadata.finalizers = (next.metadata.finalizers ?? []).filter((each) => each !== cleanupFinalizer);
    await this.#client.update(group, 'v1', resource, next);
  }

  async #writeStatus(definition: KubeObject, status: DefinitionStatus): Promise<void> {
    const next = deepClone(definition);
    next['status'] = status;
    await this.#client.update(group, 'v1', resource, next, 'status');
  }

  #now(): string {
    return `${new Date(this.#clock.now()).toISOString().slice(0, 19)}Z`;
  }
}

const nameOf = (definition: KubeObject): string => definition.metadata.name ?? '';
const statusOf = (definition: KubeObject): DefinitionStatus =>
  (definition['status'] ?? {}) as DefinitionStatus;
const isAccepted = (definition: KubeObject): boolean =>
  isConditionTrue(statusOf(definition).conditions, 'NamesAccepted');

function isDeleting(definition: KubeObject): boolean {
  return (definition.metadata.deletionTimestamp ?? '') !== '';
}
