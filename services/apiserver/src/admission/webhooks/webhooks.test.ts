import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import { silentLogger } from '@pilothouse/base';
import type { Pki } from '@pilothouse/host';
import { ensurePki, nodeClock, nodeRandom } from '@pilothouse/host';
import { alwaysAllowAuthorizer } from '../../authorization/union.ts';
import { MemoryObjectAccess } from '../../security/memory-object-access.ts';
import { resources } from '../../security/object-access.ts';
import { createAdmission } from '../admission.ts';
import type { AdmissionAttributes } from '../interface.ts';

interface Review {
  request: { uid: string; object: KubeObject; operation: string; userInfo: object; dryRun: boolean };
}
type Answer = (review: Review) => object | undefined;

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'webhooks-'));
let pki: Pki;
let server: https.Server;
let port = 0;
const reviews: Review[] = [];
const answers = new Map<string, Answer>();

before(async () => {
  pki = await ensurePki(directory);
  server = https.createServer(
    { cert: pki.apiServer.certPem, key: pki.apiServer.keyPem },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
        reviews.push(review);
        const answer = answers.get((request.url ?? '').split('?')[0] as string)?.(review);
        if (answer === undefined) return;
        response.end(
          JSON.stringify({
            kind: 'AdmissionReview',
            apiVersion: 'admission.k8s.io/v1',
            response: { uid: review.request.uid, ...answer },
          }),
        );
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
after(() => {
  server.closeAllConnections();
  server.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

function hook(name: string, more: object = {}): object {
  return {
    name,
    clientConfig: {
      url: `https://127.0.0.1:${port}/${name}`,
      caBundle: Buffer.from(pki.ca.certPem).toString('base64'),
    },
    rules: [
      { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps', 'pods'] },
    ],
    failurePolicy: 'Fail',
    sideEffects: 'None',
    timeoutSeconds: 5,
    admissionReviewVersions: ['v1'],
    ...more,
  };
}

function plane(configurations: { mutating?: object[]; validating?: object[] }) {
  const objects = new MemoryObjectAccess();
  const group = 'admissionregistration.k8s.io';
  for (const kind of ['mutating', 'validating'] as const) {
    objects.put(
      { group, version: 'v1', resource: `${kind}webhookconfigurations` },
      { metadata: { name: 'c' }, webhooks: configurations[kind] ?? [] },
    );
  }
  objects.put(resources.namespaces, { metadata: { name: 'ns', labels: { team: 'a' } } });
  objects.put(resources.serviceAccounts, { metadata: { name: 'default', namespace: 'ns' } });
  const chain = createAdmission(
    {},
    {
      clock: nodeClock,
      random: nodeRandom,
      objects,
      authorizer: alwaysAllowAuthorizer,
      logger: silentLogger,
    },
  );
  const warnings: string[] = [];
  const write = async (object: KubeObject, more: Partial<AdmissionAttributes> = {}): Promise<KubeObject> => {
    const attributes: AdmissionAttributes = {
      operation: 'CREATE',
      kind: { group: '', version: 'v1', kind: 'ConfigMap' },
      resource: { group: '', version: 'v1', resource: 'configmaps' },
      subresource: '',
      name: object.metadata.name ?? '',
      namespace: 'ns',
      object,
      oldObject: undefined,
      options: {},
      user: { name: 'alice', groups: ['devs'] },
      dryRun: false,
      addWarning: (text) => warnings.push(text),
      addAuditAnnotation: () => undefined,
      ...more,
    };
    await chain.admit(attributes);
    await chain.validate(attributes);
    return attributes.object as KubeObject;
  };
  return { objects, write, warnings };
}

const patch = (operations: object[]): object => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});
const configMap = (): KubeObject => ({ metadata: { name: 'm', namespace: 'ns' } });

test('a mutating webhook patches, warns, and sees who asks', async () => {
  answers.set('/add', () => ({
    ...patch([{ op: 'add', path: '/data', value: { a: '1' } }]),
    warnings: ['mind the gap'],
  }));
  const { write, warnings } = plane({ mutating: [hook('add')] });
  assert.deepEqual((await write(configMap()))['data'], { a: '1' });
  assert.deepEqual(warnings, ['mind the gap']);
  assert.deepEqual(reviews.at(-1)?.request.userInfo, { username: 'alice', groups: ['devs'] });
});

test('a validating webhook refuses with its code and message', async () => {
  answers.set('/no', () => ({
    allowed: false,
    status: { message: 'not today', code: 403, reason: 'Forbidden' },
  }));
  const { write } = plane({ validating: [hook('no')] });
  await assert.rejects(write(configMap()), (error: unknown) => {
    assert.ok(error instanceof StatusError);
    assert.equal(error.message, 'admission webhook "no" denied the request: not today');
    assert.equal(error.httpCode, 403);
    return true;
  });
  answers.set('/no', () => ({ allowed: false }));
  await assert.rejects(write(configMap()), /admission webhook "no" denied the request without explanation/);
});

test('selectors and rules decide who is asked', async () => {
  answers.set('/no', () => ({ allowed: false }));
  for (const more of [
    { namespaceSelector: { matchLabels: { team: 'b' } } },
    { objectSelector: { matchLabels: { x: 'y' } } },
    { rules: [{ operations: ['UPDATE'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }] },
    {
      rules: [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps/status'] }],
    },
    {
      rules: [
        { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'], scope: 'Cluster' },
      ],
    },
  ]) {
    const { write } = plane({ validating: [hook('no', more)] });
    await write(configMap());
  }
});

test('failurePolicy decides about a webhook that cannot be called', async () => {
  const missing = { clientConfig: { service: { name: 'none', namespace: 'ns' } }, timeoutSeconds: 10 };
  await assert.rejects(plane({ mutating: [hook('w', missing)] }).write(configMap()), {
    message:
      'Internal error occurred: failed calling webhook "w": failed to call webhook: Post "https://none.ns.svc:443/?timeout=10s": service "none" not found',
  });
  await plane({ mutating: [hook('w', { ...missing, failurePolicy: 'Ignore' })] }).write(configMap());
  const refused = { clientConfig: { url: 'https://127.0.0.1:1/x' } };
  await assert.rejects(
    plane({ validating: [hook('w', refused)] }).write(configMap()),
    /Post "https:\/\/127\.0\.0\.1:1\/x\?timeout=5s": dial tcp 127\.0\.0\.1:1: connect: connection refused/,
  );
  answers.set('/silent', () => undefined);
  await assert.rejects(
    plane({ validating: [hook('silent', { timeoutSeconds: 0.2 })] }).write(configMap()),
    /context deadline exceeded/,
  );
  answers.set('/liar', () => ({ allowed: true, uid: 'other' }));
  await assert.rejects(
    plane({ validating: [hook('liar')] }).write(configMap()),
    /failed calling webhook "liar": received invalid webhook response: expected response\.uid=/,
  );
});

test('a service is reached by its ready endpoints', async () => {
  answers.set('/svc', () => ({ allowed: true }));
  const config = hook('svc', {
    clientConfig: {
      service: { name: 'kubernetes', namespace: 'default', path: '/svc' },
      caBundle: Buffer.from(pki.ca.certPem).toString('base64'),
    },
  });
  const { objects, write } = plane({ validating: [config] });
  objects.put(resources.services, {
    metadata: { name: 'kubernetes', namespace: 'default' },
    spec: { ports: [{ port: 443 }], clusterIP: '192.0.2.1' },
  });
  objects.put(
    { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' },
    {
      metadata: { name: 's', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      ports: [{ port }],
      endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    },
  );
  const before = reviews.length;
  await write(configMap());
  assert.equal(reviews.length, before + 1);
});

test('a dry run does not reach a webhook with side effects', async () => {
  const { write } = plane({ validating: [hook('no', { sideEffects: 'Some' })] });
  await assert.rejects(
    write(configMap(), { dryRun: true }),
    /admission webhook "no" does not support dry run/,
  );
});

test('what a webhook adds passes the other plugins, and webhooks that want to see it', async () => {
  let calls = 0;
  answers.set('/early', () => {
    calls++;
    return { allowed: true };
  });
  answers.set('/sidecar', ({ request }) =>
    (request.object['spec'].containers as object[]).length > 1
      ? { allowed: true }
      : patch([{ op: 'add', path: '/spec/containers/-', value: { name: 'side', image: 'i' } }]),
  );
  const { write } = plane({
    mutating: [hook('early', { reinvocationPolicy: 'IfNeeded' }), hook('sidecar')],
  });
  const pod: KubeObject = {
    metadata: { name: 'p', namespace: 'ns' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  };
  const made = await write(pod, {
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
  });
  assert.equal(calls, 2);
  assert.equal(
    made['spec'].containers[1].volumeMounts[0].mountPath,
    '/var/run/secrets/kubernetes.io/serviceaccount',
  );
  assert.equal(made['spec'].volumes.length, 1);
});

test('configurations of admission are never sent to webhooks', async () => {
  answers.set('/no', () => ({ allowed: false }));
  const all = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }];
  const { write } = plane({ validating: [hook('no', { rules: all })] });
  await write(configMap(), {
    namespace: '',
    resource: {
      group: 'admissionregistration.k8s.io',
      version: 'v1',
      resource: 'validatingwebhookconfigurations',
    },
  });
});
