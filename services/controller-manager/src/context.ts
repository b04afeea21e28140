import type { Clock, Logger, Random } from '@pilothouse/base';
import type { EventRecorder, InformerFactory, QueueObserver, RestClient } from '@pilothouse/client';

/** Periods and limits that users may set by flag; milliseconds. */
export interface ControllerSettings {
  readonly hpaSyncPeriodMs: number;
  readonly nodeMonitorGracePeriodMs: number;
  readonly nodeMonitorPeriodMs: number;
  readonly terminatedPodGcThreshold: number;
  readonly resourceQuotaSyncPeriodMs: number;
  readonly allocateNodeCidrs: boolean;
  readonly clusterCidr: string;
  /** Prefix length of the IPv4 network that a node gets. */
  readonly nodeCidrMaskSize: number;
  readonly signingDurationMs: number;
  /** PEM texts, as the files are now: read them where they are used. Undefined when the flag was not given. */
  readonly rootCa?: string;
  /** Signs the requests of all built-in signers that have no pair of their own. */
  readonly signing?: SigningPair;
  /** Pairs of single signers, by signer name. */
  readonly signers?: Readonly<Record<string, SigningPair>>;
  readonly serviceAccountKey?: string;
  /** Time without use after which generated token secrets go; default: a year. */
  readonly legacyTokenCleanUpMs?: number;
  /** Calls `listener` after one of the PEM texts changed; the returned function ends that. Absent: they never change. */
  onFileChange?(listener: () => void): () => void;
  /** Where local-volume-provisioner-controller puts volumes, a directory of every node. */
  readonly localVolumeRoot?: string;
}

/** An authority: PEM of its certificate (of a bundle the first signs) and its key. */
export interface SigningPair {
  readonly cert: string;
  readonly key: string;
}

/** What a controller gets. Informers are shared; `client` acts as the controller's own service account. */
export interface ControllerContext {
  readonly name: string;
  readonly client: RestClient;
  readonly informers: InformerFactory;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly settings: ControllerSettings;
  /** Metrics of a work queue; undefined: none are kept. */
  readonly observe: ((controller: string) => QueueObserver) | undefined;
}

/** What the loop of a controller takes over from its context. */
export function loopOptions(
  context: ControllerContext,
): Pick<ControllerContext, 'name' | 'clock' | 'logger' | 'observe'> {
  const { name, clock, logger, observe } = context;
  return { name, clock, logger, observe };
}

/** A started-and-stopped control loop. `start` is called after all informers it asked for have synced. */
export interface ControlLoop {
  start(): void;
  stop(): Promise<void>;
}

/** Makes a controller: asks the context for informers and registers handlers, starts nothing. */
export type ControllerFactory = (context: ControllerContext) => ControlLoop;

/** One entry of the table of controllers. */
export interface ControllerDescriptor {
  /** Name for --controllers, as upstream's, e.g. `deployment-controller`. */
  readonly name: string;
  /** Service account in kube-system that it acts as; undefined: the manager itself, who alone may read all secrets. */
  readonly serviceAccount?: string;
  /** Not part of `*`: runs when --controllers names it. */
  readonly offByDefault?: boolean;
  /** Feature gate without which it does not run, whatever --controllers says. */
  readonly gate?: string;
  /** Component name in events. */
  readonly eventSource: string;
  readonly create: ControllerFactory;
}
