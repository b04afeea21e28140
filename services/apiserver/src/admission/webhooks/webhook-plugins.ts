import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, jsonText, StatusError, statusErrors } from '@pilothouse/apimachinery';
import { errorMessage, uuid } from '@pilothouse/base';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { webhookConditions } from '../policies/match-conditions.ts';
import { findNamespace } from '../plugins/namespace-lifecycle.ts';
import { noVersions, VersionedViews } from '../versioned-attributes.ts';
import type { WebhookVerdict } from './admission-review.ts';
import { admissionReview, denial, InvalidResponse, patchedObject, verdictOf } from './admission-review.ts';
import { WebhookBreaker } from './breaker.ts';
import { isEmpty, isExempt, matchedVersion, namespaceMatches, objectMatches } from './matching.ts';
import { webhookTarget } from './service-resolver.ts';
import { WebhookMeter } from './webhook-meter.ts';
import { WebhookClient } from './webhook-client.ts';
import { WebhookCredentials } from './webhook-credentials.ts';
import type { ConfiguredWebhook, Webhook } from './webhook.ts';
import { webhooksOf } from './webhook.ts';

const group = 'admissionregistration.k8s.io';
const mutatingConfigurations = { group, version: 'v1', resource: 'mutatingwebhookconfigurations' } as const;
const validatingConfigurations = {
  group,
  version: 'v1',
  resource: 'validatingwebhookconfigurations',
} as const;
const defaultTimeoutSeconds = 10;

/** MutatingAdmissionWebhook: webhooks one after the other; each may patch the object. */
export function mutatingWebhooks(dependencies: AdmissionDependencies): AdmissionPlugin {
  const { objects } = dependencies;
  const caller = new WebhookCaller(dependencies, true);
  /** What each webhook left behind, for those that want to see later changes. */
  const rounds = new WeakMap<AdmissionAttributes, Map<string, KubeObject | undefined>>();
  const patched = new WeakSet<AdmissionAttributes>();
  const run = async (attributes: AdmissionAttributes, again: boolean): Promise<void> => {
    if (isExempt(attributes)) return;
    const configurations = objects.cached(mutatingConfigurations).list();
    if (configurations.length === 0) return;
    const views = new VersionedViews(attributes, dependencies.findVersions ?? noVersions);
    const seen = rounds.get(attributes) ?? new Map<string, KubeObject | undefined>();
    rounds.set(attributes, seen);
    for (const hook of webhooksOf(configurations)) {
      const key = `${hook.configuration}/${hook.webhook.name}`;
      if (again) {
        if (hook.webhook.reinvocationPolicy !== 'IfNeeded') continue;
        if (seen.has(key) && isDeepStrictEqual(seen.get(key), attributes.object)) continue;
      }
      const view = await caller.concerns(hook, attributes, views);
      if (view === undefined) continue;
      const verdict = await caller.call(hook, view);
      if (verdict !== undefined) {
        tell(hook.webhook, verdict, attributes);
        if (verdict.refusal !== undefined) throw verdict.refusal;
        if (verdict.patch !== undefined && attributes.object !== undefined) {
          applyPatch(dependencies, hook.webhook, view, verdict.patch);
          await views.takeBack(view);
          patched.add(attributes);
        }
      }
      seen.set(key, structuredClone(attributes.object));
    }
  };
  return {
    name: 'MutatingAdmissionWebhook',
    handles: () => true,
    admit: (attributes) => run(attributes, false),
    readmit: (attributes) => run(attributes, true),
    wantsReadmission: (attributes) => patched.has(attributes),
    measure: (times) => caller.meter.measure(times),
  };
}

/** ValidatingAdmissionWebhook: all webhooks at once; the first refusal in their order counts. */
export function validatingWebhooks(dependencies: AdmissionDependencies): AdmissionPlugin {
  const { objects } = dependencies;
  const caller = new WebhookCaller(dependencies, false);
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: () => true,
    async validate(attributes) {
      if (isExempt(attributes)) return;
      const configurations = objects.cached(validatingConfigurations).list();
      if (configurations.length === 0) return;
      const views = new VersionedViews(attributes, dependencies.findVersions ?? noVersions);
      const concerned: { readonly hook: ConfiguredWebhook; readonly view: AdmissionAttributes }[] = [];
      for (const hook of webhooksOf(configurations)) {
        const view = await caller.concerns(hook, attributes, views);
        if (view !== undefined) concerned.push({ hook, view });
      }
      const results = await Promise.allSettled(concerned.map(({ hook, view }) => caller.call(hook, view)));
      for (const [index, result] of results.entries()) {
        if (result.status === 'rejected') throw result.reason as Error;
        const { webhook } = (concerned[index] as (typeof concerned)[number]).hook;
        if (result.value === undefined) continue;
        tell(webhook, result.value, attributes);
        if (result.value.refusal !== undefined) throw result.value.refusal;
      }
    },
    measure: (times) => caller.meter.measure(times),
  };
}

function applyPatch(
  dependencies: AdmissionDependencies,
  webhook: Webhook,
  attributes: AdmissionAttributes,
  patch: string,
): void {
  try {
    attributes.object = patchedObject(attributes.object as KubeObject, patch);
  } catch (error) {
    throw statusErrors.internal(
      `failed applying patch of webhook ${goQuote(webhook.name)}: ${errorMessage(error)}`,
    );
  }
  dependencies.setDefaults?.(attributes);
}

function tell(webhook: Webhook, verdict: WebhookVerdict, attributes: AdmissionAttributes): void {
  for (const warning of verdict.warnings) attributes.addWarning(warning);
  for (const [key, value] of Object.entries(verdict.auditAnnotations)) {
    attributes.addAuditAnnotation(`${webhook.name}/${key}`, value);
  }
}

/** With the error for the client when the webhook refused. */
interface CalledVerdict extends WebhookVerdict {
  readonly refusal?: StatusError;
}

class WebhookCaller {
  readonly #dependencies: AdmissionDependencies;
  readonly #mutating: boolean;
  readonly #client: WebhookClient;
  readonly #breaker: WebhookBreaker;
  readonly meter: WebhookMeter;
  readonly #conditionsHold: ReturnType<typeof webhookConditions>;

  constructor(dependencies: AdmissionDependencies, mutating: boolean) {
    this.#dependencies = dependencies;
    this.#mutating = mutating;
    const { configs } = dependencies;
    const file = mutating ? configs?.mutatingWebhookKubeconfig : configs?.validatingWebhookKubeconfig;
    this.#client = new WebhookClient(
      file === undefined ? undefined : new WebhookCredentials(file, dependencies),
    );
    this.meter = new WebhookMeter(mutating, dependencies.clock);
    this.#breaker = new WebhookBreaker(dependencies.clock, dependencies.webhookBreaker);
    this.#conditionsHold = webhookConditions(dependencies.authorizer);
  }

  /**
   * The request in the version that the webhook wants to see; undefined: it is not to be asked. Throws StatusError when that cannot be
   * told and its failurePolicy is Fail, and when the objects cannot be converted.
   */
  async concerns(
    { webhook }: ConfiguredWebhook,
    attributes: AdmissionAttributes,
    views: VersionedViews,
  ): Promise<AdmissionAttributes | undefined> {
    const matchPolicy = webhook.matchPolicy ?? 'Equivalent';
    const target = matchedVersion(webhook.rules, attributes, matchPolicy, views.others);
    if (target === undefined || !objectMatches(webhook, attributes)) return undefined;
    if (
      !isEmpty(webhook.namespaceSelector) &&
      !namespaceMatches(webhook, await this.#namespaceLabels(attributes))
    ) {
      return undefined;
    }
    const view = await views.in(target);
    const conditions = webhook.matchConditions ?? [];
    if (conditions.length === 0) return view;
    const startedMs = this.meter.now();
    try {
      if (await this.#conditionsHold(conditions, view)) return view;
      this.meter.excluded(webhook.name, attributes.operation);
      return undefined;
    } catch (error) {
      this.meter.conditionFailed(webhook.name, attributes.operation);
      if (webhook.failurePolicy === 'Ignore') return undefined;
      throw new StatusError(
        403,
        'Forbidden',
        `webhook ${goQuote(webhook.name)}: matchConditions could not be evaluated: ${errorMessage(error)}`,
      );
    } finally {
      this.meter.conditionsTook(webhook.name, attributes.operation, startedMs);
    }
  }

  /** Undefined: the webhook failed and its failurePolicy ignores that. Throws StatusError otherwise. */
  async call(
    { configuration, webhook }: ConfiguredWebhook,
    attributes: AdmissionAttributes,
  ): Promise<CalledVerdict | undefined> {
    if (attributes.dryRun && webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun') {
      throw statusErrors.badRequest(`admission webhook ${goQuote(webhook.name)} does not support dry run`);
    }
    const { random, objects, logger } = this.#dependencies;
    const key = `${configuration}/${webhook.name}`;
    const must = webhook.failurePolicy !== 'Ignore';
    const decision = must ? this.#breaker.decide(key, attributes) : 'call';
    const { operation } = attributes;
    if (decision !== 'call') this.meter.broke(webhook.name, decision);
    if (decision === 'skip') {
      this.#skip(key, attributes);
      return undefined;
    }
    if (decision === 'refuse') {
      const count = this.#breaker.failuresOf(key);
      throw statusErrors.internal(
        `failed calling webhook ${goQuote(webhook.name)}: failed to call webhook: not called, the last ${count} calls failed`,
      );
    }
    const uid = uuid(random);
    const startedMs = this.meter.now();
    const timeoutSeconds = webhook.timeoutSeconds ?? defaultTimeoutSeconds;
    const span = this.#dependencies.span?.()?.child('Call webhook', 'client', {
      configuration,
      webhook: webhook.name,
      operation,
    });
    try {
      const { url, resolve } = webhookTarget(webhook.clientConfig, timeoutSeconds, objects);
      let target;
      try {
        target = resolve();
      } catch (error) {
        throw new Error(`Post "${url}": ${errorMessage(error)}`, { cause: error });
      }
      const { caBundle } = webhook.clientConfig;
      const caPem = caBundle === undefined ? undefined : Buffer.from(caBundle, 'base64').toString('utf8');
      const body = jsonText(admissionReview(attributes, uid));
      const answer = await this.#client.post(
        target,
        caPem,
        body,
        timeoutSeconds * 1000,
        span === undefined ? {} : { traceparent: span.traceparent },
      );
      const verdict = verdictOf(answer, uid, this.#mutating);
      if (this.#breaker.failuresOf(key) > 0) this.meter.dead(webhook.name, false);
      this.#breaker.answered(key);
      if (verdict.allowed) {
        this.meter.allowed(webhook.name, operation, startedMs);
        return verdict;
      }
      const refusal = denial(webhook.name, verdict.status);
      this.meter.denied(webhook.name, operation, startedMs, refusal);
      return { ...verdict, refusal };
    } catch (error) {
      span?.fail(errorMessage(error));
      this.meter.failed(webhook.name, operation, startedMs, !must);
      const isNowDead = must && this.#breaker.failed(key);
      if (isNowDead) this.meter.dead(webhook.name, true);
      if (isNowDead)
        logger.error('Admission webhook counts as dead: the cluster goes on without it, users are refused', {
          webhook: key,
          error: errorMessage(error),
        });
      const what =
        error instanceof InvalidResponse ? 'received invalid webhook response' : 'failed to call webhook';
      const text = `failed calling webhook ${goQuote(webhook.name)}: ${what}: ${errorMessage(error)}`;
      if (webhook.failurePolicy === 'Ignore') {
        logger.warn('Ignored a webhook that failed', { webhook: webhook.name, error: errorMessage(error) });
        return undefined;
      }
      throw statusErrors.internal(text);
    } finally {
      span?.end();
    }
  }

  /** A request that the cluster lives by passes a dead webhook, for all to see. */
  #skip(key: string, attributes: AdmissionAttributes): void {
    this.#dependencies.logger.warn('Admission webhook skipped: it is dead and the request is vital', {
      webhook: key,
      user: attributes.user.name,
      resource: attributes.resource.resource,
      namespace: attributes.namespace,
      name: attributes.name,
    });
    attributes.addWarning(`admission webhook ${key} does not answer and was skipped`);
    attributes.addAuditAnnotation('breaker.webhook.admission.pilothouse.io/skipped', key);
  }

  async #namespaceLabels(attributes: AdmissionAttributes): Promise<Record<string, string> | undefined> {
    const { resource, namespace, object, oldObject } = attributes;
    if (resource.group === '' && resource.resource === 'namespaces' && attributes.subresource === '') {
      return (object ?? oldObject)?.metadata.labels ?? {};
    }
    if (namespace === '') return undefined;
    return (await findNamespace(this.#dependencies.objects, namespace)).metadata.labels ?? {};
  }
}
