import type { Registry } from 'prom-client';
import type { Clock } from '@pilothouse/base';
import type { EncryptionSeries } from '../../metrics/encryption-series.ts';
import { registerSource } from '../../metrics/cells.ts';
import type { MetricValue } from '../../metrics/cells.ts';
import type { Encryption } from './encryption.ts';
import { encryptedPrefix, isEncrypted } from './transformer.ts';

type Direction = 'from_storage' | 'to_storage';

/** Counts transformations by resource and provider; told as upstream's metrics once there is a registry. */
export class TransformationCounts {
  readonly #seconds: EncryptionSeries['seconds'] | undefined;
  readonly #clock: Clock | undefined;
  readonly #counts = new Map<string, { readonly labels: Record<string, string>; value: number }>();

  constructor(ports?: { readonly series: EncryptionSeries; readonly clock: Clock }) {
    this.#seconds = ports?.series.seconds;
    this.#clock = ports?.clock;
  }

  /** For {@link count}: when a transformation began, in milliseconds. */
  begin(): number {
    return this.#clock?.monotonic() ?? 0;
  }

  /** `stored`: the bytes of the store, for the provider's prefix; undefined when they could not be made. `beganMs`: of {@link begin}. */
  count(
    claim: { readonly group: string; readonly resource: string },
    direction: Direction,
    stored: Uint8Array | undefined,
    failed: boolean,
    beganMs: number,
  ): void {
    const resource = claim.group === '' ? claim.resource : `${claim.resource}.${claim.group}`;
    const prefix = stored === undefined ? 'unknown' : providerPrefix(stored);
    if (!failed) this.#seconds?.series(direction, prefix).observe((this.begin() - beganMs) / 1000);
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
  /** Hash of this server's name. */
  server: string,
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
      { labels: { status: 'success', apiserver_id_hash: server }, value: encryption.reloads.success },
      { labels: { status: 'failure', apiserver_id_hash: server }, value: encryption.reloads.failure },
    ],
  );
  registerSource(
    registry,
    'apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds',
    'When the encryption configuration last changed, by what became of it',
    'gauge',
    () => {
      const { lastSuccessMs, lastFailureMs } = encryption.reloads;
      return [
        { labels: { status: 'success', apiserver_id_hash: server }, value: lastSuccessMs / 1000 },
        { labels: { status: 'failure', apiserver_id_hash: server }, value: lastFailureMs / 1000 },
      ].filter(({ value }) => value > 0);
    },
  );
  registerSource(
    registry,
    'apiserver_encryption_config_controller_last_config_info',
    'Constant 1, labelled with the hash of the encryption configuration in use',
    'gauge',
    () => [{ labels: { apiserver_id_hash: server, hash: encryption.configHash }, value: 1 }],
  );
}
