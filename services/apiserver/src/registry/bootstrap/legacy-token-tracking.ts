import type { InternalClient } from '../rest/rest-storage.ts';
import { ensureObject } from './ensure.ts';

/** Says in kube-system since when the use of legacy tokens is noted, so that others can tell which are unused. `today`: `2026-01-31`. */
export async function ensureLegacyTokenTracking(client: InternalClient, today: string): Promise<void> {
  const wanted = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'kube-apiserver-legacy-service-account-token-tracking', namespace: 'kube-system' },
    data: { since: today },
  };
  await ensureObject(client, 'configmaps', wanted, (existing) => {
    const data = (existing['data'] ?? {}) as Record<string, string>;
    const { since = '' } = data;
    if (/^\d{4}-\d\d-\d\d$/.test(since) && !Number.isNaN(Date.parse(since))) return undefined;
    existing['data'] = { ...data, since: today };
    return existing;
  });
}
