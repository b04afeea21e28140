import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { CustomResourceDefinitionSpec, CustomResourceVersion } from '@pilothouse/api/apiextensions';
import type { Pki } from '@pilothouse/host';
import { ensurePki, nodeClock, nodeRandom } from '@pilothouse/host';
import { WebhookClient } from '../admission/webhooks/webhook-client.ts';
import type { ObjectAccess } from '../security/object-access.ts';
import { webhookConversion } from './webhook-conversion.ts';

interface Review {
  readonly request: { uid: string; desiredAPIVersion: string; objects: KubeObject[] };
}

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'conversion-'));
const client = new WebhookClient();
let pki: Pki;
let server: https.Server;
let port = 0;
/** What the webhook sends back for the review of a request. */
let answer: (review: Review) => { readonly status?: number; readonly body: string };

before(async () => {
  pki = await ensurePki(directory);
  server = https.createServer(
    { cert: pki.apiServer.certPem, key: pki.apiServer.keyPem },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { status, body } = answer(JSON.parse(Buffer.concat(chunks).toString()) as Review);
        response.writeHead(status ?? 200, { 'content-type': 'application/json' });
        response.end(body);
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
after(() => {
  client.close();
  server.closeAllConnections();
  server.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

const schema = {
  openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
} as const;
const version = (name: string, storage: boolean): CustomResourceVersion => ({
  name,
  served: true,
  storage,
  schema,
});

function convert(count = 1, caPem = pki.ca.certPem): Promise<readonly KubeObject[]> {
  const [v1, v2] = [version('v1', true), version('v2', false)];
  const spec: CustomResourceDefinitionSpec = {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'sites', kind: 'Site' },
    versions: [v1, v2],
    conversion: {
      strategy: 'Webhook',
      webhook: {
        clientConfig: {
          url: `https://127.0.0.1:${port}/convert`,
          caBundle: Buffer.from(caPem).toString('base64'),
        },
        conversionReviewVersions: ['v1'],
      },
    },
  };
  const ports = { client, objects: {} as ObjectAccess, random: nodeRandom, clock: nodeClock };
  const objects = Array.from({ length: count }, (_, index) => ({
    apiVersion: 'example.com/v1',
    kind: 'Site',
    metadata: { name: `s${index}`, uid: `u${index}` },
  }));
  return webhookConversion(spec, v1, v2, ports).fromStored(objects);
}

const reviewed = (response: object | undefined, more: object = {}): { body: string } => ({
  body: JSON.stringify({
    kind: 'ConversionReview',
    apiVersion: 'apiextensions.k8s.io/v1',
    response,
    ...more,
  }),
});
const converted = (
  { request }: Review,
  change: (object: KubeObject) => object = (object) => object,
): object => ({
  uid: request.uid,
  result: { status: 'Success' },
  convertedObjects: request.objects.map((object) =>
    change({ ...object, apiVersion: request.desiredAPIVersion }),
  ),
});

async function refusal(give: typeof answer, count = 1): Promise<string> {
  answer = give;
  return convert(count).then(
    () => 'converted',
    (error: unknown) => (error as Error).message,
  );
}

test('objects are converted over TLS, verified by the bundle of the definition', async () => {
  answer = (review) => reviewed(converted(review));
  assert.deepEqual(
    (await convert(3)).map(({ apiVersion, metadata }) => `${apiVersion} ${metadata.name}`),
    ['example.com/v2 s0', 'example.com/v2 s1', 'example.com/v2 s2'],
  );
  const stranger = await ensurePki(path.join(directory, 'stranger'));
  await assert.rejects(
    convert(1, stranger.ca.certPem),
    /failed: Post "https:\/\/127\.0\.0\.1:\d+\/convert\?timeout=30s": tls: failed to verify certificate: x509: certificate signed by unknown authority/,
  );
});

test('broken answers are refused with what is wrong about them', async () => {
  const start = 'conversion webhook for example.com/v1, Kind=Site ';
  const cases: readonly (readonly [typeof answer, string, number?])[] = [
    [() => reviewed(undefined), 'failed: no response provided'],
    [
      (review) => reviewed(converted(review), { kind: 'Other' }),
      'failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1, Kind=Other',
    ],
    [
      (review) => reviewed({ ...converted(review), result: { status: 'Failure' } }),
      "failed: response.result.status was 'Failure', not 'Success'",
    ],
    [
      (review) => reviewed({ ...converted(review), result: { status: 'Failure', message: 'no way' } }),
      'failed: no way',
    ],
    [
      (review) => reviewed({ ...converted(review), convertedObjects: [] }),
      'returned 0 objects, expected 2',
      2,
    ],
    [
      (review) => reviewed(converted(review, (object) => ({ ...object, kind: 'Other' }))),
      'returned invalid converted object at index 0: invalid kind (expected Site, received Other)',
      2,
    ],
    [
      (review) =>
        reviewed(converted(review, (object) => ({ ...object, metadata: { name: 'x', uid: 'u0' } }))),
      'returned invalid object at index 0: must have the same name: s0 != x',
    ],
    [
      () => ({ status: 500, body: 'broken' }),
      'failed: an error on the server ("broken") has prevented the request from succeeding',
    ],
  ];
  for (const [give, expected, count] of cases) assert.equal(await refusal(give, count), start + expected);
  assert.match(
    await refusal(() => ({ body: 'not JSON' })),
    /^conversion webhook for .* failed: .*not valid JSON|Unexpected token/,
  );
});
