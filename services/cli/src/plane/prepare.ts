import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { Clock } from '@pilothouse/base';
import { errorMessage, uuid } from '@pilothouse/base';
import type { Pki } from '@pilothouse/host';
import { ensurePki, nodeRandom } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { writeKubeconfigs } from './kubeconfigs.ts';
import type { PlaneOptions, ProcessSpec } from './layout.ts';
import { nodeAddress, nodeName, pkiDirectory, serverUrl } from './layout.ts';

/** How often certificates are looked at; more often when they live short. */
const renewalLookMs = 3_600_000;

/** What never changes for a data directory, in `<data-dir>/plane.json`. */
interface PlaneIdentity {
  readonly clusterToken: string;
  readonly members: number;
}

/** Makes the directories, or says why the data directory cannot be used. */
export function prepareDirectories(dataDir: string): void {
  try {
    // Asked first: making a directory on a read-only file system fails with a text that misleads.
    if (existsSync(dataDir)) accessSync(dataDir, constants.W_OK);
    for (const name of ['', 'run', 'logs', 'kubeconfig'])
      mkdirSync(path.join(dataDir, name), { recursive: true, mode: 0o700 });
    const probeFile = path.join(dataDir, 'run', 'write-test');
    writeFileSync(probeFile, Buffer.alloc(64 * 1024));
  } catch (error) {
    throw new CommandError(
      `Cannot write to data directory "${dataDir}": ${errorMessage(error)}; free space, fix its permissions, or choose another with --data-dir`,
    );
  }
}

/** Reads or makes the identity; the number of store members is fixed by the first start. */
export function loadIdentity(options: PlaneOptions): PlaneIdentity {
  const file = path.join(options.dataDir, 'plane.json');
  if (existsSync(file)) {
    const identity = JSON.parse(readFileSync(file, 'utf8')) as PlaneIdentity;
    if (identity.members !== options.members) {
      throw new CommandError(
        `Data directory "${options.dataDir}" holds a cluster of ${identity.members} store members, --members asks for ${options.members}; start it with --members ${identity.members}, or use another --data-dir`,
      );
    }
    return identity;
  }
  const identity = { clusterToken: uuid(nodeRandom), members: options.members };
  writeFileSync(file, JSON.stringify(identity, null, 2), { mode: 0o600 });
  return identity;
}

/** Certificates for everybody and a kubeconfig for each client of the API. */
export async function prepareIdentities(options: PlaneOptions): Promise<Pki> {
  const nodes = Array.from({ length: options.nodes }, (_, index) => ({
    name: nodeName(index),
    hosts: ['127.0.0.1', 'localhost', nodeAddress(options, index)],
  }));
  const pki = await ensurePki(pkiDirectory(options.dataDir), {
    serviceAddress: '10.0.0.1',
    nodes,
    ...(options.certificateLifetimeMs === undefined ? {} : { lifetimeMs: options.certificateLifetimeMs }),
  });
  writeKubeconfigs(path.join(options.dataDir, 'kubeconfig'), pki, () => serverUrl(options));
  return pki;
}

/** Finds a port that somebody else holds before anything starts. */
export async function checkPorts(specs: readonly ProcessSpec[], basePort: number): Promise<void> {
  for (const spec of specs) {
    for (const port of spec.ports) {
      const free = await new Promise<boolean>((resolve) => {
        const server = net.createServer();
        server.once('error', () => resolve(false));
        server.listen(port, spec.address.slice(0, spec.address.lastIndexOf(':')), () =>
          server.close(() => resolve(true)),
        );
      });
      if (!free) {
        throw new CommandError(
          `Port ${port} (${spec.name}) is in use: stop what listens there, or choose other ports with --port (now ${basePort}; ports up to ${basePort + 70} are used)`,
        );
      }
    }
  }
}

/**
 * Renews leaves that have less than a third of their life left while the plane runs; its processes notice. `say` hears of what was done and of
 * failures, which are tried again. The returned function ends it.
 */
export function keepRenewed(
  options: PlaneOptions,
  clock: Clock,
  say: (text: string) => void,
  onRenewed: (pki: Pki) => void,
): () => void {
  let isBusy = false;
  const timer = clock.setInterval(
    () => {
      if (isBusy) return;
      isBusy = true;
      prepareIdentities(options)
        .then((pki) => {
          onRenewed(pki);
          if (pki.changed.length > 0) say(`Renewed certificates: ${pki.changed.join(', ')}`);
        })
        .catch((error: unknown) => say(`Cannot renew certificates: ${errorMessage(error)}`))
        .finally(() => (isBusy = false));
    },
    Math.min(renewalLookMs, (options.certificateLifetimeMs ?? Infinity) / 24),
  );
  return () => timer.cancel();
}
