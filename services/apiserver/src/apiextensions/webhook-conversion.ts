import type { Clock, Random } from '@pilothouse/base';
import { errorMessage, uuid } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { apiVersionOf, jsonText, StatusError } from '@pilothouse/apimachinery';
import type { CustomResourceDefinitionSpec, CustomResourceVersion } from '@pilothouse/api/apiextensions';
import type { WebhookClient } from '../admission/webhooks/webhook-client.ts';
import { webhookTarget } from '../admission/webhooks/service-resolver.ts';
import type { WebhookClientConfig } from '../admission/webhooks/webhook.ts';
import type { ConversionFailure, ConversionSeries } from '../metrics/conversion-series.ts';
import type { ObjectAccess } from '../security/object-access.ts';
import { deepClone } from '../storage/deep.ts';
import { CustomBodyCodec } from './body-codec.ts';
import type { ObjectConversion } from './converted-storage.ts';

const timeoutSeconds = 30;
const reviewVersions = ['v1', 'v1beta1'];

export interface WebhookConversionPorts {
  readonly client: WebhookClient;
  readonly objects: ObjectAccess;
  readonly random: Random;
  readonly clock: Clock;
  readonly series?: Pick<ConversionSeries, 'told'>;
}

interface ReviewResponse {
  readonly uid?: string;
  readonly convertedObjects?: KubeObject[];
  readonly result?: { readonly status?: string; readonly message?: string };
}

/** Strategy Webhook: asks the definition's webhook with a ConversionReview. */
export function webhookConversion(
  spec: CustomResourceDefinitionSpec,
  stored: CustomResourceVersion,
  version: CustomResourceVersion,
  ports: WebhookConversionPorts,
): ObjectConversion {
  const to = (target: CustomResourceVersion) => {
    const apiVersion = apiVersionOf(spec.group, target.name);
    const body = new CustomBodyCodec(target.schema?.openAPIV3Schema);
    return async (objects: readonly KubeObject[]): Promise<readonly KubeObject[]> => {
      const converted = await convert(spec, objects, apiVersion, ports);
      for (const object of converted) body.coerce(object, false);
      return converted;
    };
  };
  return { toStored: to(stored), fromStored: to(version) };
}

async function convert(
  spec: CustomResourceDefinitionSpec,
  objects: readonly KubeObject[],
  desired: string,
  { client, objects: access, random, clock, series }: WebhookConversionPorts,
): Promise<KubeObject[]> {
  const others = objects.filter((object) => object.apiVersion !== desired);
  if (others.length === 0) return objects.map(deepClone);
  const { webhook } = spec.conversion ?? {};
  const config = webhook?.clientConfig ?? {};
  const reviewVersion =
    reviewVersions.find((each) => webhook?.conversionReviewVersions?.includes(each)) ?? 'v1';
  const from = others[0]?.apiVersion ?? '';
  const startedMs = clock.monotonic();
  const versionOf = (apiVersion: string): string => apiVersion.slice(apiVersion.indexOf('/') + 1);
  const tell = (failure: ConversionFailure): void =>
    series?.told(
      `${spec.names.plural}.${spec.group}`,
      [versionOf(from), versionOf(desired)],
      (clock.monotonic() - startedMs) / 1000,
      failure,
    );
  const refusal = (failure: ConversionFailure, detail: string): StatusError => {
    tell(failure);
    return new StatusError(500, '', `conversion webhook for ${from}, Kind=${spec.names.kind} ${detail}`);
  };
  const fail = (
    detail: string,
    failure: ConversionFailure = 'conversion_webhook_malformed_response_failure',
  ): StatusError => refusal(failure, `failed: ${detail}`);
  const uid = uuid(random);
  const review = {
    kind: 'ConversionReview',
    apiVersion: `apiextensions.k8s.io/${reviewVersion}`,
    request: { uid, desiredAPIVersion: desired, objects: others },
  };
  let answer: unknown;
  let response: ReviewResponse;
  try {
    const target = webhookTarget(config as WebhookClientConfig, timeoutSeconds, access).resolve();
    const caPem =
      config.caBundle === undefined ? undefined : Buffer.from(config.caBundle, 'base64').toString('utf8');
    answer = await client.post(target, caPem, jsonText(review), timeoutSeconds * 1000);
  } catch (error) {
    throw fail(errorMessage(error), 'conversion_webhook_call_failure');
  }
  try {
    response = responseOf(answer, reviewVersion);
  } catch (error) {
    throw fail(errorMessage(error));
  }
  if (reviewVersion === 'v1' && response.uid !== uid)
    throw fail(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
  if (response.result?.status !== 'Success')
    throw fail(
      response.result?.message ||
        `response.result.status was '${response.result?.status ?? ''}', not 'Success'`,
    );
  const answered = response.convertedObjects ?? [];
  if (answered.length !== others.length) {
    throw refusal(
      answered.length === 0
        ? 'conversion_webhook_no_objects_returned_failure'
        : 'conversion_webhook_partial_response_failure',
      `returned ${answered.length} objects, expected ${others.length}`,
    );
  }
  const what = objects.length === 1 ? 'object' : 'converted object';
  let next = 0;
  const converted = objects.map((object) => {
    if (object.apiVersion === desired) return deepClone(object);
    const index = next++;
    const result = answered[index] as KubeObject;
    const problem = differs(object, result, desired);
    if (problem !== undefined)
      throw refusal(
        'conversion_webhook_invalid_converted_object_failure',
        `returned invalid ${what} at index ${index}: ${problem}`,
      );
    // A webhook may change labels and annotations; the rest of metadata is not its business.
    const { labels, annotations } = result.metadata;
    const metadata = { ...deepClone(object.metadata) };
    delete metadata.labels;
    delete metadata.annotations;
    return {
      ...result,
      metadata: { ...metadata, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) },
    };
  });
  tell('');
  return converted;
}

/** The response in a review of the version that was asked. Throws an Error that says what the webhook sent instead. */
function responseOf(answer: unknown, version: string): ReviewResponse {
  const review = (answer ?? {}) as { apiVersion?: string; kind?: string; response?: ReviewResponse | null };
  const wanted = `apiextensions.k8s.io/${version}`;
  if (review.apiVersion !== wanted || review.kind !== 'ConversionReview')
    throw new Error(
      `expected webhook response of ${wanted}, Kind=ConversionReview, got ${review.apiVersion ?? ''}, Kind=${review.kind ?? ''}`,
    );
  if (review.response === undefined || review.response === null) throw new Error('no response provided');
  return review.response;
}

function differs(object: KubeObject, result: KubeObject, desired: string): string | undefined {
  if (result.apiVersion !== desired)
    return `invalid groupVersion (expected ${desired}, received ${result.apiVersion ?? ''})`;
  if (result.kind !== object.kind)
    return `invalid kind (expected ${object.kind ?? ''}, received ${result.kind ?? ''})`;
  if (typeof result.metadata !== 'object' || result.metadata === null)
    return 'missing metadata in converted object';
  for (const [member, name] of [
    ['name', 'name'],
    ['namespace', 'namespace'],
    ['uid', 'UID'],
  ] as const) {
    const [before, after] = [object.metadata[member] ?? '', result.metadata[member] ?? ''];
    if (before !== after) return `must have the same ${name}: ${before} != ${after}`;
  }
  return undefined;
}
