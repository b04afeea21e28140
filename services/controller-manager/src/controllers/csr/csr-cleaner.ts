import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller } from '@pilothouse/client';
import { X509Certificate } from 'node:crypto';
import type { Condition } from '../../common/conditions.ts';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

const hourMs = 3_600_000;
const pollMs = hourMs;

/** How long requests are kept, from their decision, or from their making while there is none. */
const keptMs: Readonly<Record<string, number>> = { Approved: hourMs, Denied: hourMs, Failed: hourMs };
const pendingKeptMs = 24 * hourMs;

function certificateExpired(csr: KubeObject, nowMs: number): boolean {
  const certificate = csr['status']?.certificate as string | undefined;
  if (certificate === undefined) return false;
  try {
    return Date.parse(new X509Certificate(Buffer.from(certificate, 'base64')).validTo) < nowMs;
  } catch {
    return false;
  }
}

/** Whether a request has had its time. */
export function isStale(csr: KubeObject, nowMs: number): boolean {
  const conditions = (csr['status']?.conditions ?? []) as Condition[];
  const issued = csr['status']?.certificate !== undefined;
  for (const { type, lastUpdateTime, lastTransitionTime } of conditions) {
    const limitMs = keptMs[type];
    if (limitMs === undefined || (type === 'Approved' && !issued)) continue;
    if (nowMs - Date.parse(lastUpdateTime ?? lastTransitionTime ?? '') > limitMs) return true;
  }
  if (certificateExpired(csr, nowMs)) return true;
  return !issued && nowMs - Date.parse(csr.metadata.creationTimestamp ?? '') > pendingKeptMs;
}

/** Deletes old certificate requests. */
export const createCsrCleaner: ControllerFactory = (context) => {
  const { client, clock } = context;
  const requests = context.informers.informer(resources.certificateSigningRequests);
  const loop = new Controller(loopOptions(context), async () => {
    for (const csr of requests.lister.list()) {
      if (!isStale(csr, clock.now())) continue;
      await client
        .delete(resources.certificateSigningRequests, csr.metadata.name ?? '')
        .catch((error: unknown) => {
          if (!hasReason(error, 'NotFound')) throw error;
        });
    }
    return { requeueAfterMs: pollMs };
  });
  loop.queue.add('all');
  return loop;
};
