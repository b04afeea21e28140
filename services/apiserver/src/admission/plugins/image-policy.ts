import type { KubeObject } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import { podSpec } from '@pilothouse/api/quota';
import { WebhookEndpoint } from '../../security/webhook-endpoint.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { forbid } from '../refusal.ts';

const answersMax = 1024;
/** One question with all attempts. */
const timeoutMs = 30_000;
const auditPrefix = 'imagepolicywebhook.image-policy.k8s.io/';
const apiVersion = 'imagepolicy.k8s.io/v1alpha1';

interface Verdict {
  readonly allowed: boolean;
  readonly reason: string;
  readonly auditAnnotations: Readonly<Record<string, string>>;
}

/** Asks a webhook (ImageReview) whether the images of a pod may run. Its answers count for a while. */
export function imagePolicyWebhook({
  configs,
  clock,
  random,
  logger,
}: AdmissionDependencies): AdmissionPlugin {
  const config = configs?.imagePolicy;
  if (config === undefined)
    throw new Error('couldn\'t init admission plugin "ImagePolicyWebhook": no config specified');
  const endpoint = new WebhookEndpoint(config.kubeconfig, {
    clock,
    random,
    logger,
    firstWaitMs: config.retryBackoffMs,
  });
  const answers = new Map<string, { readonly verdict: Verdict; readonly untilMs: number }>();

  const ask = async (spec: object): Promise<Verdict> => {
    const key = JSON.stringify(spec);
    const known = answers.get(key);
    if (known !== undefined && clock.monotonic() < known.untilMs) return known.verdict;
    const review = await endpoint.post(
      { kind: 'ImageReview', apiVersion, metadata: {}, spec, status: { allowed: false } },
      timeoutMs,
    );
    const verdict = verdictOf(review);
    const ttlMs = verdict.allowed ? config.allowTtlMs : config.denyTtlMs;
    if (answers.size >= answersMax) answers.delete(answers.keys().next().value as string);
    if (ttlMs > 0) answers.set(key, { verdict, untilMs: clock.monotonic() + ttlMs });
    return verdict;
  };

  return {
    name: 'ImagePolicyWebhook',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      const spec = specOf(attributes);
      if (spec === undefined) return;
      let verdict: Verdict;
      try {
        verdict = await ask(spec);
      } catch (error) {
        if (!config.defaultAllow) throw forbid(attributes, errorMessage(error));
        logger.warn('Let a pod pass: the image policy webhook does not answer', {
          error: errorMessage(error),
        });
        attributes.addAuditAnnotation(`${auditPrefix}failed-open`, 'true');
        return;
      }
      for (const [key, value] of Object.entries(verdict.auditAnnotations))
        attributes.addAuditAnnotation(`${auditPrefix}${key}`, value);
      if (verdict.allowed) return;
      throw forbid(
        attributes,
        verdict.reason === ''
          ? 'one or more images rejected by webhook backend'
          : `image policy webhook backend denied one or more images: ${verdict.reason}`,
      );
    },
  };
}

/** What the webhook is asked about; undefined: nothing. */
function specOf({ resource, subresource, object, namespace }: AdmissionAttributes): object | undefined {
  if (resource.group !== '' || resource.resource !== 'pods' || object === undefined) return undefined;
  if (subresource !== '' && subresource !== 'ephemeralcontainers') return undefined;
  const spec = podSpec(object);
  const containers =
    subresource === ''
      ? [...spec.containers, ...(spec.initContainers ?? [])]
      : (spec.ephemeralContainers ?? []);
  const annotations = annotationsOf(object);
  return {
    containers: containers.map(({ image }) => (image === undefined ? {} : { image })),
    ...(annotations.length === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
    ...(namespace === '' ? {} : { namespace }),
  };
}

/** Other annotations are none of the webhook's business. */
function annotationsOf(pod: KubeObject): [string, string][] {
  return Object.entries(pod.metadata.annotations ?? {}).filter(([key]) =>
    key.includes('.image-policy.k8s.io/'),
  );
}

function verdictOf(review: Readonly<Record<string, unknown>>): Verdict {
  const status = (review['status'] ?? {}) as Record<string, unknown>;
  return {
    allowed: status['allowed'] === true,
    reason: typeof status['reason'] === 'string' ? status['reason'] : '',
    auditAnnotations: (status['auditAnnotations'] ?? {}) as Record<string, string>,
  };
}
