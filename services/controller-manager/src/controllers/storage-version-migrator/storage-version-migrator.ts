import type { KubeObject } from '@pilothouse/apimachinery';
import { apiVersionOf, hasReason, StatusError } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { Informer } from '@pilothouse/client';
import { Controller, secondTime } from '@pilothouse/client';
import type { DiscoveredResource } from '../../common/discovery.ts';
import { discoverResources } from '../../common/discovery.ts';
import { resources } from '../../common/resources.ts';
import type { ControllerContext, ControllerFactory, ControlLoop } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { DefinitionMarks } from './definition-marks.ts';
import {
  hasEnded,
  hasSucceeded,
  isNewer,
  isRevision,
  isRunning,
  nextToStart,
  resourceOf,
  sameResource,
  stopped,
  withCondition,
} from './migration.ts';

const workers = 5;
/** Objects asked for at once, and written at once. */
const pageSize = 500;
const writesAtOnce = 8;
/** So long a resource may be missing in discovery: its definition may have been made a moment ago. */
const discoveryGraceMs = 60_000;
const wantedVerbs = ['update', 'patch', 'list'];

/** Another try may end otherwise. */
const passingReasons = ['ServerTimeout', 'TooManyRequests', 'ServiceUnavailable', 'InternalError', 'Timeout'];

/**
 * Writes every object of a resource anew, so that it stands in today's storage version and under today's key
 * (storagemigration.k8s.io/v1beta1). At most one migration of a resource runs at a time; a custom resource's definition is told.
 * Each object is applied with nothing but its uid and resourceVersion: who changed or deleted it meanwhile makes that a conflict, and
 * has done the work. Safe to repeat from the start, which is what a new leader does.
 */
class StorageVersionMigrator implements ControlLoop {
  readonly #context: ControllerContext;
  readonly #marks: DefinitionMarks;
  readonly #loop: Controller;
  #migrations: Informer | undefined;
  #stopping = false;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#marks = new DefinitionMarks(context.client, context.clock);
    this.#loop = new Controller({ ...loopOptions(context), workers }, (name) => this.#sync(name));
  }

  /** Not asked for before: where no API server serves the kind, all the other controllers would wait for it. */
  start(): void {
    this.#migrations = this.#context.informers.informer(resources.storageVersionMigrations);
    // The end of one may be the beginning of another.
    const changed = (migration: KubeObject): void => {
      for (const each of this.#alike(migration)) this.#loop.queue.add(each.metadata.name ?? '');
    };
    this.#migrations.addHandler({ onAdd: changed, onUpdate: changed, onDelete: changed });
    this.#migrations.start();
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#loop.stop();
  }

  #alike(migration: KubeObject): KubeObject[] {
    return (this.#migrations?.lister.list() ?? []).filter((each) => sameResource(each, migration));
  }

  async #sync(name: string): Promise<void> {
    const migration = this.#migrations?.lister.get(name);
    if (migration === undefined) return;
    if (hasEnded(migration)) {
      if (isRunning(migration)) await this.#end(migration);
    } else if (!isRunning(migration)) {
      if (nextToStart(this.#alike(migration)) === migration) await this.#begin(migration);
    } else {
      const target = await this.#find(migration);
      if (target === undefined) return;
      const checkpoint = migration['status']?.resourceVersion as string | undefined;
      if (checkpoint === undefined || checkpoint === '') await this.#setCheckpoint(migration, target);
      else await this.#run(migration, target, checkpoint);
    }
  }

  async #begin(migration: KubeObject): Promise<void> {
    await this.#marks.running(resourceOf(migration), migration.metadata.name ?? '');
    await this.#write(
      withCondition(migration, 'Running', 'MigrationRunning', 'The migration is running', this.#now()),
    );
  }

  async #end(migration: KubeObject): Promise<void> {
    await this.#marks.ended(resourceOf(migration), hasSucceeded(migration));
    await this.#write(stopped(migration, this.#now()));
  }

  /** The resource, when it can be migrated; else the migration is failed, or tried again while the resource may still turn up. */
  async #find(migration: KubeObject): Promise<DiscoveredResource | undefined> {
    const { group = '', resource } = resourceOf(migration);
    const found = (await discoverResources(this.#context.client)).resources.find(
      ({ ref }) => ref.group === group && ref.resource === resource,
    );
    if (found === undefined) {
      const madeMs = Date.parse(migration.metadata.creationTimestamp ?? '');
      if (madeMs + discoveryGraceMs > this.#context.clock.now())
        throw new Error(`Resource "${resource}" of group "${group}" is not in discovery yet`);
      await this.#fail(migration, 'resource does not exist in discovery');
      return undefined;
    }
    if (wantedVerbs.every((verb) => found.verbs.includes(verb))) return found;
    const { ref } = found;
    await this.#fail(
      migration,
      `resource "${ref.group}/${ref.version}, Resource=${ref.resource}" does not support discovery operations: [${wantedVerbs.join(' ')}]`,
    );
    return undefined;
  }

  /** Remembers the revision up to which objects have to be written anew. */
  async #setCheckpoint(migration: KubeObject, { ref }: DiscoveredResource): Promise<void> {
    const list = await this.#context.client.list(ref, { limit: 1, metadataOnly: true });
    const resourceVersion = list.metadata.resourceVersion ?? '';
    if (!isRevision(resourceVersion)) {
      await this.#fail(
        migration,
        `latest resourceVersion for ${ref.group}/${ref.version}, Resource=${ref.resource} is not valid: resource version is not well formed: ${resourceVersion}`,
      );
      return;
    }
    await this.#write({ ...migration, status: { ...migration['status'], resourceVersion } });
  }

  async #run(migration: KubeObject, target: DiscoveredResource, checkpoint: string): Promise<void> {
    const { client } = this.#context;
    let next = '';
    do {
      const page = await client.list(target.ref, {
        limit: pageSize,
        metadataOnly: true,
        ...(next === '' ? {} : { continue: next }),
      });
      next = page.metadata.continue ?? '';
      const problem = await this.#rewriteAll(page.items, target, checkpoint);
      if (problem !== undefined) {
        await this.#fail(migration, `migration encountered unhandled error: ${errorMessage(problem)}`);
        return;
      }
    } while (next !== '');
    await this.#write(
      withCondition(migration, 'Succeeded', 'StorageVersionMigrationSucceeded', '', this.#now()),
    );
  }

  /** Returns what no other try will mend; throws what one may. */
  async #rewriteAll(
    objects: readonly KubeObject[],
    target: DiscoveredResource,
    checkpoint: string,
  ): Promise<StatusError | undefined> {
    let at = 0;
    let problem: StatusError | undefined;
    const lane = async (): Promise<void> => {
      for (
        let object = objects[at++];
        object !== undefined && problem === undefined;
        object = objects[at++]
      ) {
        if (this.#stopping)
          throw new Error('The controller stops; the migration goes on with the next leader');
        if (isNewer(object.metadata.resourceVersion ?? '0', checkpoint)) continue;
        problem = (await this.#rewrite(object, target)) ?? problem;
      }
    };
    await Promise.all(Array.from({ length: writesAtOnce }, lane));
    return problem;
  }

  async #rewrite(object: KubeObject, { ref, kind }: DiscoveredResource): Promise<StatusError | undefined> {
    const { name = '', namespace, uid, resourceVersion } = object.metadata;
    try {
      await this.#context.client.patch(
        ref,
        name,
        { apiVersion: apiVersionOf(ref.group, ref.version), kind, metadata: { uid, resourceVersion } },
        {
          type: 'apply',
          fieldManager: this.#context.name,
          ...(namespace === undefined ? {} : { namespace }),
        },
      );
      return undefined;
    } catch (error) {
      if (hasReason(error, 'Conflict')) return undefined;
      if (!(error instanceof StatusError) || passingReasons.includes(error.reason)) throw error;
      return error;
    }
  }

  async #fail(migration: KubeObject, message: string): Promise<void> {
    this.#context.logger.warn('Storage version migration failed', {
      migration: migration.metadata.name ?? '',
      message,
    });
    await this.#write(
      withCondition(migration, 'Failed', 'StorageVersionMigrationFailed', message, this.#now()),
    );
  }

  async #write(migration: KubeObject): Promise<void> {
    await this.#context.client.update(resources.storageVersionMigrations, migration, {
      subresource: 'status',
    });
  }

  #now(): string {
    return secondTime(this.#context.clock.now());
  }
}

export const createStorageVersionMigrator: ControllerFactory = (context) =>
  new StorageVersionMigrator(context);
