import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { silentLogger } from '@pilothouse/base';
import { ensurePki, nodeClock, nodeRandom } from '@pilothouse/host';
import { alwaysAllowAuthorizer } from '../../authorization/union.ts';
import { createRegistry } from '../../registry/registry.ts';
import { MemoryObjectAccess } from '../../security/memory-object-access.ts';
import { resources } from '../../security/object-access.ts';
import { MemoryKeyValueStore } from '../../storage/memory/memory-key-value-store.ts';
import { createAdmission } from '../admission.ts';
import type { AdmissionAttributes } from '../interface.ts';

interface Review {
  request: {
    uid: string;
    object: KubeObject;
    oldObject: KubeObject | null;
    kind: object;
    resource: object;
    requestKind: object;
    requestResource: object;
  };
}

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'versions-'));
const reviews: Review[] = [];
let patch: object[] = [];
let server: https.Server;
let clientConfig: object;

before(async () => {
  const pki = await ensurePki(directory);
  server = https.createServer(
    { cert: pki.apiServer.certPem, key: pki.apiServer.keyPem },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
        reviews.push(review);
        const more =
          patch.length === 0
            ? {}
            : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
        response.end(
          JSON.stringify({
            kind: 'AdmissionReview',
            apiVersion: 'admission.k8s.io/v1',
            response: { uid: review.request.uid, allowed: true, ...more },
          }),
        );
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  clientConfig = {
    url: `https://127.0.0.1:${port}/`,
    caBundle: Buffer.from(pki.ca.certPem).toString('base64'),
  };
});
after(() => {
  server.closeAllConnections();
  server.close();
  fs.rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => {
  reviews.length = 0;
  patch = [];
});

const v2Rules = [
  {
    operations: ['CREATE', 'UPDATE'],
    apiGroups: ['autoscaling'],
    apiVersions: ['v2'],
    resources: ['horizontalpodautoscalers'],
  },
];

/** Writes an autoscaler as autoscaling/v1 past what is configured for v2. */
async function writeV1(configured: Record<string, object[]>): Promise<KubeObject> {
  const objects = new MemoryObjectAccess();
  for (const [resource, list] of Object.entries(configured))
    for (const each of list)
      objects.put({ group: 'admissionregistration.k8s.io', version: 'v1', resource }, each as KubeObject);
  objects.put(resources.namespaces, { metadata: { name: 'ns' } });
  const registry = createRegistry({
    store: new MemoryKeyValueStore({ now: () => 0 }),
    clock: nodeClock,
    random: nodeRandom,
  });
  const chain = createAdmission(
    {},
    {
      clock: nodeClock,
      random: nodeRandom,
      objects,
      authorizer: alwaysAllowAuthorizer,
      logger: silentLogger,
      setDefaults({ resource: { group, version, resource }, subresource, object }) {
        if (object !== undefined) registry.storage(group, version, resource, subresource)?.defaults?.(object);
      },
      findVersions: ({ resource: { group, version, resource }, subresource }) =>
        registry.storage(group, version, resource, subresource)?.versions,
    },
  );
  const attributes: AdmissionAttributes = {
    operation: 'CREATE',
    kind: { group: 'autoscaling', version: 'v1', kind: 'HorizontalPodAutoscaler' },
    resource: { group: 'autoscaling', version: 'v1', resource: 'horizontalpodautoscalers' },
    subresource: '',
    name: 'a',
    namespace: 'ns',
    object: {
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'a', namespace: 'ns' },
      spec: {
        maxReplicas: 5,
        scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' },
        targetCPUUtilizationPercentage: 70,
      },
    },
    oldObject: undefined,
    options: {},
    user: { name: 'alice', groups: ['devs'] },
    dryRun: false,
    addWarning: () => undefined,
    addAuditAnnotation: () => undefined,
  };
  await chain.admit(attributes);
  await chain.validate(attributes);
  registry.close();
  return attributes.object as KubeObject;
}

const hooks = (matchPolicy?: string) => [
  {
    metadata: { name: 'c' },
    webhooks: [
      {
        name: 'hpa.example.com',
        clientConfig,
        rules: v2Rules,
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        ...(matchPolicy === undefined ? {} : { matchPolicy }),
      },
    ],
  },
];

test('a webhook for another version gets the object in that version, and its patch comes back', async () => {
  patch = [
    { op: 'replace', path: '/spec/metrics/0/resource/target/averageUtilization', value: 55 },
    { op: 'add', path: '/spec/minReplicas', value: 2 },
  ];
  const object = await writeV1({ mutatingwebhookconfigurations: hooks() });
  const [review] = reviews;
  assert.ok(review);
  const { request } = review;
  assert.equal(request.object.apiVersion, 'autoscaling/v2');
  assert.equal(request.object['spec'].metrics[0].resource.target.averageUtilization, 70);
  assert.deepEqual(request.kind, { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' });
  assert.deepEqual(request.requestKind, {
    group: 'autoscaling',
    version: 'v1',
    kind: 'HorizontalPodAutoscaler',
  });
  assert.deepEqual(request.resource, {
    group: 'autoscaling',
    version: 'v2',
    resource: 'horizontalpodautoscalers',
  });
  assert.equal(object.apiVersion, 'autoscaling/v1');
  assert.equal(object['spec'].targetCPUUtilizationPercentage, 55);
  assert.equal(object['spec'].minReplicas, 2);
});

test('a validating webhook for another version gets that version too', async () => {
  await writeV1({ validatingwebhookconfigurations: hooks('Equivalent') });
  assert.equal(reviews[0]?.request.object.apiVersion, 'autoscaling/v2');
});

test('with matchPolicy Exact it is not asked', async () => {
  await writeV1({ validatingwebhookconfigurations: hooks('Exact') });
  assert.equal(reviews.length, 0);
});

const policySpec = { matchConstraints: { resourceRules: v2Rules }, failurePolicy: 'Fail' };

test('policies see the version of their rules', async () => {
  const policy = {
    metadata: { name: 'p' },
    spec: {
      ...policySpec,
      validations: [
        {
          expression:
            "object.spec.metrics[0].resource.target.averageUtilization > 80 || request.requestKind.version != 'v1'",
          message: 'too low',
        },
      ],
    },
  };
  const binding = { metadata: { name: 'b' }, spec: { policyName: 'p', validationActions: ['Deny'] } };
  await assert.rejects(
    writeV1({ validatingadmissionpolicies: [policy], validatingadmissionpolicybindings: [binding] }),
    /too low/,
  );
});

test('a mutating policy changes the version of its rules', async () => {
  const policy = {
    metadata: { name: 'p' },
    spec: {
      ...policySpec,
      reinvocationPolicy: 'Never',
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression:
              "Object{spec: Object.spec{behavior: Object.spec.behavior{scaleDown: Object.spec.behavior.scaleDown{selectPolicy: 'Min'}}}}",
          },
        },
      ],
    },
  };
  const binding = { metadata: { name: 'b' }, spec: { policyName: 'p' } };
  const object = await writeV1({
    mutatingadmissionpolicies: [policy],
    mutatingadmissionpolicybindings: [binding],
  });
  assert.equal(object.apiVersion, 'autoscaling/v1');
  assert.match(object.metadata.annotations?.['autoscaling.alpha.kubernetes.io/behavior'] ?? '', /Min/);
});
