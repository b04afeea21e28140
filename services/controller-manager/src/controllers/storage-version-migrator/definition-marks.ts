import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { RestClient } from '@pilothouse/client';
import { secondTime } from '@pilothouse/client';
import type { Condition } from '../../common/conditions.ts';
import { findCondition } from '../../common/conditions.ts';
import { resources } from '../../common/resources.ts';
import type { GroupResource } from './migration.ts';

const fieldManager = 'migration-runner-controller';
const attempts = 5;

/** Tells the definition of a custom resource that its objects are migrated, and in the end which versions are still stored. */
export class DefinitionMarks {
  readonly #client: RestClient;
  readonly #clock: Clock;

  constructor(client: RestClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async running(resource: GroupResource, migration: string): Promise<void> {
    await this.#mark(resource, (definition) => ({
      condition: {
        status: 'True',
        reason: 'MigrationRunning',
        message: `Migration ${migration} is running`,
      },
      // An apply takes away what this manager alone owned and no longer names.
      storedVersions: definition['status']?.storedVersions as string[] | undefined,
    }));
  }

  /** Versions that nothing is stored in any more are forgotten, unless the definition changed meanwhile. */
  async ended(resource: GroupResource, succeeded: boolean): Promise<void> {
    await this.#mark(resource, (definition) => {
      const begun = findCondition(
        definition['status']?.conditions as Condition[] | undefined,
        'StorageMigrating',
      );
      const unchanged = begun !== undefined && begun.observedGeneration === definition.metadata.generation;
      const versions = definition['spec'].versions as { name: string; storage?: boolean }[];
      const storage = versions.find((version) => version.storage === true);
      const condition = succeeded
        ? {
            status: 'False',
            reason: 'MigrationSucceeded',
            message: unchanged
              ? 'The migration has succeeded and the stored versions have been updated'
              : 'The migration has succeeded but the stored versions have not been updated due to a generation mismatch',
          }
        : { status: 'False', reason: 'MigrationFailed', message: 'The migration has failed' };
      return {
        condition,
        storedVersions:
          succeeded && unchanged && storage !== undefined
            ? [storage.name]
            : (definition['status']?.storedVersions as string[] | undefined),
      };
    });
  }

  async #mark(
    { group = '', resource }: GroupResource,
    decide: (definition: KubeObject) => {
      readonly condition: Pick<Condition, 'status' | 'reason' | 'message'>;
      readonly storedVersions: readonly string[] | undefined;
    },
  ): Promise<void> {
    const name = `${resource}.${group}`;
    for (let attempt = 1; ; attempt++) {
      let definition: KubeObject;
      try {
        definition = await this.#client.get(resources.customResourceDefinitions, name);
      } catch (error) {
        if (hasReason(error, 'NotFound')) return;
        throw error;
      }
      const { condition, storedVersions } = decide(definition);
      try {
        await this.#client.patch(
          resources.customResourceDefinitions,
          name,
          {
            apiVersion: 'apiextensions.k8s.io/v1',
            kind: 'CustomResourceDefinition',
            // Of the state that was looked at: otherwise the conclusion may be wrong.
            metadata: { name, resourceVersion: definition.metadata.resourceVersion },
            status: {
              conditions: [
                {
                  type: 'StorageMigrating',
                  ...condition,
                  lastTransitionTime: secondTime(this.#clock.now()),
                  observedGeneration: definition.metadata.generation,
                },
              ],
              ...(storedVersions === undefined ? {} : { storedVersions }),
            },
          },
          { type: 'apply', subresource: 'status', fieldManager, force: true },
        );
        return;
      } catch (error) {
        if (!hasReason(error, 'Conflict') || attempt === attempts) throw error;
      }
    }
  }
}
