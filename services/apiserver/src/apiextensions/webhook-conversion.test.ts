import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { CustomResourceDefinitionSpec, CustomResourceVersion } from '@pilothouse/api/apiextensions';
import type { WebhookTarget } from '../admission/webhooks/service-resolver.ts';
import type { WebhookClient } from '../admission/webhooks/webhook-client.ts';
import type { ObjectAccess } from '../security/object-access.ts';
import { webhookConversion } from './webhook-conversion.ts';

const schema = (field: string) => ({
  openAPIV3Schema: {
    type: 'object',
    properties: { spec: { type: 'object', properties: { [field]: { type: 'string' } } } },
  },
});
const v1: CustomResourceVersion = { name: 'v1', served: true, storage: true, schema: schema('host') };
const v2: CustomResourceVersion = { name: 'v2', served: true, storage: false, schema: schema('address') };
const spec: CustomResourceDefinitionSpec = {
  group: 'example.com',
  scope: 'Namespaced',
  names: { plural: 'sites', kind: 'Site' },
  versions: [v1, v2],
  conversion: {
    strategy: 'Webhook',
    webhook: { clientConfig: { url: 'https://convert.example.com/crd' }, conversionReviewVersions: ['v1'] },
  },
};

interface Review {
  readonly apiVersion: string;
  readonly request: { uid: string; desiredAPIVersion: string; objects: KubeObject[] };
}

/** What metrics were told, failures empty for successes. */
let told: (readonly unknown[])[] = [];
const series = {
  told: (definition: string, versions: readonly string[], _seconds: number, failure: string) =>
    void told.push([definition, ...versions, failure]),
};

function conversion(answer: (review: Review) => object, urls: string[] = []) {
  const client = {
    post: (target: WebhookTarget, _ca: string | undefined, body: string) => {
      urls.push(target.url);
      const review = JSON.parse(body) as Review;
      return Promise.resolve({
        kind: 'ConversionReview',
        apiVersion: review.apiVersion,
        response: answer(review),
      });
    },
  } as unknown as WebhookClient;
  return webhookConversion(spec, v1, v2, {
    client,
    objects: {} as ObjectAccess,
    random: nodeRandom,
    clock: nodeClock,
    series,
  });
}

const stored = (): KubeObject => ({
  apiVersion: 'example.com/v1',
  kind: 'Site',
  metadata: { name: 'a', uid: 'u', resourceVersion: '5', labels: { x: 'y' } },
  spec: { host: 'h' },
});

function renamed({ request }: Review): object {
  const convertedObjects = request.objects.map((object) => ({
    ...object,
    apiVersion: request.desiredAPIVersion,
    metadata: { ...object.metadata, labels: { z: 'z' }, generation: 77 },
    spec: { address: object['spec'].host as string, unknown: 1 },
  }));
  return { uid: request.uid, result: { status: 'Success' }, convertedObjects };
}

test('objects go to the webhook and come back pruned, with only labels and annotations of metadata changed', async () => {
  told = [];
  const urls: string[] = [];
  const [converted] = await conversion(renamed, urls).fromStored([stored()]);
  assert.deepEqual(told, [['sites.example.com', 'v1', 'v2', '']]);
  assert.deepEqual(urls, ['https://convert.example.com/crd?timeout=30s']);
  assert.deepEqual(converted, {
    apiVersion: 'example.com/v2',
    kind: 'Site',
    metadata: { name: 'a', uid: 'u', resourceVersion: '5', labels: { z: 'z' } },
    spec: { address: 'h' },
  });
});

test('answers that cannot be believed are refused', async () => {
  told = [];
  const refused = (answer: (review: Review) => object, text: RegExp) =>
    assert.rejects(conversion(answer).fromStored([stored()]), text);
  await refused((review) => ({ ...renamed(review), uid: 'other' }), /failed: expected response.uid=/);
  await refused(
    ({ request }) => ({ uid: request.uid, result: { status: 'Failed', message: 'no way' } }),
    /conversion webhook for example.com\/v1, Kind=Site failed: no way$/,
  );
  await refused(
    (review) => ({ ...renamed(review), convertedObjects: [] }),
    /conversion webhook for example.com\/v1, Kind=Site returned 0 objects, expected 1$/,
  );
  await refused(
    ({ request }) => ({ uid: request.uid, result: { status: 'Success' }, convertedObjects: request.objects }),
    /returned invalid object at index 0: invalid groupVersion \(expected example.com\/v2, received example.com\/v1\)$/,
  );
  assert.deepEqual(
    told.map((each) => each[3]),
    [
      'conversion_webhook_malformed_response_failure',
      'conversion_webhook_malformed_response_failure',
      'conversion_webhook_no_objects_returned_failure',
      'conversion_webhook_invalid_converted_object_failure',
    ],
  );
});
