import { createHash } from 'node:crypto';
import type { Random } from '@pilothouse/base';
import { uuid } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { InternalClient } from '../rest/rest-storage.ts';
import { ensureObject } from './ensure.ts';

const durationSeconds = 3600;
const identityLabel = 'apiserver.kubernetes.io/identity';
const group = 'coordination.k8s.io';

export interface ServerIdentity {
  /** `apiserver-<hash of the host name>`, the same after a restart. */
  readonly name: string;
  /** New with each start. */
  readonly holder: string;
  readonly hostname: string;
  /** `host:port` at which the other servers reach this one. */
  readonly peerAddress: string | undefined;
}

export function serverName(hostname: string): string {
  return `apiserver-${base32(createHash('sha256').update(hostname).digest().subarray(0, 16))}`;
}

export function serverIdentity(hostname: string, random: Random, peerAddress?: string): ServerIdentity {
  const name = serverName(hostname);
  return { name, holder: `${name}_${uuid(random)}`, hostname, peerAddress };
}

/** Says that this server is alive in its coordination Lease in kube-system. */
export async function renewIdentityLease(
  client: InternalClient,
  identity: ServerIdentity,
  nowMicro: string,
): Promise<void> {
  const annotations =
    identity.peerAddress === undefined
      ? undefined
      : { 'kubernetes.io/peer-advertise-address': identity.peerAddress };
  const spec = {
    holderIdentity: identity.holder,
    leaseDurationSeconds: durationSeconds,
    renewTime: nowMicro,
  };
  const wanted: KubeObject = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: identity.name,
      namespace: 'kube-system',
      labels: { [identityLabel]: 'kube-apiserver', 'kubernetes.io/hostname': identity.hostname },
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec,
  };
  await ensureObject(client, 'leases', wanted, (existing) => {
    existing['spec'] = spec;
    existing.metadata.labels = { ...existing.metadata.labels, ...wanted.metadata.labels };
    if (annotations !== undefined)
      existing.metadata.annotations = { ...existing.metadata.annotations, ...annotations };
    return existing;
  });
}

/** Removes the Leases of servers that ended long ago. */
export async function collectIdentityLeases(client: InternalClient, nowMs: number): Promise<void> {
  const leases = await client.list(group, 'v1', 'leases', 'kube-system', {
    labelSelector: `${identityLabel}=kube-apiserver`,
  });
  for (const lease of leases) {
    const renewed = Date.parse((lease['spec']?.renewTime as string | undefined) ?? '');
    const seconds = (lease['spec']?.leaseDurationSeconds as number | undefined) ?? durationSeconds;
    if (!Number.isNaN(renewed) && renewed + seconds * 1000 > nowMs) continue;
    try {
      await client.delete(group, 'v1', 'leases', 'kube-system', lease.metadata.name ?? '');
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }
}

/** RFC 4648, lower case, without padding. */
function base32(bytes: Uint8Array): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      text += alphabet[(value >>> (bits - 5)) & 31];
      bits -= 5;
    }
    value &= (1 << bits) - 1;
  }
  if (bits > 0) text += alphabet[(value << (5 - bits)) & 31];
  return text;
}
