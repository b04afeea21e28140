import type { Registry } from 'prom-client';
import { registerSource } from '../../metrics/cells.ts';
import type { MetricValue } from '../../metrics/cells.ts';
import type { Encryption } from './encryption.ts';
import { encryptedPrefix, isEncrypted } from './transformer.ts';

type Direction = 'from_storage' | 'to_storage';

/** Counts transformations by resource and provider; told as upstream's metrics once there is a registry. */
export class TransformationCounts {
  readonly #counts = new Map<string, { readonly labels: Record<string, string>; value: number }>();

  /** `stored`: the bytes of the store, for the provider's prefix; undefined when they could not be made. */
  count(
    claim: { readonly group: string; readonly resource: string },
    direction: Direction,
    stored: Uint8Array | undefined,
    failed: boolean,
  ): void {
    const resource = claim.group === '' ? claim.resource : `${claim.resource}.${claim.group}`;
    const prefix = stored === undefined ? 'unknown' : providerPrefix(stored);
    const status = failed ? 'Unknown' : 'OK';
    const key = `${resource} ${direction} ${prefix} ${status}`;
    const found = this.#counts.get(key);
    if (found !== undefined) {
      found.value++;
      return;
    }
    const labels = { resource, transformation_type: direction, transformer_prefix: prefix, status };
    this.#counts.set(key, { labels, value: 1 });
  }

  values(): MetricValue[] {
    return [...this.#counts.values()].map(({ labels, value }) => ({ labels, value }));
  }
}

/** `k8s:enc:aesgcm:v1:`, `k8s:enc:kms:v2:name:`, or `identity`. Never more than the providers themselves write there. */
function providerPrefix(stored: Uint8Array): string {
  if (!isEncrypted(stored)) return 'identity';
  const head = Buffer.from(stored.buffer, stored.byteOffset, Math.min(stored.length, 160)).toString('latin1');
  const parts = head.slice(encryptedPrefix.length).split(':', 3);
  const shown = parts[0] === 'kms' ? parts.slice(0, 3) : parts.slice(0, 2);
  return `${encryptedPrefix}${shown.join(':')}:`;
}

/** Adds the metrics of encryption to a server's. */
export function registerEncryptionMetrics(
  registry: Registry,
  encryption: Encryption,
  counts: TransformationCounts,
): void {
  registerSource(
    registry,
    'apiserver_storage_transformation_operations_total',
    'Values encrypted for and decrypted from the store',
    'counter',
    () => counts.values(),
  );
  registerSource(
    registry,
    'apiserver_storage_envelope_transformation_cache_misses_total',
    'Data keys that a KMS plugin had to decrypt',
    'counter',
    () => [{ labels: {}, value: encryption.cacheMisses }],
  );
  registerSource(
    registry,
    'apiserver_encryption_config_controller_automatic_reloads_total',
    'Changes of the encryption configuration, by what became of them',
    'counter',
    () => [
      { labels: { status: 'success' }, value: encryption.reloads.success },
      { labels: { status: 'failure' }, value: encryption.reloads.failure },
    ],
  );
  registerSource(
    registry,
    'apiserver_encryption_config_controller_last_config_info',
    'Constant 1, labelled with the hash of the encryption configuration in use',
    'gauge',
    () => [{ labels: { hash: encryption.configHash }, value: 1 }],
  );
}
