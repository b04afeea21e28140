import fs from 'node:fs';
import type { Clock, Logger, Random } from '@pilothouse/base';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { AuditTarget } from './audit-trail.ts';
import { AuditTrail } from './audit-trail.ts';
import { AuditWebhook } from './audit-webhook.ts';
import { AuditPolicy } from './policy.ts';
import { RotatingFile } from './rotating-file.ts';
import type { AuditMode, BatchOptions } from './sinks.ts';
import { AuditBackend } from './sinks.ts';

/** What both backends have. Bytes 0: no limit. */
export interface AuditBackendConfig {
  readonly mode: AuditMode;
  readonly batch: BatchOptions;
  readonly eventBytesMax: number;
  readonly batchBytesMax: number;
}

/** --audit-*. Times in milliseconds. */
export interface AuditConfig {
  /** Text of the policy file; undefined: everything at level Metadata. */
  readonly policyText?: string;
  readonly log?: AuditBackendConfig & {
    /** `-` is standard output. */
    readonly path: string;
    readonly format: 'json' | 'legacy';
    readonly bytesMax: number;
    readonly ageMsMax: number;
    readonly backupsMax: number;
    readonly compress: boolean;
  };
  readonly webhook?: AuditBackendConfig & { readonly kubeconfig: string; readonly initialBackoffMs: number };
}

/** Opens the backends. Throws AuditPolicyError, and Error for a webhook's file that cannot be used. */
export function openAudit(
  config: AuditConfig,
  ports: { clock: Clock; random: Random; logger: Logger; metrics: ServerMetrics },
  others: readonly AuditTarget[] = [],
): AuditTrail {
  const policy =
    config.policyText === undefined
      ? AuditPolicy.always('Metadata', ['RequestReceived'])
      : AuditPolicy.parse(config.policyText);
  const targets: AuditTarget[] = [...others];
  if (config.log) {
    const { log } = config;
    const file =
      log.path === '-'
        ? undefined
        : new RotatingFile(
            log.path,
            {
              bytesMax: log.bytesMax,
              ageMsMax: log.ageMsMax,
              backupsMax: log.backupsMax,
              compress: log.compress,
            },
            ports,
          );
    const sink = new AuditBackend(
      {
        ...log,
        name: 'log',
        send: (lines) => {
          const text = `${lines.join('\n')}\n`;
          if (file) file.write(text);
          else fs.writeSync(1, text);
        },
        end: () => file?.close() ?? Promise.resolve(),
      },
      ports,
    );
    targets.push({ sink, strict: log.mode === 'blocking-strict' });
  }
  if (config.webhook) {
    const webhook = new AuditWebhook(config.webhook.kubeconfig, config.webhook.initialBackoffMs, ports);
    const sink = new AuditBackend(
      {
        ...config.webhook,
        name: 'webhook',
        format: 'json',
        send: (lines) => webhook.send(lines),
        end: () => {
          webhook.close();
          return Promise.resolve();
        },
      },
      ports,
    );
    targets.push({ sink, strict: config.webhook.mode === 'blocking-strict' });
  }
  return new AuditTrail(policy, targets, ports);
}
