import type { FlagSpec } from '@pilothouse/host';
import { FlagError } from '@pilothouse/host';
import type { FlagValues } from '../flag-values.ts';
import type { AuditBackendConfig, AuditConfig } from './audit-config.ts';
import { AuditPolicy, AuditPolicyError } from './policy.ts';
import { RotatingFile } from './rotating-file.ts';
import type { AuditMode } from './sinks.ts';

/** --audit-*, names and defaults as upstream's. */
export const auditFlagSpecs: Readonly<Record<string, FlagSpec>> = {
  'audit-policy-file': {
    type: 'string',
    help: 'File with the audit policy; default: every request at level Metadata',
  },
  'audit-log-path': { type: 'string', help: 'File of the audit log, - for standard output' },
  'audit-log-format': { type: 'string', default: 'json', help: 'json or legacy (one line of text)' },
  'audit-log-maxage': {
    type: 'integer',
    default: 366,
    help: 'Days that old audit logs are kept; 0: for ever',
  },
  'audit-log-maxbackup': { type: 'integer', default: 100, help: 'Old audit logs that are kept; 0: all' },
  'audit-log-maxsize': { type: 'integer', default: 100, help: 'Megabytes at which a new audit log begins' },
  'audit-log-compress': { type: 'boolean', default: false, help: 'Pack old audit logs with gzip' },
  ...backendFlags('log', 'blocking', 1, { wait: '0s', throttle: false, qps: 0, burst: 0 }, false),
  'audit-webhook-config-file': {
    type: 'string',
    help: 'Kubeconfig file of a webhook that takes audit events',
  },
  'audit-webhook-initial-backoff': {
    type: 'duration',
    default: '10s',
    help: 'Time before the first new try of a failed webhook',
  },
  ...backendFlags('webhook', 'batch', 400, { wait: '30s', throttle: true, qps: 10, burst: 15 }, false),
};

function backendFlags(
  name: 'log' | 'webhook',
  mode: AuditMode,
  maxSize: number,
  batch: { wait: string; throttle: boolean; qps: number; burst: number },
  truncates: boolean,
): Record<string, FlagSpec> {
  const flag = `audit-${name}`;
  return {
    [`${flag}-mode`]: { type: 'string', default: mode, help: 'batch, blocking or blocking-strict' },
    [`${flag}-version`]: { type: 'string', default: 'audit.k8s.io/v1', help: 'Version of the events' },
    [`${flag}-batch-buffer-size`]: { type: 'integer', default: 10000, help: 'Events that wait for a batch' },
    [`${flag}-batch-max-size`]: { type: 'integer', default: maxSize, help: 'Events of a batch' },
    [`${flag}-batch-max-wait`]: { type: 'duration', default: batch.wait, help: 'Time until a batch is sent' },
    [`${flag}-batch-throttle-enable`]: {
      type: 'boolean',
      default: batch.throttle,
      help: 'Limit the rate of batches',
    },
    [`${flag}-batch-throttle-qps`]: { type: 'float', default: batch.qps, help: 'Batches a second' },
    [`${flag}-batch-throttle-burst`]: { type: 'integer', default: batch.burst, help: 'Batches at once' },
    [`${flag}-truncate-enabled`]: {
      type: 'boolean',
      default: truncates,
      help: 'Leave bodies out of events that are too large',
    },
    [`${flag}-truncate-max-batch-size`]: { type: 'integer', default: 10485760, help: 'Bytes of a batch' },
    [`${flag}-truncate-max-event-size`]: { type: 'integer', default: 102400, help: 'Bytes of an event' },
  };
}

/** Undefined: no backend. Throws FlagError, also for a policy that cannot be used. */
export function auditConfigOf(values: FlagValues): AuditConfig | undefined {
  const path = values.optional('audit-log-path');
  const kubeconfig = values.optional('audit-webhook-config-file');
  const policyText = values.file('audit-policy-file');
  if (policyText !== undefined) checkPolicy(policyText, values.text('audit-policy-file'));
  if (path === undefined && kubeconfig === undefined) return undefined;
  const format = values.text('audit-log-format');
  if (format !== 'json' && format !== 'legacy') {
    throw new FlagError(`invalid audit log format ${format}, allowed formats are "legacy,json"`);
  }
  return {
    ...(policyText === undefined ? {} : { policyText }),
    ...(path === undefined
      ? {}
      : {
          log: {
            ...backendOf('log', values),
            path,
            format,
            bytesMax: notNegative('audit-log-maxsize', values) * 1024 * 1024,
            ageMsMax: RotatingFile.age(notNegative('audit-log-maxage', values)),
            backupsMax: notNegative('audit-log-maxbackup', values),
            compress: values.boolean('audit-log-compress'),
          },
        }),
    ...(kubeconfig === undefined
      ? {}
      : {
          webhook: {
            ...backendOf('webhook', values),
            kubeconfig,
            initialBackoffMs: values.number('audit-webhook-initial-backoff'),
          },
        }),
  };
}

function backendOf(name: 'log' | 'webhook', values: FlagValues): AuditBackendConfig {
  const flag = `audit-${name}`;
  const mode = values.text(`${flag}-mode`);
  if (mode !== 'batch' && mode !== 'blocking' && mode !== 'blocking-strict') {
    throw new FlagError(
      `invalid audit ${name} mode ${mode}, allowed modes are "batch,blocking,blocking-strict"`,
    );
  }
  const version = values.text(`${flag}-version`);
  if (version !== 'audit.k8s.io/v1') {
    throw new FlagError(`invalid audit ${name} version ${version}, allowed versions are audit.k8s.io/v1`);
  }
  const bufferSize = values.number(`${flag}-batch-buffer-size`);
  const maxSize = values.number(`${flag}-batch-max-size`);
  const qps = values.number(`${flag}-batch-throttle-qps`);
  const burst = values.number(`${flag}-batch-throttle-burst`);
  const throttles = values.boolean(`${flag}-batch-throttle-enable`);
  const truncates = values.boolean(`${flag}-truncate-enabled`);
  if (mode === 'batch') {
    const batchOf = `invalid audit batch ${name}`;
    if (bufferSize <= 0)
      throw new FlagError(`${batchOf} buffer size ${bufferSize}, must be a positive number`);
    if (maxSize <= 0) throw new FlagError(`${batchOf} max batch size ${maxSize}, must be a positive number`);
    if (throttles && (qps <= 0 || burst <= 0)) {
      throw new FlagError(`${batchOf} throttle: qps ${qps} and burst ${burst} must be positive numbers`);
    }
  }
  return {
    mode,
    batch: {
      bufferSize,
      maxSize,
      maxWaitMs: values.number(`${flag}-batch-max-wait`),
      throttle: throttles ? { qps, burst } : undefined,
    },
    eventBytesMax: truncates ? values.number(`${flag}-truncate-max-event-size`) : 0,
    batchBytesMax: truncates ? values.number(`${flag}-truncate-max-batch-size`) : 0,
  };
}

function notNegative(name: string, values: FlagValues): number {
  const value = values.number(name);
  if (value < 0) throw new FlagError(`--${name} ${value} can't be a negative number`);
  return value;
}

function checkPolicy(text: string, path: string): void {
  try {
    AuditPolicy.parse(text);
  } catch (error) {
    if (!(error instanceof AuditPolicyError)) throw error;
    throw new FlagError(`Cannot use "${path}" of --audit-policy-file: ${error.message}`);
  }
}
