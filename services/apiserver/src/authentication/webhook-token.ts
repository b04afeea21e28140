import { createHash } from 'node:crypto';
import type { Clock } from '@pilothouse/base';
import type { DecisionCache } from '../shared/decision-cache.ts';
import type { WebhookEndpoint } from '../security/webhook-endpoint.ts';
import { commonAudiences } from './audiences.ts';
import type { AuthenticationResult, TokenAuthenticator } from './interface.ts';

const requestTimeoutMs = 30_000;
const entriesMax = 4096;

export interface WebhookTokenOptions {
  readonly endpoint: Pick<WebhookEndpoint, 'post'>;
  /** --authentication-token-webhook-version. */
  readonly version: 'v1' | 'v1beta1';
  /** How long an answer counts, milliseconds; 0: it is asked each time. Failures to ask are not kept. */
  readonly cacheTtlMs: number;
  /** What a webhook that names no audiences answers for. */
  readonly apiAudiences: readonly string[];
  readonly clock: Clock;
  /** Answers that other servers got, and the name of this webhook with them. */
  readonly shared?: { readonly decisions: DecisionCache; readonly scope: string } | undefined;
}

interface ReviewStatus {
  readonly authenticated?: boolean;
  readonly error?: string;
  readonly audiences?: readonly string[];
  readonly user?: {
    readonly username?: string;
    readonly uid?: string;
    readonly groups?: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

interface Answer {
  readonly result: AuthenticationResult | undefined;
  /** What the webhook found wrong. */
  readonly problem: string;
}

/** Asks a webhook by TokenReview whose token it is. Keeps hashes of tokens, no tokens. */
export function webhookTokenAuthenticator(options: WebhookTokenOptions): TokenAuthenticator {
  const { endpoint, version, cacheTtlMs, apiAudiences, clock, shared } = options;
  const answers = new Map<string, { readonly answer: Promise<Answer>; untilMs: number }>();

  async function ask(token: string, audiences: readonly string[]): Promise<Answer> {
    const review = await endpoint.post(
      {
        kind: 'TokenReview',
        apiVersion: `authentication.k8s.io/${version}`,
        metadata: {},
        spec: { token, ...(audiences.length === 0 ? {} : { audiences }) },
        status: { user: {} },
      },
      requestTimeoutMs,
    );
    const status = (review['status'] ?? {}) as ReviewStatus;
    let common: readonly string[] | undefined;
    if (audiences.length > 0) {
      const told = status.audiences ?? [];
      common = commonAudiences(audiences, told.length > 0 ? told : apiAudiences);
      if (common === undefined) return { result: undefined, problem: '' };
    }
    if (status.authenticated !== true) return { result: undefined, problem: status.error ?? '' };
    const { username = '', uid = '', groups = [], extra } = status.user ?? {};
    return {
      problem: '',
      result: {
        user: {
          name: username,
          ...(uid === '' ? {} : { uid }),
          groups: [...groups],
          ...(extra === undefined || extra === null ? {} : { extra }),
        },
        ...(common === undefined ? {} : { audiences: common }),
      },
    };
  }

  /** What another server was told, else what the webhook tells; that is shared. */
  async function askOnce(key: string, token: string, audiences: readonly string[]): Promise<Answer> {
    const known = (await shared?.decisions.get(shared.scope, key)) as Partial<Answer> | undefined;
    if (known !== undefined) return { result: known.result, problem: known.problem ?? '' };
    const answer = await ask(token, audiences);
    shared?.decisions.set(shared.scope, key, answer, cacheTtlMs);
    return answer;
  }

  function answerTo(token: string, audiences: readonly string[]): Promise<Answer> {
    if (cacheTtlMs <= 0) return ask(token, audiences);
    const hash = createHash('sha256');
    for (const part of [token, ...audiences]) hash.update(`${part.length}:`).update(part);
    const key = hash.digest('base64');
    const known = answers.get(key);
    if (known !== undefined && clock.monotonic() < known.untilMs) return known.answer;
    if (answers.size >= entriesMax) answers.clear();
    // Many requests with one token ask once.
    const entry = { answer: askOnce(key, token, audiences), untilMs: Infinity };
    answers.set(key, entry);
    entry.answer.then(
      () => (entry.untilMs = clock.monotonic() + cacheTtlMs),
      () => {
        if (answers.get(key) === entry) answers.delete(key);
      },
    );
    return entry.answer;
  }

  return {
    async authenticateToken(token, audiences) {
      const { result, problem } = await answerTo(token, audiences);
      if (problem !== '') throw new Error(problem);
      return result;
    },
  };
}
