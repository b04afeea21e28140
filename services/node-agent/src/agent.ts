import type { Clock, Logger, Random } from '@pilothouse/base';
import type { Transport } from '@pilothouse/client';
import { InformerFactory, RestClient } from '@pilothouse/client';
import type { NodeSettings } from './core/node-object.ts';
import { startAgentServer } from './io/agent-server.ts';
import { NodeRegistrar } from './io/node-registrar.ts';
import { PodManager } from './io/pod-manager.ts';

export interface NodeAgentOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly settings: NodeSettings;
  readonly server: {
    readonly address: string;
    readonly certFile?: string;
    readonly keyFile?: string;
    readonly clientCaFile?: string;
  };
}

export interface NodeAgent {
  close(): Promise<void>;
}

/** Registers a node and runs the pods bound to it, until closed. */
export async function startNodeAgent(options: NodeAgentOptions): Promise<NodeAgent> {
  const { transport, clock, random, logger, settings } = options;
  const client = new RestClient(transport, {
    clock,
    userAgent: `pilothouse-node-agent/v1.36.3 (${settings.name})`,
  });
  const informers = new InformerFactory({ client, clock, random, logger });
  const podManager = new PodManager({ client, informers, clock, logger, settings });
  const server = await startAgentServer({
    ...options.server,
    port: settings.port,
    listPods: () => podManager.list(),
  });
  const registrar = new NodeRegistrar({
    client,
    clock,
    logger,
    settings: { ...settings, port: server.port },
  });
  let closed = false;
  const started = (async () => {
    await registrar.start();
    await informers.startAndSync();
    if (!closed) podManager.start();
  })();
  started.catch((error: unknown) => logger.error('Node agent stopped', { error: String(error) }));
  return {
    async close() {
      closed = true;
      registrar.stop();
      await podManager.stop();
      await informers.stop();
      await server.close();
      transport.close();
    },
  };
}
