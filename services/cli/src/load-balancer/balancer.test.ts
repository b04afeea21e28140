import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { createAuthority, issueCertificate } from '@pilothouse/host';
import { FakeClock } from '@pilothouse/testkit';
import { limits } from '../limits.ts';
import { startBalancer } from './balancer.ts';

/** A backend whose /readyz answers with `status`, or not at all while it is 0; what else is said to it comes back. */
async function backend() {
  const now = Date.now();
  const authority = await createAuthority('test', now - 60_000, now + 3_600_000);
  const { certPem, keyPem } = await issueCertificate(authority, {
    commonName: 'server',
    hosts: ['127.0.0.1'],
    usage: 'server',
    notBefore: now - 60_000,
    notAfter: now + 3_600_000,
  });
  const state = { status: 200, asked: 0 };
  const server = https.createServer({ cert: certPem, key: keyPem }, (_request, response) => {
    state.asked++;
    if (state.status !== 0) response.writeHead(state.status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { state, server, ca: authority.certPem, port: (server.address() as AddressInfo).port };
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    assert.ok(turn < 2000, 'The condition does not come true');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('a backend that says it is not ready keeps its connections; one that is gone is skipped', async () => {
  const { state, server, ca, port } = await backend();
  const clock = new FakeClock();
  const balancer = await startBalancer({
    listen: { host: '127.0.0.1', port: 0 },
    // Nobody listens at the first one.
    backends: [
      { host: '127.0.0.1', port: 1 },
      { host: '127.0.0.1', port },
    ],
    ca: () => ca,
    clock,
    logger: silentLogger,
  });
  try {
    await until(() => balancer.status()[1]?.healthy === true);
    const client = net.connect(balancer.address.port, '127.0.0.1');
    client.on('error', () => undefined);
    await until(() => balancer.status()[1]?.connections === 1);
    state.status = 500;
    clock.advance(limits.balancerCheckIntervalMs);
    await until(() => balancer.status()[1]?.healthy === false);
    assert.equal(balancer.status()[1]?.connections, 1);
    assert.equal(client.destroyed, false);
    client.destroy();
  } finally {
    await balancer.close();
    server.closeAllConnections();
    server.close();
  }
});
