import type { Clock } from '@pilothouse/base';
import type { GroupVersionKind, GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';
import type { UserInfo } from '../authentication/interface.ts';

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

/** A write (or CONNECT) on its way to storage. `object` may be changed in place, or replaced, by mutating plugins only. */
export interface AdmissionAttributes {
  readonly operation: AdmissionOperation;
  /** Of `object`, in the version of the request. */
  readonly kind: GroupVersionKind;
  readonly resource: GroupVersionResource;
  readonly subresource: string;
  /** Empty on CREATE with generateName. */
  readonly name: string;
  readonly namespace: string;
  /** Undefined on DELETE; the options object (PodExecOptions…) on CONNECT. */
  object: KubeObject | undefined;
  readonly oldObject: KubeObject | undefined;
  /** CreateOptions, UpdateOptions (PatchOptions too) or DeleteOptions. */
  readonly options: object;
  readonly user: UserInfo;
  readonly dryRun: boolean;
  addWarning(text: string): void;
  addAuditAnnotation(key: string, value: string): void;
}

/** One plugin of the chain. Throws StatusError to refuse; StatusError is given to the client as it is. */
export interface AdmissionPlugin {
  readonly name: string;
  handles(operation: AdmissionOperation): boolean;
  /** Mutating phase: may change `attributes.object`. */
  admit?(attributes: AdmissionAttributes): Promise<void>;
  /** Second mutating phase, in place of `admit`, after a plugin with `wantsReadmission` changed the object. */
  readmit?(attributes: AdmissionAttributes): Promise<void>;
  /** Whether this plugin changed the object behind the back of those before it. */
  wantsReadmission?(attributes: AdmissionAttributes): boolean;
  /** Validating phase: must not change anything. */
  validate?(attributes: AdmissionAttributes): Promise<void>;
  /** From now on what the plugin does is told, where it has more to tell than its time. */
  measure?(times: AdmissionTimes): void;
}

/** Series of times in seconds, by the values of their labels. */
interface TimeSeries {
  series(...labels: readonly string[]): { observe(seconds: number): void };
}

/** Counters or gauges by the values of their labels. */
interface CountSeries {
  cell(...labels: readonly string[]): { value: number; inc(): void };
}

export interface AdmissionTimes {
  /** Labels: type, operation, rejected. */
  readonly steps: TimeSeries;
  /** Labels: name, type, operation, rejected. */
  readonly controllers: TimeSeries;
  readonly webhooks?: {
    /** Labels: name, type, operation, rejected. */
    readonly seconds: TimeSeries;
    /** Labels: name, type, operation, code, rejected. */
    readonly requests: CountSeries;
    /** Labels: name, type, operation, error_type, rejection_code. */
    readonly rejections: CountSeries;
    /** Labels: name, type. */
    readonly failOpen: CountSeries;
    /** Labels: name, kind, type, operation. */
    readonly conditionErrors: CountSeries;
    readonly conditionExclusions: CountSeries;
    readonly conditionSeconds: TimeSeries;
    /** Of the breaker. Labels: name, type. */
    readonly skipped: CountSeries;
    readonly notCalled: CountSeries;
    readonly dead: CountSeries;
  };
  readonly podSecurity?: {
    /** Labels: decision, policy_level, policy_version, mode, request_operation, resource, subresource. */
    readonly evaluations: CountSeries;
    /** Labels: request_operation, resource, subresource. */
    readonly exemptions: CountSeries;
    /** Labels: fatal, request_operation, resource, subresource. */
    readonly errors: CountSeries;
  };
  /** Labels: policy, policy_binding, error_type, enforcement_action. */
  readonly policyChecks?: { readonly count: CountSeries; readonly seconds: TimeSeries };
  /** Labels: policy, policy_binding, error_type. */
  readonly mutatingPolicyChecks?: { readonly count: CountSeries; readonly seconds: TimeSeries };
}

export interface AdmissionChain {
  /** From now on the time of each phase and plugin is told. */
  measure?(times: AdmissionTimes, clock: Clock): void;
  /** True when some plugin would look at this operation, so that a caller may skip building attributes. */
  handles(operation: AdmissionOperation): boolean;
  admit(attributes: AdmissionAttributes): Promise<void>;
  validate(attributes: AdmissionAttributes): Promise<void>;
}
