import { createHash } from 'node:crypto';
import type { CelProgram } from '@pilothouse/api/cel';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { SecuritySeries } from '../../metrics/security-series.ts';
import type { DecisionCache } from '../../shared/decision-cache.ts';
import type { WebhookEndpoint } from '../../security/webhook-endpoint.ts';
import type { AuthorizationAttributes, AuthorizationResult, Authorizer } from '../interface.ts';
import { accessReviewSpec } from './access-review-spec.ts';
import { conditionsMatch } from './match-conditions.ts';

const cacheEntriesMax = 8192;
/** A question whose names are longer is not remembered. */
const cachedLengthMax = 10_000;

export interface WebhookAuthorizerOptions {
  readonly name: string;
  readonly endpoint: Pick<WebhookEndpoint, 'post'>;
  readonly reviewVersion: 'v1' | 'v1beta1';
  readonly timeoutMs: number;
  /** How long answers count; 0: not kept. */
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  /** What an unanswered question counts as. */
  readonly onError: 'noOpinion' | 'deny';
  readonly conditions: readonly CelProgram[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly series?: SecuritySeries | undefined;
  /** Answers that other servers got, and the name of this webhook with them. */
  readonly shared?: { readonly decisions: DecisionCache; readonly scope: string } | undefined;
}

interface ReviewStatus {
  readonly allowed?: boolean;
  readonly denied?: boolean;
  readonly reason?: string;
}

/** `untilMs` is wall time: an answer does not live longer for being shared. */
interface SharedAnswer {
  readonly status: ReviewStatus;
  readonly untilMs: number;
}

/** Asks a webhook by SubjectAccessReview. */
export function webhookAuthorizer(options: WebhookAuthorizerOptions): Authorizer {
  const { endpoint, clock, logger, series } = options;
  const cache = new Map<string, { readonly status: ReviewStatus; readonly untilMs: number }>();

  const failed = (error: unknown): AuthorizationResult => ({
    decision: options.onError,
    reason: '',
    evaluationError: errorMessage(error),
  });

  const keep = (key: string, status: ReviewStatus, ttlMs: number): void => {
    if (cache.size >= cacheEntriesMax) cache.delete(cache.keys().next().value as string);
    cache.delete(key);
    cache.set(key, { status, untilMs: clock.monotonic() + ttlMs });
  };

  /** One question with all its attempts. */
  const post = async (review: object): Promise<Readonly<Record<string, unknown>>> => {
    const startedMs = clock.monotonic();
    let result = 'success';
    try {
      return await endpoint.post(review, options.timeoutMs);
    } catch (error) {
      result = errorMessage(error).includes('context deadline exceeded') ? 'timeout' : 'error';
      if (options.onError === 'noOpinion') series?.webhookFailOpen.cell(options.name, result).inc();
      throw error;
    } finally {
      series?.webhookEvaluations.cell(options.name, result).inc();
      series?.webhookSeconds.series(options.name, result).observe((clock.monotonic() - startedMs) / 1000);
    }
  };

  const matches = (spec: Record<string, unknown>): boolean => {
    if (options.conditions.length === 0) return true;
    const startedMs = clock.monotonic();
    const labels = ['Webhook', options.name] as const;
    try {
      const isMatch = conditionsMatch(options.conditions, spec);
      if (!isMatch) series?.conditionExclusions.cell(...labels).inc();
      return isMatch;
    } catch (error) {
      series?.conditionErrors.cell(...labels).inc();
      throw error;
    } finally {
      series?.conditionSeconds.series(...labels).observe((clock.monotonic() - startedMs) / 1000);
    }
  };

  async function ask(
    attributes: AuthorizationAttributes,
    spec: Record<string, unknown>,
  ): Promise<ReviewStatus> {
    const key = createHash('sha256').update(JSON.stringify(spec)).digest('base64');
    const known = cache.get(key);
    if (known !== undefined && clock.monotonic() < known.untilMs) return known.status;
    const { shared } = options;
    const told = (await shared?.decisions.get(shared.scope, key)) as SharedAnswer | undefined;
    if (told !== undefined) {
      const leftMs = told.untilMs - clock.now();
      if (leftMs > 0) keep(key, told.status, leftMs);
      return told.status;
    }
    const { groups, ...rest } = spec;
    const isOld = options.reviewVersion === 'v1beta1';
    const review = await post({
      kind: 'SubjectAccessReview',
      apiVersion: `authorization.k8s.io/${options.reviewVersion}`,
      metadata: {},
      spec: { ...rest, ...(groups === undefined ? {} : { [isOld ? 'group' : 'groups']: groups }) },
      status: { allowed: false },
    });
    const status = (review['status'] ?? {}) as ReviewStatus;
    const ttlMs = status.allowed === true ? options.authorizedTtlMs : options.unauthorizedTtlMs;
    if (ttlMs > 0 && lengthOf(attributes) < cachedLengthMax) {
      keep(key, status, ttlMs);
      shared?.decisions.set(
        shared.scope,
        key,
        { status, untilMs: clock.now() + ttlMs } satisfies SharedAnswer,
        ttlMs,
      );
    }
    return status;
  }

  return {
    async authorize(attributes) {
      const spec = accessReviewSpec(attributes);
      let status: ReviewStatus;
      try {
        if (!matches(spec)) return { decision: 'noOpinion', reason: '' };
        status = await ask(attributes, spec);
      } catch (error) {
        logger.error('Failed to make webhook authorizer request', {
          authorizer: options.name,
          error: errorMessage(error),
        });
        return failed(error);
      }
      const { allowed = false, denied = false, reason = '' } = status;
      if (denied && allowed) {
        return {
          decision: 'deny',
          reason,
          evaluationError: 'webhook subject access review returned both allow and deny response',
        };
      }
      return { decision: denied ? 'deny' : allowed ? 'allow' : 'noOpinion', reason };
    },
  };
}

function lengthOf(attributes: AuthorizationAttributes): number {
  const { namespace, verb, apiGroup, apiVersion, resource, subresource, name, path } = attributes;
  let length = 0;
  for (const text of [namespace, verb, apiGroup, apiVersion, resource, subresource, name, path])
    length += text.length;
  return length;
}
