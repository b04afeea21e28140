import path from 'node:path';
import type { Clock, Logger, Random } from '@pilothouse/base';
import type { Transport } from '@pilothouse/client';
import type { FileWatcher, TlsPolicy } from '@pilothouse/host';
import { EventRecorder, InformerFactory, RestClient } from '@pilothouse/client';
import type { NodeSettings } from './core/node-object.ts';
import { nodeAddress, podNetworkPrefix } from './core/node-object.ts';
import type { PodRuntime } from './core/pod-runtime.ts';
import { NodeRegistrar } from './io/node-registrar.ts';
import { PodManager } from './io/pod-manager.ts';
import { ContainerRunner } from './io/process/container-runner.ts';
import { ImageStore } from './io/process/image-store.ts';
import { ObjectSource } from './io/process/object-source.ts';
import { PodDirectories } from './io/process/pod-directory.ts';
import { ProcessPods } from './io/process/process-pods.ts';
import { NodeServer } from './io/server/node-server.ts';
import { RequestAccess } from './io/server/request-access.ts';
import { limits } from './limits.ts';

/** What the process runtime needs besides. */
export interface ProcessRuntimeOptions {
  /** State, volumes and logs of pods. */
  readonly rootDirectory: string;
  readonly imagesDirectory?: string;
  /** Variables of every container, from the host. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the API is, for clients inside pods. */
  readonly api: { readonly host: string; readonly port: number };
}

export interface NodeAgentOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly settings: NodeSettings;
  /** Absent: pods are simulated. */
  readonly process?: ProcessRuntimeOptions;
  readonly server: {
    readonly address: string;
    readonly certFile?: string;
    readonly keyFile?: string;
    readonly clientCaFile?: string;
    readonly watcher?: FileWatcher;
    readonly policy?: TlsPolicy;
  };
}

export interface NodeAgent {
  /** `endPods`: processes of pods end as well; otherwise they go on and the next agent takes them over. */
  close(endPods: boolean): Promise<void>;
}

/** Registers a node and runs the pods bound to it, until closed. */
export async function startNodeAgent(options: NodeAgentOptions): Promise<NodeAgent> {
  const { transport, clock, random, logger, settings } = options;
  const client = new RestClient(transport, {
    clock,
    userAgent: `pilothouse-node-agent/v1.36.3 (${settings.name})`,
  });
  const informers = new InformerFactory({ client, clock, random, logger });
  const events = new EventRecorder(client, { clock, logger, component: 'kubelet', host: settings.name });
  const processes =
    options.process &&
    processRuntime(options.process, { client, informers, events, clock, random, logger, settings });
  const runtime: PodRuntime =
    processes?.pods ?? new PodManager({ client, informers, clock, logger, settings });
  const server = new NodeServer({
    ...options.server,
    port: settings.port,
    nodeName: settings.name,
    clock,
    logger,
    access: new RequestAccess(client, clock, settings.name),
    configuration: {
      containerRuntime: settings.runtime,
      containerLogMaxSize: `${limits.logBytesMax / 1024 / 1024}Mi`,
      containerLogMaxFiles: limits.logFilesMax,
      maxPods: Number(settings.capacity['pods'] ?? '110'),
      nodeStatusReportFrequency: `${limits.nodeStatusMs / 1000}s`,
      authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
      authorization: { mode: 'Webhook' },
    },
    listPods: () => runtime.list(),
    ...(processes ? { processes } : {}),
  });
  const port = await server.listen();
  const registrar = new NodeRegistrar({ client, clock, logger, settings: { ...settings, port } });
  let closed = false;
  const started = (async () => {
    await registrar.start();
    await informers.startAndSync();
    if (!closed) runtime.start();
  })();
  started.catch((error: unknown) => logger.error('Node agent stopped', { error: String(error) }));
  return {
    async close(endPods) {
      closed = true;
      registrar.stop();
      await runtime.stop(endPods);
      await informers.stop();
      await server.close();
      transport.close();
    },
  };
}

function processRuntime(
  process: ProcessRuntimeOptions,
  deps: {
    client: RestClient;
    informers: InformerFactory;
    events: EventRecorder;
    clock: Clock;
    random: Random;
    logger: Logger;
    settings: NodeSettings;
  },
): { pods: ProcessPods; directories: PodDirectories } {
  const { clock, random, settings } = deps;
  const directories = new PodDirectories(path.resolve(process.rootDirectory));
  const runnerSettings = {
    nodeName: settings.name,
    hostIp: nodeAddress(settings),
    allocatable: settings.capacity,
    api: process.api,
    baseEnv: process.environment,
    logBytesMax: limits.logBytesMax,
    logFilesMax: limits.logFilesMax,
  };
  const pods = new ProcessPods({
    ...deps,
    runner: new ContainerRunner({
      settings: runnerSettings,
      images: new ImageStore(process.imagesDirectory),
      directories,
      clock,
      random,
    }),
    settings: runnerSettings,
    source: new ObjectSource(deps.client, clock),
    directories,
    podNetwork: podNetworkPrefix(settings),
  });
  return { pods, directories };
}
