import fs from 'node:fs';
import type { Clock, Logger, Random } from '@pilothouse/base';
import { sleep } from '@pilothouse/base';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import { HttpsClient } from '../security/https-json.ts';
import { readWebhookAccess } from '../security/webhook-endpoint.ts';
import type { AuditTarget } from './audit-trail.ts';
import { AuditTrail } from './audit-trail.ts';
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

const webhookTimeoutMs = 30_000;
/** Tries in all, and how the time between them grows, as upstream's. */
const webhookTries = 5;
const backoffFactor = 1.5;
const backoffJitter = 0.2;

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

/** POSTs event lists to the server of a kubeconfig file. */
class AuditWebhook {
  readonly #access: ReturnType<typeof readWebhookAccess>;
  readonly #client: HttpsClient;
  readonly #backoffMs: number;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(kubeconfig: string, backoffMs: number, ports: { clock: Clock; random: Random }) {
    this.#access = readWebhookAccess(kubeconfig);
    this.#client = new HttpsClient(this.#access.peer);
    this.#backoffMs = backoffMs;
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  /** Any status of 2xx is good, whatever the answer says. A refusal is not sent again; what may pass by itself is. */
  async send(lines: readonly string[]): Promise<void> {
    const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${lines.join(',')}]}`;
    const { url, headers } = this.#access;
    let waitMs = this.#backoffMs;
    for (let attempt = 1; ; attempt++) {
      let failure: Error;
      try {
        const { status } = await this.#client.send(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'user-agent': 'kube-apiserver', ...headers },
          body,
          timeoutMs: webhookTimeoutMs,
        });
        if (status >= 200 && status <= 299) return;
        failure = new Error(`the webhook ${url} answered with status ${status}`);
        if (status < 500 && status !== 429) throw new Refused(failure.message);
      } catch (error) {
        if (error instanceof Refused) throw error;
        failure = error as Error;
      }
      if (attempt === webhookTries) throw failure;
      await sleep(this.#clock, waitMs * (1 + backoffJitter * this.#random.float()));
      waitMs *= backoffFactor;
    }
  }

  close(): void {
    this.#client.close();
  }
}

class Refused extends Error {}
