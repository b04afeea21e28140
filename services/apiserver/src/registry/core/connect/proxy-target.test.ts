import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusError, statusErrors } from '@pilothouse/apimachinery';
import type { InternalClient, RestContext } from '../../rest/rest-storage.ts';
import { podProxyTarget, serviceProxyTarget } from './proxy-target.ts';

const context = { namespace: 'default' } as RestContext;
const policy = (loopback: boolean): never => ({ addressTypes: ['InternalIP'], loopback }) as never;

/** A pod at `ip` behind service `web`, as a node that lies might report it. */
function clientWith(ip: string): InternalClient {
  const objects: Readonly<Record<string, object>> = {
    'pods/web-0': {
      spec: { containers: [{ ports: [{ containerPort: 80 }] }] },
      status: { podIP: ip, podIPs: [{ ip }] },
    },
    'services/web': { spec: { ports: [{ port: 80 }] } },
    'endpoints/web': {
      subsets: [
        {
          addresses: [{ ip, targetRef: { kind: 'Pod', name: 'web-0', namespace: 'default' } }],
          ports: [{ port: 80 }],
        },
      ],
    },
  };
  return {
    get: (_group: string, _version: string, resource: string, _namespace: string, name: string) => {
      const found = objects[`${resource}/${name}`];
      return found
        ? Promise.resolve(found)
        : Promise.reject(statusErrors.notFound({ group: '', resource }, name));
    },
  } as unknown as InternalClient;
}

const refused = (error: unknown): boolean =>
  error instanceof StatusError && (error.httpCode === 400 || error.httpCode === 503);

test('neither pods nor services lead the server to loopback, link-local, multicast or unspecified addresses', async () => {
  for (const ip of [
    '127.0.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '224.0.0.1',
    '::1',
    'fe80::1',
    '::ffff:169.254.169.254',
    'ff02::1',
    'metadata.internal',
  ]) {
    await assert.rejects(
      podProxyTarget(clientWith(ip), context, 'web-0', policy(false)),
      refused,
      `pod at ${ip}`,
    );
    await assert.rejects(
      serviceProxyTarget(clientWith(ip), context, 'web', policy(false)),
      refused,
      `service at ${ip}`,
    );
  }
  await assert.rejects(
    serviceProxyTarget(clientWith('169.254.169.254'), context, 'web', policy(true)),
    refused,
  );
});

test('ordinary addresses, and loopback ones where pods live there, are targets', async () => {
  assert.equal(
    (await podProxyTarget(clientWith('10.1.2.3'), context, 'web-0:8080', policy(false))).port,
    8080,
  );
  assert.equal(
    (await serviceProxyTarget(clientWith('10.1.2.3'), context, 'web', policy(false))).host,
    '10.1.2.3',
  );
  assert.equal(
    (await serviceProxyTarget(clientWith('127.0.0.1'), context, 'web', policy(true))).host,
    '127.0.0.1',
  );
});
