import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Clock } from '@pilothouse/base';
import { sleep } from '@pilothouse/base';
import type { ClusterAccess } from '@pilothouse/client';
import { contentHash } from '@pilothouse/host';
import { expectedHashes, notTaken } from '../certificates/taken.ts';
import { CommandError } from '../errors.ts';
import type { Component } from '../plane/layout.ts';
import { probe } from '../plane/readiness.ts';

const waitMs = 180_000;
const pollMs = 1000;
/** For HAProxy, which does not tell what it has taken, and for stores, which look at each new connection. */
const settleMs = 6000;

interface Place {
  readonly id: string;
  readonly service: string;
  readonly address: string;
}

/** Where the metrics of a service are, by the beginning of its name, and a name that its certificate has. */
const metricsOf: readonly [prefix: string, component: Component, port: number, serverName?: string][] = [
  ['apiserver-', 'apiserver', 6443, 'kubernetes'],
  ['scheduler-', 'scheduler', 10259, 'localhost'],
  ['controller-manager-', 'controller-manager', 10257, 'localhost'],
  ['node-', 'node-agent', 10250],
];

/** Waits until every container of the project tells that it has taken the files of its /pki as they are now. Throws CommandError when one does not. */
export async function waitUntilContainersTook(
  containers: () => Promise<readonly Place[]>,
  copyPki: (id: string, directory: string) => Promise<void>,
  ports: { readonly clock: Clock; readonly access: ClusterAccess },
): Promise<void> {
  const { clock, access } = ports;
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-drill-'));
  try {
    const holder = (await containers()).find(({ service }) => service === 'certs');
    if (holder === undefined) throw new CommandError('The project has no service "certs"');
    await copyPki(holder.id, scratch);
    const directory = path.join(scratch, readdirSync(scratch)[0] ?? 'pki');
    const deadline = clock.monotonic() + waitMs;
    for (;;) {
      const found = await Promise.all(
        (await containers()).map(async ({ service, address }) => {
          const place = metricsOf.find(([prefix]) => service.startsWith(prefix));
          if (place === undefined) return [];
          const [, component, port, serverName = service] = place;
          const answer = await probe({
            url: `https://${address}:${port}/metrics`,
            ca: access.ca as string,
            cert: access.cert as string,
            key: access.key as string,
            timeoutMs: 5000,
            serverName,
          });
          if (answer?.status !== 200) return [`${service} does not tell (${answer?.status ?? 'no answer'})`];
          const expected = expectedHashes(directory, component, service);
          // Of its own, where a plane on one host has one certificate for all.
          if (component === 'scheduler' || component === 'controller-manager')
            expected.set(
              'tls-cert-file',
              contentHash(readFileSync(path.join(directory, `${component}.crt`), 'utf8')),
            );
          const missing = notTaken(expected, answer.body);
          return missing.length === 0 ? [] : [`${service} has old ${missing.join(', ')}`];
        }),
      );
      const missing = found.flat();
      if (missing.length === 0) break;
      if (clock.monotonic() > deadline)
        throw new CommandError(`Not taken after ${waitMs / 1000} s: ${missing.join('; ')}`);
      await sleep(clock, pollMs);
    }
    await sleep(clock, settleMs);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
