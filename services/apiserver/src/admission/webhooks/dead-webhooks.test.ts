import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Registry } from 'prom-client';
import type { KubeObject } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import { silentLogger } from '@pilothouse/base';
import type { Pki } from '@pilothouse/host';
import { ensurePki, nodeClock, nodeRandom } from '@pilothouse/host';
import { alwaysAllowAuthorizer } from '../../authorization/union.ts';
import { AdmissionSeries } from '../../metrics/admission-series.ts';
import { MemoryObjectAccess } from '../../security/memory-object-access.ts';
import { resources } from '../../security/object-access.ts';
import { createAdmission } from '../admission.ts';
import type { AdmissionAttributes } from '../interface.ts';
import { breakGlassGroup } from './breaker.ts';

// Real sockets: nobody listens, somebody listens and says nothing, somebody has a certificate of another authority.

const directories = [1, 2].map(() => fs.mkdtempSync(path.join(os.tmpdir(), 'dead-')));
const sockets = new Set<net.Socket>();
let pki: Pki;
let silent: net.Server;
let foreign: https.Server;

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port;
const listen = (server: net.Server): Promise<void> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

before(async () => {
  pki = await ensurePki(directories[0] as string);
  const other = await ensurePki(directories[1] as string);
  silent = net.createServer((socket) => sockets.add(socket));
  foreign = https.createServer({ cert: other.apiServer.certPem, key: other.apiServer.keyPem });
  await Promise.all([listen(silent), listen(foreign)]);
});
after(() => {
  for (const socket of sockets) socket.destroy();
  silent.close();
  foreign.closeAllConnections();
  foreign.close();
  for (const directory of directories) fs.rmSync(directory, { recursive: true, force: true });
});

function plane(port: number) {
  const objects = new MemoryObjectAccess();
  objects.put(
    { group: 'admissionregistration.k8s.io', version: 'v1', resource: 'validatingwebhookconfigurations' },
    {
      metadata: { name: 'c' },
      webhooks: [
        {
          name: 'dead.example.com',
          clientConfig: {
            url: `https://127.0.0.1:${port}/`,
            caBundle: Buffer.from(pki.ca.certPem).toString('base64'),
          },
          rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }],
          failurePolicy: 'Fail',
          sideEffects: 'None',
          timeoutSeconds: 1,
          admissionReviewVersions: ['v1'],
        },
      ],
    } as unknown as KubeObject,
  );
  for (const name of ['ns', 'kube-system']) objects.put(resources.namespaces, { metadata: { name } });
  const chain = createAdmission(
    { disable: ['ServiceAccount'] },
    {
      clock: nodeClock,
      random: nodeRandom,
      objects,
      authorizer: alwaysAllowAuthorizer,
      logger: silentLogger,
    },
  );
  const registry = new Registry();
  chain.measure?.(new AdmissionSeries(registry), nodeClock);
  const write = async (namespace: string, groups: readonly string[] = ['devs']) => {
    const warnings: string[] = [];
    const attributes: AdmissionAttributes = {
      operation: 'CREATE',
      kind: { group: '', version: 'v1', kind: 'ConfigMap' },
      resource: { group: '', version: 'v1', resource: 'configmaps' },
      subresource: '',
      name: 'a',
      namespace,
      object: { metadata: { name: 'a', namespace } },
      oldObject: undefined,
      options: {},
      user: { name: 'alice', groups: [...groups] },
      dryRun: false,
      addWarning: (text) => warnings.push(text),
      addAuditAnnotation: () => undefined,
    };
    const started = performance.now();
    const error = await chain.validate(attributes).then(
      () => undefined,
      (thrown: unknown) => thrown as StatusError,
    );
    return { error, warnings, ms: performance.now() - started };
  };
  return { write, registry };
}

async function checkDeath(port: number, said: RegExp): Promise<void> {
  const { write, registry } = plane(port);
  for (let attempt = 0; attempt < 5; attempt++) {
    const { error } = await write('ns');
    assert.ok(error instanceof StatusError);
    assert.equal(error.status.code, 500);
    assert.match(error.message, said);
  }
  const refused = await write('ns');
  assert.match(refused.error?.message ?? '', /not called, the last 5 calls failed/);
  assert.ok(refused.ms < 500, `waited ${refused.ms} ms for a dead webhook`);
  const system = await write('kube-system');
  assert.equal(system.error, undefined);
  assert.deepEqual(system.warnings, ['admission webhook c/dead.example.com does not answer and was skipped']);
  assert.equal((await write('ns', ['devs', breakGlassGroup])).error, undefined);
  const text = await registry.metrics();
  const labels = 'name="dead.example.com",type="validating"';
  assert.match(
    text,
    new RegExp(
      `webhook_rejection_count\\{${labels},operation="CREATE",error_type="calling_webhook_error",rejection_code="500"\\} 5`,
    ),
  );
  assert.match(text, new RegExp(`pilothouse_admission_webhook_dead\\{${labels}\\} 1`));
  assert.match(text, new RegExp(`pilothouse_admission_webhook_skipped_total\\{${labels}\\} 2`));
  assert.match(text, new RegExp(`pilothouse_admission_webhook_refused_total\\{${labels}\\} 1`));
}

test('a webhook where nobody listens', async () => {
  const closed = net.createServer();
  await listen(closed);
  const port = portOf(closed);
  await new Promise((resolve) => closed.close(resolve));
  await checkDeath(
    port,
    /failed calling webhook "dead.example.com": failed to call webhook: Post .*connection refused/,
  );
});

test('a webhook that hangs', () =>
  checkDeath(portOf(silent), /failed to call webhook: Post .*: context deadline exceeded/));

test('a webhook with a certificate of another authority', () =>
  checkDeath(portOf(foreign), /failed to verify certificate: x509: certificate signed by unknown authority/));
