import type { Clock } from '@pilothouse/base';
import type { MetricTaker } from './cells.ts';
import { CellFamily, DistributionFamily } from './cells.ts';

/** Names of keys of a KMS that series are kept for. */
const keyIdsMax = 100;
const doublingFrom = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => first * 2 ** index);

/** Metrics of encryption at rest, with upstream's names and labels. */
export class EncryptionSeries {
  readonly #server: string;
  readonly #clock: Clock;
  readonly #keyIds = new Set<string>();
  /** Labels: transformation_type, transformer_prefix. */
  readonly seconds: DistributionFamily;
  /** Labels: provider_name, method_name, grpc_status_code. */
  readonly kmsSeconds: DistributionFamily;
  /** Labels: provider_name, error. */
  readonly invalidKeyIds: CellFamily;
  /** Label: provider_name. */
  readonly dataKeys: CellFamily;
  readonly #keyIdUses: CellFamily;
  readonly #keyIdUsedAt: CellFamily;
  readonly #keyIdStatusAt: CellFamily;

  /** `server`: the hash of its name. */
  constructor(metrics: MetricTaker, server: string, clock: Clock) {
    this.#server = server;
    this.#clock = clock;
    const family = (
      type: 'counter' | 'gauge',
      name: string,
      help: string,
      labelNames: readonly string[],
    ): CellFamily =>
      new CellFamily(metrics, { name: `apiserver_envelope_encryption_${name}`, help, type, labelNames });
    this.seconds = new DistributionFamily(metrics, {
      name: 'apiserver_storage_transformation_duration_seconds',
      help: 'Time to encrypt or decrypt a value, in seconds',
      labelNames: ['transformation_type', 'transformer_prefix'],
      buckets: doublingFrom(5e-6, 25),
    });
    this.kmsSeconds = new DistributionFamily(metrics, {
      name: 'apiserver_envelope_encryption_kms_operations_latency_seconds',
      help: 'Time of calls of a KMS plugin, in seconds',
      labelNames: ['provider_name', 'method_name', 'grpc_status_code'],
      buckets: doublingFrom(0.0001, 20),
    });
    this.invalidKeyIds = family(
      'counter',
      'invalid_key_id_from_status_total',
      'Key ids that cannot be used',
      ['provider_name', 'error'],
    );
    this.dataKeys = family('gauge', 'dek_source_cache_size', 'Data keys that are remembered', [
      'provider_name',
    ]);
    const used = ['transformation_type', 'provider_name', 'key_id_hash', 'apiserver_id_hash'];
    this.#keyIdUses = family('counter', 'key_id_hash_total', 'Uses of a key of a KMS', used);
    this.#keyIdUsedAt = family(
      'gauge',
      'key_id_hash_last_timestamp_seconds',
      'When a key of a KMS was last used',
      used,
    );
    this.#keyIdStatusAt = family(
      'gauge',
      'key_id_hash_status_last_timestamp_seconds',
      'When a KMS last named a key as its present one',
      ['provider_name', 'key_id_hash', 'apiserver_id_hash'],
    );
  }

  /** `keyIdHash` stands for a key of the KMS that a value was encrypted or is decrypted with. */
  keyIdUsed(direction: 'from_storage' | 'to_storage', provider: string, keyIdHash: string): void {
    if (!this.#mayName(keyIdHash)) return;
    const labels = [direction, provider, keyIdHash, this.#server];
    this.#keyIdUses.cell(...labels).inc();
    this.#keyIdUsedAt.cell(...labels).set(this.#clock.now() / 1000);
  }

  keyIdTold(provider: string, keyIdHash: string): void {
    if (this.#mayName(keyIdHash))
      this.#keyIdStatusAt.cell(provider, keyIdHash, this.#server).set(this.#clock.now() / 1000);
  }

  #mayName(keyIdHash: string): boolean {
    if (this.#keyIds.has(keyIdHash)) return true;
    if (this.#keyIds.size >= keyIdsMax) return false;
    this.#keyIds.add(keyIdHash);
    return true;
  }
}
