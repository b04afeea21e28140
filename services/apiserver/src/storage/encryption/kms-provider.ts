import { createHash } from 'node:crypto';
import type { Clock, Logger, Random, Timer } from '@pilothouse/base';
import { errorMessage, uuid } from '@pilothouse/base';
import type { EncryptionSeries } from '../../metrics/encryption-series.ts';
import { DerivedKeyTransformer, GcmTransformer } from './ciphers.ts';
import type { EncryptedObject } from './encrypted-object.ts';
import {
  checkEncryptedObject,
  checkKeyId,
  decodeEncryptedObject,
  dekSourceType,
  encodeEncryptedObject,
  keyIdHash,
} from './encrypted-object.ts';
import type { KmsService } from './kms-client.ts';
import type { Decrypted, MaybePromise, ValueTransformer } from './transformer.ts';
import { EncryptionError } from './transformer.ts';

/** Milliseconds, as upstream's. */
const kmsTimes = {
  /** Between two questions for the plugin's state while it is well, and while it is not. */
  healthyPollMs: 60_000,
  unhealthyPollMs: 10_000,
  /** Without a good answer for so long, writes fail: the key id might have changed. */
  writeLifeMs: 180_000,
  /** A health check asks the plugin at most so often. */
  okAnswerLifeMs: 20_000,
  badAnswerLifeMs: 3000,
  /** How long a decrypted data key is kept. */
  keyLifeMs: 24 * 3_600_000,
} as const;

export interface KmsProviderOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly series?: EncryptionSeries | undefined;
}

interface WriteState {
  readonly transformer: ValueTransformer;
  readonly template: Omit<EncryptedObject, 'data'>;
  readonly expiresMs: number;
  readonly keyIdHash: string;
}

/** Health and data keys of one KMS v2 plugin, and the transformer that uses them. Values are encrypted with a seed that the KMS encrypted. */
export class KmsProvider implements ValueTransformer {
  readonly name: string;
  /** Questions to the plugin for data keys that were not remembered. */
  cacheMisses = 0;
  readonly #service: KmsService;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #keys = new Map<string, { readonly transformer: ValueTransformer; readonly sinceMs: number }>();
  readonly #asking = new Map<string, Promise<ValueTransformer>>();
  readonly #series: EncryptionSeries | undefined;
  #state: WriteState | undefined;
  #version = '';
  #answer: { readonly failure: unknown; readonly untilMs: number } | undefined;
  #checking: Promise<void> | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(name: string, service: KmsService, options: KmsProviderOptions) {
    this.name = name;
    this.#service = service;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger;
    this.#series = options.series;
  }

  /** Asks the plugin once, then keeps asking. A plugin that is not there yet is no error: reads and writes fail until it is. */
  async start(): Promise<void> {
    const round = async (): Promise<void> => {
      let next: number = kmsTimes.healthyPollMs;
      try {
        this.#answer = undefined;
        await this.check();
      } catch (error) {
        next = kmsTimes.unhealthyPollMs;
        this.#logger.warn('A KMS plugin failed its health check', {
          name: this.name,
          error: errorMessage(error),
        });
      }
      if (!this.#closed) this.#timer = this.#clock.setTimeout(() => void round(), next);
    };
    await round();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#service.close();
  }

  /** Rejects with the reason while the plugin is not well. Fresh answers are given again. */
  async check(): Promise<void> {
    const now = this.#clock.monotonic();
    if (this.#answer !== undefined && now < this.#answer.untilMs) {
      if (this.#answer.failure !== undefined) throw this.#answer.failure;
      return;
    }
    this.#checking ??= this.#ask().finally(() => {
      this.#checking = undefined;
    });
    await this.#checking;
  }

  encrypt(value: Uint8Array, path: string): Uint8Array {
    const state = this.#currentState();
    if (this.#clock.monotonic() > state.expiresMs) {
      throw new EncryptionError(
        `encryptedDEKSource with keyID hash "${keyIdHash(state.template.keyId)}" expired: the KMS plugin "${this.name}" has not answered well for ${kmsTimes.writeLifeMs / 1000}s`,
      );
    }
    const data = state.transformer.encrypt(value, path) as Uint8Array;
    this.#series?.keyIdUsed('to_storage', this.name, state.keyIdHash);
    return encodeEncryptedObject({ ...state.template, data });
  }

  decrypt(stored: Uint8Array, path: string): MaybePromise<Decrypted> {
    const object = decodeEncryptedObject(stored);
    const state = this.#currentState();
    const stale =
      object.keyId !== state.template.keyId || object.dekSourceType !== state.template.dekSourceType;
    const read = (transformer: ValueTransformer): Decrypted => {
      const { value } = transformer.decrypt(object.data, path) as Decrypted;
      const hash = object.keyId === state.template.keyId ? state.keyIdHash : keyIdHash(object.keyId);
      this.#series?.keyIdUsed('from_storage', this.name, hash);
      return { value, stale };
    };
    const id = sourceId(object);
    const known = this.#keys.get(id);
    if (known !== undefined && this.#clock.monotonic() - known.sinceMs < kmsTimes.keyLifeMs) {
      return read(known.transformer);
    }
    let asked = this.#asking.get(id);
    if (asked === undefined) {
      asked = this.#dataKey(id, object).finally(() => this.#asking.delete(id));
      this.#asking.set(id, asked);
    }
    return asked.then(read);
  }

  async #dataKey(id: string, object: EncryptedObject): Promise<ValueTransformer> {
    this.cacheMisses++;
    let source: Uint8Array;
    try {
      source = await this.#service.decrypt(uuid(this.#random), {
        ciphertext: object.dekSource,
        keyId: object.keyId,
        annotations: object.annotations,
      });
    } catch (error) {
      throw new EncryptionError(`failed to decrypt DEK, error: ${errorMessage(error)}`, { cause: error });
    }
    if (object.dekSourceType === dekSourceType.key && ![16, 24, 32].includes(source.length)) {
      throw new EncryptionError(`the KMS plugin "${this.name}" gave a key of ${source.length} bytes`);
    }
    const transformer =
      object.dekSourceType === dekSourceType.seed
        ? new DerivedKeyTransformer(source, this.#random)
        : new GcmTransformer(source, this.#random);
    this.#keep(id, transformer);
    return transformer;
  }

  #keep(id: string, transformer: ValueTransformer): void {
    const now = this.#clock.monotonic();
    for (const [each, { sinceMs }] of this.#keys) {
      if (now - sinceMs >= kmsTimes.keyLifeMs) this.#keys.delete(each);
    }
    this.#keys.set(id, { transformer, sinceMs: now });
    this.#series?.dataKeys.cell(this.name).set(this.#keys.size);
  }

  #currentState(): WriteState {
    if (this.#state === undefined) {
      throw new EncryptionError(`the KMS plugin "${this.name}" has not given a key yet`);
    }
    return this.#state;
  }

  async #ask(): Promise<void> {
    let failure: unknown;
    try {
      await this.#renew();
    } catch (error) {
      failure = new EncryptionError(
        `kmsv2 Provider ${this.name} is not healthy, error: ${errorMessage(error)}`,
        { cause: error },
      );
    }
    const life = failure === undefined ? kmsTimes.okAnswerLifeMs : kmsTimes.badAnswerLifeMs;
    this.#answer = { failure, untilMs: this.#clock.monotonic() + life };
    if (failure !== undefined) throw failure;
  }

  async #renew(): Promise<void> {
    const status = await this.#service.status();
    const problems: string[] = [];
    if (status.healthz !== 'ok') problems.push(`got unexpected healthz status: ${status.healthz}`);
    if (status.version !== 'v2' && status.version !== 'v2beta1') {
      problems.push(`expected KMSv2 API version v2, got ${status.version}`);
    } else {
      if (this.#version === '') this.#version = status.version;
      if (this.#version !== status.version) {
        problems.push(
          `KMSv2 API version should not change after the initial status response version ${this.#version}, got ${status.version}`,
        );
      }
    }
    try {
      this.#checkTold(status.keyId);
      await this.#rotate(status.keyId);
    } catch (error) {
      problems.push(errorMessage(error));
    }
    if (problems.length > 0) throw new EncryptionError(problems.join(', '));
  }

  #checkTold(keyId: string): void {
    try {
      checkKeyId(keyId);
    } catch (error) {
      this.#series?.invalidKeyIds.cell(this.name, keyId === '' ? 'empty' : 'too_long').inc();
      throw error;
    }
    this.#series?.keyIdTold(this.name, keyIdHash(keyId));
  }

  /** A new seed when the KMS has a new key; else the present one may be used for longer. */
  async #rotate(keyId: string): Promise<void> {
    // The time counts from before the question: it bounds how old an answer may be.
    const expiresMs = this.#clock.monotonic() + kmsTimes.writeLifeMs;
    if (this.#state?.template.keyId === keyId) {
      this.#state = { ...this.#state, expiresMs };
      return;
    }
    const seed = this.#random.bytes(32);
    const encrypted = await this.#service.encrypt(uuid(this.#random), seed);
    const template = {
      keyId: encrypted.keyId,
      dekSource: encrypted.ciphertext,
      annotations: encrypted.annotations,
      dekSourceType: dekSourceType.seed,
    };
    checkEncryptedObject({ ...template, data: Uint8Array.of(0) });
    if (encrypted.keyId !== keyId) {
      throw new EncryptionError(
        `failed to rotate DEK: status has key ID hash "${keyIdHash(keyId)}", encrypt has "${keyIdHash(encrypted.keyId)}"`,
      );
    }
    const transformer = new DerivedKeyTransformer(seed, this.#random);
    this.#keep(sourceId(template), transformer);
    this.#state = { transformer, template, expiresMs, keyIdHash: keyIdHash(keyId) };
    this.#logger.info('New data key from the KMS', { name: this.name, keyIdHash: keyIdHash(keyId) });
  }
}

/** Two values with the same of this have the same data key. */
function sourceId(object: Omit<EncryptedObject, 'data'>): string {
  const hash = createHash('sha256');
  const part = (bytes: Uint8Array | string): void => {
    hash.update(`${Buffer.byteLength(bytes)}:`).update(bytes);
  };
  hash.update(`${object.dekSourceType};`);
  part(object.dekSource);
  part(object.keyId);
  for (const name of [...object.annotations.keys()].toSorted()) {
    part(name);
    part(object.annotations.get(name) as Uint8Array);
  }
  return hash.digest('base64');
}
