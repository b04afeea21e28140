import { createPublicKey } from 'node:crypto';
import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import type { SecuritySeries } from '../metrics/security-series.ts';
import { grpcCodeOf } from '../security/unix-grpc.ts';
import type { ServiceAccountClaims } from './service-account-claims.ts';
import type { VerificationKey } from './service-account-keys.ts';
import { algorithmOf } from './service-account-keys.ts';

/** What a signer says of one key. */
export interface SignerKey {
  readonly keyId: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly der: Uint8Array;
  readonly excluded: boolean;
}

/** A process that keeps the keys of ServiceAccount tokens: upstream's v1 ExternalJWTSigner. */
export interface SignerService {
  /** Header and signature in base64url for claims in base64url. */
  sign(claims: string): Promise<{ readonly header: string; readonly signature: string }>;
  fetchKeys(timeoutMs: number): Promise<{
    readonly keys: readonly SignerKey[];
    /** When the signer last asked its source. */
    readonly dataMs: number;
    readonly refreshSeconds: number;
  }>;
  /** Longest life of a token in seconds. */
  metadata(): Promise<number>;
  close(): void;
}

export interface SignerPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly series?: SecuritySeries | undefined;
}

const firstFillMs = 60_000;
const attemptWaitMs = 500;
/** After a failure the keys are asked for again soon; until then the old ones count. */
const retryMs = 10_000;
const minimumTokenSeconds = 600;
const keyIdLengthMax = 1024;
const algorithms = ['RS256', 'ES256', 'ES384', 'ES512'];

/** Signs tokens with, and knows the keys of, a process outside. The keys are asked for as often as it wants, and for a key that is not known. */
export class ExternalSigner {
  readonly #service: SignerService;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #keys: readonly VerificationKey[] = [];
  #dataMs = -1;
  #nextMs = 0;
  #timer: Timer | undefined;
  #fetching: Promise<void> | undefined;
  #closed = false;
  maxTokenSeconds = 0;
  /** Told when keys came or went. */
  onChange: () => void = () => undefined;

  readonly #series: SecuritySeries['signer'] | undefined;

  private constructor(service: SignerService, ports: SignerPorts) {
    this.#series = ports.series?.signer;
    this.#service = service;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  /** Waits up to a minute for the signer. Rejects with an Error for the operator. */
  static async open(service: SignerService, ports: SignerPorts): Promise<ExternalSigner> {
    const signer = new ExternalSigner(service, ports);
    const { clock, logger } = ports;
    const deadline = clock.monotonic() + firstFillMs;
    for (;;) {
      try {
        await signer.#fetch();
        break;
      } catch (error) {
        if (clock.monotonic() >= deadline)
          throw settingUp(`while initially filling key cache: ${errorMessage(error)}`);
        logger.warn('Waiting for the external signer', { error: errorMessage(error) });
        await sleep(clock, attemptWaitMs);
      }
    }
    try {
      signer.maxTokenSeconds = await service.metadata();
    } catch (error) {
      throw settingUp(errorMessage(error));
    }
    if (signer.maxTokenSeconds < minimumTokenSeconds) {
      throw new Error(
        `max token life supported by external-jwt-signer (${signer.maxTokenSeconds}s) is less than acceptable (min ${minimumTokenSeconds}s)`,
      );
    }
    signer.#schedule(signer.#nextMs - clock.monotonic());
    return signer;
  }

  /** All that verify tokens; those for discovery are not `excluded`. */
  get keys(): readonly VerificationKey[] {
    return this.#keys;
  }

  /** How long the keys count, for caches. */
  get maxAgeSeconds(): number {
    return Math.max(0, Math.floor((this.#nextMs - this.#clock.monotonic()) / 1000));
  }

  /** The keys of this id, asked for when there is none yet; an empty id stands for all. */
  async keysOf(keyId: string): Promise<readonly VerificationKey[]> {
    const find = (): readonly VerificationKey[] =>
      keyId === '' ? this.#keys : this.#keys.filter((key) => key.keyId === keyId);
    const known = find();
    if (known.length > 0) return known;
    try {
      await this.#fetch();
    } catch (error) {
      this.#logger.error('Cannot ask the external signer for its keys', { error: errorMessage(error) });
    }
    return find();
  }

  /** A signed token. Rejects with an Error when the signer does not answer, or with something that is no token. */
  async sign(claims: ServiceAccountClaims): Promise<string> {
    const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
    let answer;
    try {
      answer = await this.#service.sign(payload);
      this.#series?.signs.cell('OK').inc();
    } catch (error) {
      this.#series?.signs.cell(grpcCodeOf(error)).inc();
      throw new Error(`while signing jwt: ${errorMessage(error)}`, { cause: error });
    }
    const problem = await this.#headerProblem(answer.header);
    if (problem !== undefined) throw new Error(`while validating header: ${problem}`);
    if (answer.signature === '') throw new Error('empty signature returned');
    return `${answer.header}.${payload}.${answer.signature}`;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#service.close();
  }

  async #headerProblem(text: string): Promise<string | undefined> {
    let header: Record<string, unknown>;
    try {
      header = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Record<string, unknown>;
    } catch (error) {
      return `while parsing header JSON: ${errorMessage(error)}`;
    }
    const unknown = Object.keys(header).find((name) => !['alg', 'kid', 'typ'].includes(name));
    if (unknown !== undefined)
      return `while parsing header JSON: json: unknown field ${JSON.stringify(unknown)}`;
    const { alg, kid, typ } = header;
    if (typ !== 'JWT') return 'bad type';
    if (typeof kid !== 'string' || kid === '') return 'key id missing';
    if (kid.length > keyIdLengthMax) return 'key id longer than 1 kb';
    if (!algorithms.includes(String(alg))) return `bad signing algorithm ${JSON.stringify(alg)}`;
    // Nobody outside could verify such a token.
    if ((await this.keysOf(kid)).some(({ excluded }) => excluded === true))
      return `key used for signing JWT (kid: ${kid}) is excluded from OIDC discovery docs`;
    return undefined;
  }

  #schedule(waitMs: number): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#fetch().then(
          () => this.#schedule(this.#nextMs - this.#clock.monotonic()),
          (error: unknown) => {
            this.#logger.error('Cannot ask the external signer for its keys: the old ones stay', {
              error: errorMessage(error),
            });
            this.#schedule(retryMs);
          },
        );
      },
      Math.max(0, waitMs),
    );
  }

  /** One question at a time, whoever asks. */
  #fetch(): Promise<void> {
    return (this.#fetching ??= this.#take().finally(() => (this.#fetching = undefined)));
  }

  async #take(): Promise<void> {
    try {
      await this.#takeKeys();
      this.#series?.fetches.cell('OK').inc();
      this.#series?.keysAt.cell().set(this.#clock.now() / 1000);
    } catch (error) {
      this.#series?.fetches.cell(grpcCodeOf(error)).inc();
      throw error;
    }
  }

  async #takeKeys(): Promise<void> {
    const { keys: given, dataMs, refreshSeconds } = await this.#service.fetchKeys(firstFillMs);
    if (refreshSeconds <= 0) throw new Error(`found invalid refresh hint (${refreshSeconds}s)`);
    if (given.length === 0) throw new Error('found no keys');
    const keys = given.map(verificationKey);
    const shape = (list: readonly VerificationKey[]): string =>
      JSON.stringify(list.map(({ keyId, excluded }) => [keyId, excluded === true]));
    const isNew = dataMs !== this.#dataMs || shape(keys) !== shape(this.#keys);
    this.#keys = keys;
    this.#dataMs = dataMs;
    this.#series?.dataAt.cell().set(dataMs / 1000);
    this.#nextMs = this.#clock.monotonic() + refreshSeconds * 1000;
    if (isNew) this.onChange();
  }
}

function verificationKey({ keyId, der, excluded }: SignerKey): VerificationKey {
  if (keyId === '' || keyId.length > keyIdLengthMax)
    throw new Error(`found invalid public key id ${JSON.stringify(keyId)}`);
  if (der.length === 0) throw new Error('found empty public key');
  try {
    const key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
    return { keyId, algorithm: algorithmOf(key), key, excluded };
  } catch (error) {
    throw new Error(`while parsing external public keys: ${errorMessage(error)}`, { cause: error });
  }
}

const settingUp = (text: string): Error => new Error(`while setting up external-jwt-signer: ${text}`);
