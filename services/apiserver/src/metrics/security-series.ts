import { createHash } from 'node:crypto';
import type { Clock } from '@pilothouse/base';
import type { Cell } from './cells.ts';
import { CellFamily, DistributionFamily, registerSource } from './cells.ts';
import { EncryptionSeries } from './encryption-series.ts';
import { StagedMetrics } from './staged-metrics.ts';

const usual = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const fromOneMs = [0.001, ...usual];
const doubling = Array.from({ length: 15 }, (_, index) => 0.001 * 2 ** index);

/** `sha256:…`, as labels name what is better not shown; empty for an empty text. */
export const hashLabel = (text: string): string =>
  text === '' ? '' : `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** What became of the changes of a file of configuration. */
export class ReloadSeries {
  readonly #reloads: CellFamily;
  readonly #times: CellFamily;
  readonly #server: string;
  readonly #clock: Clock;
  #hash = '';

  /** `controller`: `authentication`, `authorization`. `server`: the hash of its name. */
  constructor(metrics: StagedMetrics, controller: string, server: string, clock: Clock) {
    const name = `apiserver_${controller}_config_controller`;
    const labelNames = ['status', 'apiserver_id_hash'];
    this.#server = server;
    this.#clock = clock;
    this.#reloads = new CellFamily(metrics, {
      name: `${name}_automatic_reloads_total`,
      help: `Changes of the ${controller} configuration, by what became of them`,
      type: 'counter',
      labelNames,
    });
    this.#times = new CellFamily(metrics, {
      name: `${name}_automatic_reload_last_timestamp_seconds`,
      help: `When the ${controller} configuration last changed, by what became of it`,
      type: 'gauge',
      labelNames,
    });
    registerSource(
      metrics,
      `${name}_last_config_info`,
      `Constant 1, labelled with the hash of the ${controller} configuration in use`,
      'gauge',
      () =>
        this.#hash === ''
          ? []
          : [{ labels: { apiserver_id_hash: this.#server, hash: this.#hash }, value: 1 }],
    );
  }

  /** This text is in force from the start. */
  started(text: string): void {
    this.#hash = hashLabel(text);
  }

  succeeded(text: string): void {
    this.#hash = hashLabel(text);
    this.#count('success');
  }

  failed(): void {
    this.#count('failure');
  }

  #count(status: string): void {
    this.#reloads.cell(status, this.#server).inc();
    this.#times.cell(status, this.#server).set(this.#clock.now() / 1000);
  }
}

/** Metrics of authentication, authorization and encryption at rest, with upstream's names and labels. */
export class SecuritySeries {
  readonly #metrics = new StagedMetrics();
  readonly clock: Clock;
  /** The hash of this server's name. */
  readonly server: string;
  readonly authenticationReloads: ReloadSeries;
  readonly authorizationReloads: ReloadSeries;
  readonly encryption: EncryptionSeries;
  readonly decisions = this.#counter(
    'apiserver_authorization_decisions_total',
    'Requests that an authorizer allowed or denied',
    ['type', 'name', 'decision'],
  );
  readonly webhookEvaluations = this.#counter(
    'apiserver_authorization_webhook_evaluations_total',
    'Questions to authorization webhooks, by their end',
    ['name', 'result'],
  );
  readonly webhookSeconds = this.#times(
    'apiserver_authorization_webhook_duration_seconds',
    'Time of questions to authorization webhooks, in seconds',
    ['name', 'result'],
    usual,
  );
  readonly webhookFailOpen = this.#counter(
    'apiserver_authorization_webhook_evaluations_fail_open_total',
    'Questions to authorization webhooks that failed and count as no opinion',
    ['name', 'result'],
  );
  readonly conditionSeconds = this.#times(
    'apiserver_authorization_match_condition_evaluation_seconds',
    'Time to evaluate the match conditions of an authorizer, in seconds',
    ['type', 'name'],
    [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25],
  );
  readonly conditionErrors = this.#counter(
    'apiserver_authorization_match_condition_evaluation_errors_total',
    'Requests for which match conditions of an authorizer could not be evaluated',
    ['type', 'name'],
  );
  readonly conditionExclusions = this.#counter(
    'apiserver_authorization_match_condition_exclusions_total',
    'Requests that match conditions kept from an authorizer',
    ['type', 'name'],
  );
  readonly tokenCache = {
    requests: this.#counter('authentication_token_cache_request_total', 'Tokens looked up', ['status']),
    seconds: this.#times(
      'authentication_token_cache_request_duration_seconds',
      'Time to look up a token, in seconds',
      ['status'],
      usual,
    ),
    fetches: this.#counter('authentication_token_cache_fetch_total', 'Tokens that had to be checked', [
      'status',
    ]),
    active: new CellFamily(this.#metrics, {
      name: 'authentication_token_cache_active_fetch_count',
      help: 'Tokens that are being checked',
      type: 'gauge',
      labelNames: ['status'],
    }),
  };
  readonly jwtSeconds = this.#times(
    'apiserver_authentication_jwt_authenticator_latency_seconds',
    'Time to check a token of an OpenID provider that was not remembered, in seconds',
    ['result', 'jwt_issuer_hash'],
    fromOneMs,
  );
  readonly keyFetchTimes = new CellFamily(this.#metrics, {
    name: 'apiserver_authentication_jwt_authenticator_jwks_fetch_last_timestamp_seconds',
    help: 'When the keys of an OpenID provider were last asked for, by the end of it',
    type: 'gauge',
    labelNames: ['result', 'jwt_issuer_hash', 'apiserver_id_hash'],
  });
  /** Hashes of key sets by the hash of their issuer. */
  readonly keySets = new Map<string, string>();
  /** Tokens of service accounts. */
  readonly accounts = {
    legacy: this.#plain('serviceaccount_legacy_tokens_total', 'Legacy tokens of service accounts used'),
    stale: this.#plain('serviceaccount_stale_tokens_total', 'Tokens used that should have been renewed'),
    valid: this.#plain('serviceaccount_valid_tokens_total', 'Bound tokens of service accounts used'),
    manual: this.#plain(
      'serviceaccount_legacy_manual_token_uses_total',
      'Uses of legacy tokens of secrets that somebody made',
    ),
    automatic: this.#plain(
      'serviceaccount_legacy_auto_token_uses_total',
      'Uses of legacy tokens of secrets that their accounts list',
    ),
    invalid: this.#plain(
      'serviceaccount_invalid_legacy_auto_token_uses_total',
      'Uses of legacy tokens that were marked invalid',
    ),
  };
  /** Of --service-account-signing-endpoint. */
  readonly signer = {
    keysAt: this.#gauge('apiserver_externaljwt_fetch_keys_success_timestamp', 'When the keys last came'),
    dataAt: this.#gauge(
      'apiserver_externaljwt_fetch_keys_data_timestamp',
      'When the signer says that it last had them from its source',
    ),
    fetches: this.#counter('apiserver_externaljwt_fetch_keys_request_total', 'Questions for keys', ['code']),
    signs: this.#counter('apiserver_externaljwt_sign_request_total', 'Questions for a signature', ['code']),
    seconds: this.#times(
      'apiserver_externaljwt_request_duration_seconds',
      'Time of calls of the signer, in seconds',
      ['method', 'code'],
      [...fromOneMs, 30, 60],
    ),
  };
  readonly impersonation = {
    attempts: this.#counter('apiserver_impersonation_attempts_total', 'Impersonations asked for', [
      'mode',
      'decision',
    ]),
    seconds: this.#times(
      'apiserver_impersonation_attempts_duration_seconds',
      'Time to decide about an impersonation, in seconds',
      ['mode', 'decision'],
      doubling,
    ),
    checks: this.#counter(
      'apiserver_impersonation_authorization_attempts_total',
      'Questions to the authorizers about impersonations',
      ['mode', 'decision'],
    ),
    checkSeconds: this.#times(
      'apiserver_impersonation_authorization_attempts_duration_seconds',
      'Time of questions to the authorizers about impersonations, in seconds',
      ['mode', 'decision'],
      doubling,
    ),
  };

  /** `name`: of this server, as in its Lease. */
  constructor(name: string, clock: Clock) {
    this.clock = clock;
    this.server = hashLabel(name);
    this.authenticationReloads = new ReloadSeries(this.#metrics, 'authentication', this.server, clock);
    this.authorizationReloads = new ReloadSeries(this.#metrics, 'authorization', this.server, clock);
    this.encryption = new EncryptionSeries(this.#metrics, this.server, clock);
    registerSource(
      this.#metrics,
      'apiserver_authentication_jwt_authenticator_jwks_fetch_last_key_set_info',
      'Constant 1, labelled with the hash of the keys of an OpenID provider',
      'gauge',
      () =>
        Array.from(this.keySets, ([issuer, hash]) => ({
          labels: { jwt_issuer_hash: issuer, apiserver_id_hash: this.server, hash },
          value: 1,
        })),
    );
  }

  /** From now on all is told with the others. */
  attach(registry: Parameters<StagedMetrics['attach']>[0]): void {
    this.#metrics.attach(registry);
  }

  #counter(name: string, help: string, labelNames: readonly string[]): CellFamily {
    return new CellFamily(this.#metrics, { name, help, type: 'counter', labelNames });
  }

  #plain(name: string, help: string): Cell {
    return this.#counter(name, help, []).cell();
  }

  #gauge(name: string, help: string): CellFamily {
    return new CellFamily(this.#metrics, { name, help, type: 'gauge', labelNames: [] });
  }

  #times(
    name: string,
    help: string,
    labelNames: readonly string[],
    buckets: readonly number[],
  ): DistributionFamily {
    return new DistributionFamily(this.#metrics, { name, help, labelNames, buckets });
  }
}
