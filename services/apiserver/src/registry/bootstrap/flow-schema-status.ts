import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, hasReason } from '@pilothouse/apimachinery';
import { objectAccess } from '../../security/internal-object-access.ts';
import type { InternalClient } from '../rest/rest-storage.ts';
import { applyConditions } from './apply-status.ts';

const group = 'flowcontrol.apiserver.k8s.io';
const manager = 'api-priority-and-fairness-config-consumer-v1';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

/**
 * Tells in the status of each FlowSchema whether its priority level exists (condition `Dangling`). All replicas do it; they agree, so only
 * the first write changes anything. Returns a function that ends it.
 */
export function followFlowSchemas(client: InternalClient, clock: Clock, logger: Logger): () => void {
  const objects = objectAccess(client, { clock, logger });
  const schemas = objects.cached({ group, version: 'v1', resource: 'flowschemas' });
  const levels = objects.cached({ group, version: 'v1', resource: 'prioritylevelconfigurations' });
  let ended = false;
  let waiting = false;
  const synced = { schemas: false, levels: false };
  const settle = async (): Promise<void> => {
    waiting = false;
    for (const schema of schemas.list()) {
      if (ended) return;
      const wanted = danglingCondition(schema, (name) => levels.get('', name) !== undefined);
      const known = ((schema['status']?.conditions ?? []) as Condition[]).find(
        ({ type }) => type === 'Dangling',
      );
      if (known?.status === wanted.status && known.message === wanted.message) continue;
      try {
        await applyCondition(client, clock, schema.metadata.name ?? '', wanted, known);
      } catch (error) {
        if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) {
          logger.warn('Cannot write the status of a FlowSchema', { error: errorMessage(error) });
        }
      }
    }
  };
  // Changes of one moment are settled together.
  const changed = (): void => {
    if (waiting || ended || !synced.schemas || !synced.levels) return;
    waiting = true;
    clock.setTimeout(() => void settle(), 0);
  };
  const listener = (name: 'schemas' | 'levels') => ({
    reset: () => undefined,
    changed,
    synced: () => {
      synced[name] = true;
      changed();
    },
  });
  const ends = [schemas.subscribe(listener('schemas')), levels.subscribe(listener('levels'))];
  return () => {
    ended = true;
    for (const end of ends) end();
  };
}

function danglingCondition(schema: KubeObject, exists: (level: string) => boolean): Condition {
  const level = (schema['spec']?.priorityLevelConfiguration?.name as string | undefined) ?? '';
  const reference = `This FlowSchema references the PriorityLevelConfiguration object named ${goQuote(level)}`;
  return exists(level)
    ? { type: 'Dangling', status: 'False', reason: 'Found', message: `${reference} and it exists` }
    : {
        type: 'Dangling',
        status: 'True',
        reason: 'NotFound',
        message: `${reference} but there is no such object`,
      };
}

async function applyCondition(
  client: InternalClient,
  clock: Clock,
  name: string,
  condition: Condition,
  known: Condition | undefined,
): Promise<void> {
  const lastTransitionTime = known?.status === condition.status ? known.lastTransitionTime : undefined;
  await applyConditions(
    client,
    clock,
    { group, version: 'v1', kind: 'FlowSchema', resource: 'flowschemas', name },
    manager,
    [{ ...condition, ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }) }],
  );
}
