import type { Registry } from 'prom-client';
import { CellFamily, DistributionFamily } from './cells.ts';

const phaseSeconds = [0.005, 0.025, 0.1, 0.5, 1, 2.5];
const conditionLabels = ['name', 'kind', 'type', 'operation'];
const mutationLabels = ['policy', 'policy_binding', 'error_type'];
const checkLabels = ['policy', 'policy_binding', 'error_type', 'enforcement_action'];

/** Metrics of admission, with upstream's names and labels; those of the breaker are our own. */
export class AdmissionSeries {
  readonly steps: DistributionFamily;
  readonly controllers: DistributionFamily;
  readonly webhooks: {
    readonly seconds: DistributionFamily;
    readonly requests: CellFamily;
    readonly rejections: CellFamily;
    readonly failOpen: CellFamily;
    readonly conditionErrors: CellFamily;
    readonly conditionExclusions: CellFamily;
    readonly conditionSeconds: DistributionFamily;
    readonly skipped: CellFamily;
    readonly notCalled: CellFamily;
    readonly dead: CellFamily;
  };
  readonly podSecurity: {
    readonly evaluations: CellFamily;
    readonly exemptions: CellFamily;
    readonly errors: CellFamily;
  };
  readonly policyChecks: { readonly count: CellFamily; readonly seconds: DistributionFamily };
  readonly mutatingPolicyChecks: { readonly count: CellFamily; readonly seconds: DistributionFamily };

  constructor(registry: Registry) {
    const counter = (name: string, help: string, labelNames: readonly string[]): CellFamily =>
      new CellFamily(registry, { name, help, type: 'counter', labelNames });
    const times = (
      name: string,
      help: string,
      labelNames: readonly string[],
      buckets: readonly number[],
    ): DistributionFamily => new DistributionFamily(registry, { name, help, labelNames, buckets });
    this.steps = times(
      'apiserver_admission_step_admission_duration_seconds',
      'Time of a whole phase of admission, in seconds',
      ['type', 'operation', 'rejected'],
      phaseSeconds,
    );
    this.controllers = times(
      'apiserver_admission_controller_admission_duration_seconds',
      'Time of an admission plugin, in seconds',
      ['name', 'type', 'operation', 'rejected'],
      phaseSeconds,
    );
    this.webhooks = {
      seconds: times(
        'apiserver_admission_webhook_admission_duration_seconds',
        'Time of a call of an admission webhook, in seconds',
        ['name', 'type', 'operation', 'rejected'],
        [...phaseSeconds, 10, 25],
      ),
      requests: counter(
        'apiserver_admission_webhook_request_total',
        'Calls of admission webhooks by the code they were answered with',
        ['name', 'type', 'operation', 'code', 'rejected'],
      ),
      rejections: counter(
        'apiserver_admission_webhook_rejection_count',
        'Requests refused by admission webhooks, or because they failed',
        ['name', 'type', 'operation', 'error_type', 'rejection_code'],
      ),
      failOpen: counter(
        'apiserver_admission_webhook_fail_open_count',
        'Failures of admission webhooks that were ignored',
        ['name', 'type'],
      ),
      conditionErrors: counter(
        'apiserver_admission_match_condition_evaluation_errors_total',
        'Match conditions that could not be evaluated',
        conditionLabels,
      ),
      conditionExclusions: counter(
        'apiserver_admission_match_condition_exclusions_total',
        'Requests that match conditions left out',
        conditionLabels,
      ),
      conditionSeconds: times(
        'apiserver_admission_match_condition_evaluation_seconds',
        'Time to evaluate match conditions, in seconds',
        conditionLabels,
        [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25],
      ),
      skipped: counter(
        'pilothouse_admission_webhook_skipped_total',
        'Vital requests that passed without an admission webhook, since it is dead',
        ['name', 'type'],
      ),
      notCalled: counter(
        'pilothouse_admission_webhook_refused_total',
        'Requests refused without calling an admission webhook, since it is dead',
        ['name', 'type'],
      ),
      dead: new CellFamily(registry, {
        name: 'pilothouse_admission_webhook_dead',
        help: '1 while an admission webhook counts as dead',
        type: 'gauge',
        labelNames: ['name', 'type'],
      }),
    };
    this.podSecurity = {
      evaluations: counter(
        'pod_security_evaluations_total',
        'Pods and templates that PodSecurity judged, without those that are ignored or exempt',
        [
          'decision',
          'policy_level',
          'policy_version',
          'mode',
          'request_operation',
          'resource',
          'subresource',
        ],
      ),
      exemptions: counter('pod_security_exemptions_total', 'Requests that are exempt from PodSecurity', [
        'request_operation',
        'resource',
        'subresource',
      ]),
      errors: counter(
        'pod_security_errors_total',
        'Requests that PodSecurity could not judge as it should; unless fatal, they were judged as restricted',
        ['fatal', 'request_operation', 'resource', 'subresource'],
      ),
    };
    this.policyChecks = {
      count: counter(
        'apiserver_validating_admission_policy_check_total',
        'Checks of validating admission policies by what was done about them',
        checkLabels,
      ),
      seconds: times(
        'apiserver_validating_admission_policy_check_duration_seconds',
        'Time of checks of validating admission policies, in seconds',
        checkLabels,
        [0.0000005, 0.001, 0.01, 0.1, 1],
      ),
    };
    this.mutatingPolicyChecks = {
      count: counter(
        'apiserver_mutating_admission_policy_check_total',
        'Uses of mutating admission policies by their end',
        mutationLabels,
      ),
      seconds: times(
        'apiserver_mutating_admission_policy_check_duration_seconds',
        'Time of uses of mutating admission policies, in seconds',
        mutationLabels,
        [0.0000005, 0.001, 0.01, 0.1, 1],
      ),
    };
  }
}
