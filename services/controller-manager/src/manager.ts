import type { Clock, Logger, Random } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { QueueObserver, Transport } from '@pilothouse/client';
import { EventRecorder, InformerFactory, LeaderElector, RestClient } from '@pilothouse/client';
import type { ControllerDescriptor, ControllerSettings, ControlLoop } from './context.ts';
import { ServiceAccountClients } from './service-account-clients.ts';

export interface ControllerManagerOptions {
  /** With the manager's own client certificate or token. */
  readonly transport: Transport;
  /** Without credentials; tokens of service accounts are added per request. Undefined: all controllers act as the manager. */
  readonly anonymousTransport?: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly settings: ControllerSettings;
  readonly controllers: readonly ControllerDescriptor[];
  /** Metrics of a controller's work queue. Default: none. */
  readonly observe?: (controller: string) => QueueObserver;
  /** Undefined: no election, controllers start at once. */
  readonly leaderElection?: {
    readonly namespace: string;
    readonly name: string;
    readonly identity: string;
    readonly leaseDurationMs?: number;
    readonly renewDeadlineMs?: number;
    readonly retryPeriodMs?: number;
  };
}

export interface ControllerManager {
  /** Names of the controllers that run; none while another replica leads. */
  readonly running: readonly string[];
  readonly isLeader: boolean;
  close(): Promise<void>;
}

/** Everything that runs while this replica leads. */
class Term {
  readonly #informers: InformerFactory;
  readonly #loops: ControlLoop[] = [];
  readonly #logger: Logger;
  #stopped = false;

  constructor(
    options: ControllerManagerOptions,
    root: RestClient,
    accounts: ServiceAccountClients | undefined,
  ) {
    const { clock, random, logger, settings } = options;
    this.#logger = logger;
    this.#informers = new InformerFactory({ client: root, clock, random, logger });
    for (const descriptor of options.controllers) {
      const client =
        (descriptor.serviceAccount === undefined ? undefined : accounts?.client(descriptor.serviceAccount)) ??
        root;
      const recorder = new EventRecorder(client, { clock, logger, component: descriptor.eventSource });
      this.#loops.push(
        descriptor.create({
          name: descriptor.name,
          client,
          informers: this.#informers,
          recorder,
          clock,
          random,
          settings,
          observe: options.observe,
          logger: logger.child({ controller: descriptor.name }),
        }),
      );
    }
  }

  async start(): Promise<void> {
    await this.#informers.startAndSync();
    if (this.#stopped) return;
    for (const loop of this.#loops) loop.start();
    this.#logger.info('Controllers started', { count: this.#loops.length });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#loops.map((loop) => loop.stop()), this.#informers.stop()]);
  }
}

/** Runs the controllers while this replica holds the lease; after losing it, it steps down and stands again without a restart. */
export function startControllerManager(options: ControllerManagerOptions): ControllerManager {
  const { transport, clock, random, logger } = options;
  const root = new RestClient(transport, { clock, userAgent: 'pilothouse-controller-manager/v1.36.3' });
  const accounts =
    options.anonymousTransport && new ServiceAccountClients(root, options.anonymousTransport, clock);
  let term: Term | undefined;
  const begin = (): void => {
    term = new Term(options, root, accounts);
    term
      .start()
      .catch((error: unknown) => logger.error('Controllers did not start', { error: errorMessage(error) }));
  };
  const end = async (): Promise<void> => {
    const ending = term;
    term = undefined;
    await ending?.stop();
  };
  let elector: LeaderElector | undefined;
  if (options.leaderElection) {
    elector = new LeaderElector({
      client: root,
      clock,
      random,
      logger,
      ...options.leaderElection,
      onStartedLeading: begin,
      onStoppedLeading: () => void end(),
    });
    elector.start();
  } else begin();
  return {
    get running() {
      return term === undefined ? [] : options.controllers.map(({ name }) => name);
    },
    get isLeader() {
      return elector?.isLeader ?? true;
    },
    async close() {
      await end();
      await elector?.stop();
      transport.close();
      options.anonymousTransport?.close();
    },
  };
}
