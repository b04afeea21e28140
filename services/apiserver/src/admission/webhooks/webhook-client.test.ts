import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createAuthority, issueCertificate } from '@pilothouse/host';
import type { ObjectAccess } from '../../security/object-access.ts';
import { webhookTarget } from './service-resolver.ts';
import { WebhookClient } from './webhook-client.ts';

test("a bundle may be the server's own certificate, and slashes in a row count as one (envtest)", async () => {
  const life = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 };
  const authority = await createAuthority('ca', life.notBefore, life.notAfter);
  const issue = () =>
    issueCertificate(authority, { commonName: 'localhost', hosts: ['127.0.0.1'], usage: 'server', ...life });
  const serving = await issue();
  const paths: string[] = [];
  const parents: unknown[] = [];
  const server = createServer({ cert: serving.certPem, key: serving.keyPem }, (request, response) => {
    paths.push(request.url ?? '');
    parents.push(request.headers['traceparent']);
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new WebhookClient();
  try {
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}//mutate`;
    const target = webhookTarget({ url }, 5, undefined as unknown as ObjectAccess).resolve();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    assert.deepEqual(await client.post(target, serving.certPem, '{}', 5000, { traceparent }), {});
    assert.deepEqual(parents, [traceparent]);
    assert.deepEqual(paths, ['/mutate?timeout=5s']);
    const another = (await issue()).certPem;
    await assert.rejects(client.post(target, another, '{}', 5000), /signed by unknown authority/);
    const nameless = await issueCertificate(authority, {
      commonName: '127.0.0.1',
      hosts: [],
      usage: 'server',
      ...life,
    });
    server.setSecureContext({ cert: nameless.certPem, key: nameless.keyPem });
    server.closeAllConnections();
    await assert.rejects(
      client.post(target, authority.certPem, '{}', 5000),
      /x509: certificate relies on legacy Common Name field, use SANs instead/,
    );
  } finally {
    client.close();
    server.close();
  }
});
