import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller, objectKey } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

const namespace = 'kube-system';
const tokenType = 'bootstrap.kubernetes.io/token';

/** When a token ends, wall milliseconds; undefined when it does not say or says it wrongly. */
export function expirationMs(secret: KubeObject): number | undefined {
  const encoded = (secret['data'] as Record<string, string> | undefined)?.['expiration'];
  if (encoded === undefined || encoded === '') return undefined;
  const ms = Date.parse(Buffer.from(encoded, 'base64').toString('utf8'));
  return Number.isNaN(ms) ? undefined : ms;
}

/** Deletes bootstrap tokens that have expired. */
export const createBootstrapTokenCleaner: ControllerFactory = (context) => {
  const { client, clock } = context;
  const secrets = context.informers.informer(resources.secrets, {
    namespace,
    fieldSelector: `type=${tokenType}`,
  });
  const loop = new Controller(loopOptions(context), async (key) => {
    const secret = secrets.lister.getByKey(key);
    const endMs = secret && expirationMs(secret);
    if (!secret || endMs === undefined) return undefined;
    const leftMs = endMs - clock.now();
    if (leftMs > 0) return { requeueAfterMs: leftMs };
    await client
      .delete(resources.secrets, secret.metadata.name ?? '', {
        namespace,
        ...(secret.metadata.uid === undefined ? {} : { preconditions: { uid: secret.metadata.uid } }),
      })
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
      });
    return undefined;
  });
  const enqueue = (secret: KubeObject): void => loop.queue.add(objectKey(secret));
  secrets.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  return loop;
};
