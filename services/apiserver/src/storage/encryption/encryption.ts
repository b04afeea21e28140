import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock, Logger, Random, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { EncryptionSeries } from '../../metrics/encryption-series.ts';
import { CbcTransformer, GcmTransformer, SecretboxTransformer } from './ciphers.ts';
import type { NamedKey, ProviderConfig } from './encryption-config.ts';
import { parseEncryptionConfig, parseGroupResource } from './encryption-config.ts';
import { KmsClient } from './kms-client.ts';
import type { KmsService } from './kms-client.ts';
import { KmsProvider } from './kms-provider.ts';
import type { PrefixedTransformer, ValueTransformer } from './transformer.ts';
import { EncryptionError, identityTransformer, PrefixTransformers } from './transformer.ts';

const reloadPollMs = 10_000;
/** New plugins must be well within this time, or the old configuration stays. */
const newPluginsWaitMs = 10_000;
/** Plugins of the old configuration stay for requests that began with it. */
const oldPluginsLifeMs = 20_000;

export interface EncryptionOptions {
  readonly path: string;
  /** Look at the file every few seconds and follow its changes. */
  readonly reload: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly series?: EncryptionSeries | undefined;
  /** Default: the file system. Rejects when there is no such file. */
  readonly read?: (path: string) => Promise<string>;
  /** Default: gRPC over the Unix socket. */
  readonly connect?: (endpoint: string, timeoutMs: number) => KmsService;
}

interface Generation {
  readonly hash: string;
  readonly rules: ReadonlyMap<string, ValueTransformer>;
  readonly plugins: readonly KmsProvider[];
}

/** The transformers of an encryption configuration, resource by resource, following the file when asked to. */
export class Encryption {
  readonly #options: EncryptionOptions;
  #generation: Generation;
  #timer: Timer | undefined;
  /** Reloads by their end, for metrics. */
  readonly reloads = { success: 0, failure: 0, lastSuccessMs: 0, lastFailureMs: 0 };
  #lastProblem = '';

  private constructor(options: EncryptionOptions, generation: Generation) {
    this.#options = options;
    this.#generation = generation;
  }

  /** Rejects with EncryptionError when the file cannot be used. KMS plugins may come later. */
  static async open(options: EncryptionOptions): Promise<Encryption> {
    const { text, hash } = await readConfig(options);
    const encryption = new Encryption(options, build(text, hash, options));
    await Promise.all(encryption.#generation.plugins.map((plugin) => plugin.start()));
    if (options.reload) {
      encryption.#timer = options.clock.setInterval(() => void encryption.reload(), reloadPollMs);
    }
    return encryption;
  }

  /** Whether there is a health check `kms-providers`: also without plugins when they may come with a reload. */
  get hasHealthCheck(): boolean {
    return this.#options.reload || this.#generation.plugins.length > 0;
  }

  /** `sha256:` of the file in use. */
  get configHash(): string {
    return this.#generation.hash;
  }

  get cacheMisses(): number {
    return this.#generation.plugins.reduce((sum, plugin) => sum + plugin.cacheMisses, 0);
  }

  /** Rejects while a plugin is not well. */
  async check(): Promise<void> {
    await checkAll(this.#generation.plugins);
  }

  /** What the resource is written and read with now. */
  transformerFor(group: string, resource: string): ValueTransformer {
    const { rules } = this.#generation;
    return (
      rules.get(`${resource}.${group}`) ?? rules.get(`*.${group}`) ?? rules.get('*.*') ?? identityTransformer
    );
  }

  /** Takes over the file if it changed. A file that cannot be used is logged and leaves all as it is. */
  async reload(): Promise<void> {
    const { clock, logger, path } = this.#options;
    let plugins: readonly KmsProvider[] = [];
    try {
      const { text, hash } = await readConfig(this.#options);
      if (hash === this.#generation.hash) return;
      const next = build(text, hash, this.#options);
      plugins = next.plugins;
      await Promise.all(plugins.map((plugin) => plugin.start()));
      await this.#healthy(plugins);
      const old = this.#generation;
      this.#generation = next;
      this.reloads.success++;
      this.reloads.lastSuccessMs = clock.now();
      this.#lastProblem = '';
      clock.setTimeout(() => {
        for (const plugin of old.plugins) plugin.close();
      }, oldPluginsLifeMs);
      logger.info('Took over a new encryption configuration', { path, hash });
    } catch (error) {
      for (const plugin of plugins) plugin.close();
      this.reloads.failure++;
      this.reloads.lastFailureMs = clock.now();
      const problem = errorMessage(error);
      if (problem === this.#lastProblem) return;
      this.#lastProblem = problem;
      logger.error('Cannot use the new encryption configuration; the old one stays', {
        path,
        error: problem,
      });
    }
  }

  close(): void {
    this.#timer?.cancel();
    for (const plugin of this.#generation.plugins) plugin.close();
  }

  async #healthy(plugins: readonly KmsProvider[]): Promise<void> {
    const { clock } = this.#options;
    const until = clock.monotonic() + newPluginsWaitMs;
    for (;;) {
      try {
        await checkAll(plugins);
        return;
      } catch (error) {
        if (clock.monotonic() >= until) throw error;
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 500));
      }
    }
  }
}

async function checkAll(plugins: readonly KmsProvider[]): Promise<void> {
  const problems: string[] = [];
  for (const [index, plugin] of plugins.entries()) {
    await plugin.check().catch((error: unknown) => {
      problems.push(`kms-provider-${index}: ${errorMessage(error)}`);
    });
  }
  if (problems.length > 0) throw new EncryptionError(problems.join(', '));
}

async function readConfig(options: EncryptionOptions): Promise<{ text: string; hash: string }> {
  let text: string;
  try {
    text = await (options.read ?? ((path) => readFile(path, 'utf8')))(options.path);
  } catch (error) {
    throw new EncryptionError(
      `Cannot read "${options.path}" of --encryption-provider-config: ${errorMessage(error)}`,
    );
  }
  if (text === '')
    throw new EncryptionError(`File "${options.path}" of --encryption-provider-config is empty`);
  return { text, hash: `sha256:${createHash('sha256').update(text).digest('hex')}` };
}

function build(text: string, hash: string, options: EncryptionOptions): Generation {
  const config = parseEncryptionConfig(text);
  const lists = new Map<string, PrefixedTransformer[]>();
  const plugins: KmsProvider[] = [];
  for (const rule of config.resources) {
    const transformers = rule.providers.map((provider) => transformerOf(provider, options, plugins));
    for (const name of rule.resources) {
      const { group, resource } = parseGroupResource(name);
      const id = `${resource}.${group}`;
      lists.set(id, [...(lists.get(id) ?? []), ...transformers]);
    }
  }
  const rules = new Map<string, ValueTransformer>();
  for (const [id, transformers] of lists) {
    rules.set(id, new PrefixTransformers(transformers, 'no matching prefix found'));
  }
  return { hash, rules, plugins };
}

function transformerOf(
  provider: ProviderConfig,
  options: EncryptionOptions,
  plugins: KmsProvider[],
): PrefixedTransformer {
  const { clock, random } = options;
  switch (provider.type) {
    case 'identity':
      return { prefix: '', transformer: identityTransformer };
    case 'aesgcm':
      return keyed('aesgcm', 'AES', provider.keys, (key) => new GcmTransformer(key, random));
    case 'aescbc':
      return keyed('aescbc', 'AES', provider.keys, (key) => new CbcTransformer(key, random));
    case 'secretbox':
      return keyed('secretbox', 'Secretbox', provider.keys, (key) => new SecretboxTransformer(key, random));
    case 'kms': {
      const { name, endpoint, timeoutMs } = provider;
      const onCall = (method: string, code: string, seconds: number): void =>
        options.series?.kmsSeconds.series(name, method, code).observe(seconds);
      const service =
        options.connect?.(endpoint, timeoutMs) ?? new KmsClient(endpoint, timeoutMs, clock, onCall);
      const plugin = new KmsProvider(name, service, options);
      plugins.push(plugin);
      return { prefix: `k8s:enc:kms:v2:${name}:`, transformer: plugin };
    }
  }
}

function keyed(
  type: string,
  title: string,
  keys: readonly NamedKey[],
  make: (key: Uint8Array) => ValueTransformer,
): PrefixedTransformer {
  const transformers = keys.map(({ name, key }) => ({ prefix: `${name}:`, transformer: make(key) }));
  return {
    prefix: `k8s:enc:${type}:v1:`,
    transformer: new PrefixTransformers(
      transformers,
      `no matching key was found for the provided ${title} transformer`,
    ),
  };
}
