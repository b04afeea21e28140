import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock, Logger, Random } from '@pilothouse/base';
import type { ObjectStorage } from '../object-storage.ts';
import type { ChangeFeed } from './change-feed.ts';

/** What a watch cache stands on. */
export interface CacherOptions {
  readonly storage: ObjectStorage;
  readonly feed: ChangeFeed;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Value by which many watchers each select their own few objects (pods: spec.nodeName). */
  readonly trigger?: ((object: KubeObject) => string) | undefined;
  /** Refuses revisions as a server does that keeps no copy of the resource (upstream: events), and without waiting for late ones. */
  readonly refusesAsStore?: boolean | undefined;
}
