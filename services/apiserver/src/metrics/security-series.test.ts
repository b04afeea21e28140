import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { nodeClock } from '@pilothouse/host';
import type { Registry } from 'prom-client';
import type { Encryption } from '../storage/encryption/encryption.ts';
import { registerEncryptionMetrics, TransformationCounts } from '../storage/encryption/encryption-metrics.ts';
import { hashLabel, SecuritySeries } from './security-series.ts';
import { ServerMetrics } from './server-metrics.ts';

const areas =
  /^(apiserver_(authentication|authorization|admission|impersonation|encryption_config|envelope_encryption|externaljwt|audit|client_certificate|certificates_registry|validating_admission|mutating_admission|storage_(transformation|data_key|envelope)|cel|webhooks_x509|kube_aggregator_x509|delegated)_?|authenticated_user|authentication_|authorization_|serviceaccount_|pod_security_|node_authorizer_)/;

/** Upstream's that this server does not have; docs/compatibility.md says why. */
const missing = new Set([
  'apiserver_admission_step_admission_duration_seconds_summary',
  'apiserver_cel_compilation_duration_seconds',
  'apiserver_cel_evaluation_duration_seconds',
  'apiserver_certificates_registry_csr_honored_duration_total',
  'apiserver_certificates_registry_csr_requested_duration_total',
  'apiserver_delegated_authn_request_duration_seconds',
  'apiserver_delegated_authn_request_total',
  'apiserver_delegated_authz_request_duration_seconds',
  'apiserver_delegated_authz_request_total',
  'apiserver_envelope_encryption_dek_cache_fill_percent',
  'apiserver_envelope_encryption_dek_cache_inter_arrival_time_seconds',
  'apiserver_kube_aggregator_x509_insecure_sha1_total',
  'apiserver_kube_aggregator_x509_missing_san_total',
  'apiserver_storage_data_key_generation_duration_seconds',
  'apiserver_storage_data_key_generation_failures_total',
  'apiserver_webhooks_x509_insecure_sha1_total',
  'apiserver_webhooks_x509_missing_san_total',
  'node_authorizer_graph_actions_duration_seconds',
]);

/** Upstream's names of 1.36 in these areas. */
const names = [
  'apiserver_admission_controller_admission_duration_seconds',
  'apiserver_admission_match_condition_evaluation_errors_total',
  'apiserver_admission_match_condition_evaluation_seconds',
  'apiserver_admission_match_condition_exclusions_total',
  'apiserver_admission_step_admission_duration_seconds',
  'apiserver_admission_webhook_admission_duration_seconds',
  'apiserver_admission_webhook_fail_open_count',
  'apiserver_admission_webhook_rejection_count',
  'apiserver_admission_webhook_request_total',
  'apiserver_audit_error_total',
  'apiserver_audit_event_total',
  'apiserver_audit_level_total',
  'apiserver_audit_requests_rejected_total',
  'apiserver_authentication_config_controller_automatic_reload_last_timestamp_seconds',
  'apiserver_authentication_config_controller_automatic_reloads_total',
  'apiserver_authentication_config_controller_last_config_info',
  'apiserver_authentication_jwt_authenticator_jwks_fetch_last_key_set_info',
  'apiserver_authentication_jwt_authenticator_jwks_fetch_last_timestamp_seconds',
  'apiserver_authentication_jwt_authenticator_latency_seconds',
  'apiserver_authorization_config_controller_automatic_reload_last_timestamp_seconds',
  'apiserver_authorization_config_controller_automatic_reloads_total',
  'apiserver_authorization_config_controller_last_config_info',
  'apiserver_authorization_decisions_total',
  'apiserver_authorization_match_condition_evaluation_errors_total',
  'apiserver_authorization_match_condition_evaluation_seconds',
  'apiserver_authorization_match_condition_exclusions_total',
  'apiserver_authorization_webhook_duration_seconds',
  'apiserver_authorization_webhook_evaluations_fail_open_total',
  'apiserver_authorization_webhook_evaluations_total',
  'apiserver_client_certificate_expiration_seconds',
  'apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds',
  'apiserver_encryption_config_controller_automatic_reloads_total',
  'apiserver_encryption_config_controller_last_config_info',
  'apiserver_envelope_encryption_dek_source_cache_size',
  'apiserver_envelope_encryption_invalid_key_id_from_status_total',
  'apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds',
  'apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds',
  'apiserver_envelope_encryption_key_id_hash_total',
  'apiserver_envelope_encryption_kms_operations_latency_seconds',
  'apiserver_externaljwt_fetch_keys_data_timestamp',
  'apiserver_externaljwt_fetch_keys_request_total',
  'apiserver_externaljwt_fetch_keys_success_timestamp',
  'apiserver_externaljwt_request_duration_seconds',
  'apiserver_externaljwt_sign_request_total',
  'apiserver_impersonation_attempts_duration_seconds',
  'apiserver_impersonation_attempts_total',
  'apiserver_impersonation_authorization_attempts_duration_seconds',
  'apiserver_impersonation_authorization_attempts_total',
  'apiserver_mutating_admission_policy_check_duration_seconds',
  'apiserver_mutating_admission_policy_check_total',
  'apiserver_storage_envelope_transformation_cache_misses_total',
  'apiserver_storage_transformation_duration_seconds',
  'apiserver_storage_transformation_operations_total',
  'apiserver_validating_admission_policy_check_duration_seconds',
  'apiserver_validating_admission_policy_check_total',
  'authenticated_user_requests',
  'authentication_attempts',
  'authentication_duration_seconds',
  'authentication_token_cache_active_fetch_count',
  'authentication_token_cache_fetch_total',
  'authentication_token_cache_request_duration_seconds',
  'authentication_token_cache_request_total',
  'authorization_attempts_total',
  'authorization_duration_seconds',
  'pod_security_errors_total',
  'pod_security_evaluations_total',
  'pod_security_exemptions_total',
  'serviceaccount_invalid_legacy_auto_token_uses_total',
  'serviceaccount_legacy_auto_token_uses_total',
  'serviceaccount_legacy_manual_token_uses_total',
  'serviceaccount_legacy_tokens_total',
  'serviceaccount_stale_tokens_total',
  'serviceaccount_valid_tokens_total',
];

function served(): { registry: Registry; series: SecuritySeries } {
  const series = new SecuritySeries('apiserver-x', nodeClock);
  const { registry } = new ServerMetrics({});
  series.attach(registry);
  const encryption = { cacheMisses: 0, reloads: {}, configHash: '' } as unknown as Encryption;
  registerEncryptionMetrics(registry, encryption, new TransformationCounts(), series.server);
  return { registry, series };
}

test('every metric of upstream in these areas is there, or named as missing', () => {
  const { registry } = served();
  const ours = new Set(registry.getMetricsAsArray().map(({ name }) => name));
  assert.deepEqual(
    names.filter((name) => !ours.has(name)),
    [],
  );
  assert.deepEqual(
    [...missing].filter((name) => ours.has(name)),
    [],
  );
});

test('what a stock server tells in these areas is on the list', (context) => {
  const file = new URL('../../../../../shared/contract/live/metrics.json', import.meta.url);
  if (!existsSync(file)) {
    context.skip('the recorded metrics of a stock server are not here');
    return;
  }
  const live = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, unknown>>;
  const known = new Set([...names, ...missing]);
  assert.deepEqual(
    Object.keys(live['kube-apiserver'] ?? {}).filter((name) => areas.test(name) && !known.has(name)),
    [],
  );
});

test('changes of a configuration are told with its hash', async () => {
  const { registry, series } = served();
  const lines = async (): Promise<string[]> =>
    (await registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith('apiserver_authorization_config_controller_'));
  assert.deepEqual(await lines(), []);
  const { authorizationReloads } = series;
  authorizationReloads.started('one');
  authorizationReloads.failed();
  authorizationReloads.succeeded('two');
  const server = `apiserver_id_hash="${hashLabel('apiserver-x')}"`;
  const text = (await lines()).join('\n');
  assert.ok(text.includes(`last_config_info{${server},hash="${hashLabel('two')}"} 1`), text);
  assert.ok(!text.includes(hashLabel('one')));
  for (const status of ['success', 'failure'])
    assert.ok(text.includes(`automatic_reloads_total{status="${status}",${server}} 1`), text);
});
