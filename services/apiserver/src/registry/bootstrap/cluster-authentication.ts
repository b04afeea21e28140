import type { InternalClient } from '../rest/rest-storage.ts';
import { ensureObject } from './ensure.ts';

/** What servers behind this one (API aggregation) need to trust it: kept in kube-system/extension-apiserver-authentication. */
export async function ensureClusterAuthentication(
  client: InternalClient,
  data: Readonly<Record<string, string>>,
): Promise<void> {
  if (Object.keys(data).length === 0) return;
  const wanted = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' },
    data: { ...data },
  };
  await ensureObject(client, 'configmaps', wanted, (existing) => {
    const present = (existing['data'] ?? {}) as Record<string, string>;
    const next = { ...present };
    for (const [key, value] of Object.entries(data)) {
      // Certificates of other servers in the bundle stay: they may be trusted by another replica.
      if (key.endsWith('ca-file')) next[key] = mergePem(present[key] ?? '', value);
      else next[key] = value;
    }
    if (Object.entries(next).every(([key, value]) => present[key] === value)) return undefined;
    existing['data'] = next;
    return existing;
  });
}

function mergePem(present: string, added: string): string {
  const blocks = (text: string): string[] =>
    text.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n?/g) ?? [];
  const known = blocks(present).map((block) => block.trim());
  const fresh = blocks(added).filter((block) => !known.includes(block.trim()));
  if (fresh.length === 0) return present === '' ? added : present;
  return [...known.map((block) => `${block}\n`), ...fresh].join('');
}
