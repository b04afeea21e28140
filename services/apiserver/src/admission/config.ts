import type { Clock, Logger, Random, Span } from '@pilothouse/base';
import type { Authorizer } from '../authorization/interface.ts';
import type { ObjectAccess } from '../security/object-access.ts';
import type { AdmissionAttributes, AdmissionPlugin } from './interface.ts';
import type { PluginConfigs } from './plugin-configs.ts';
import type { FindVersions } from './versioned-attributes.ts';
import type { BreakerConfig } from './webhooks/breaker.ts';

export interface AdmissionConfig {
  /** --enable-admission-plugins: in addition to the default ones. */
  readonly enable?: readonly string[];
  /** --disable-admission-plugins: taken out of the default ones. */
  readonly disable?: readonly string[];
  /** --admission-control-config-file. */
  readonly configs?: PluginConfigs;
  /** --admission-webhook-breaker; default: on. */
  readonly webhookBreaker?: BreakerConfig;
}

/** Ports of {@link createAdmission}. */
export interface AdmissionDependencies {
  readonly clock: Clock;
  readonly random: Random;
  readonly objects: ObjectAccess;
  readonly authorizer: Authorizer;
  readonly logger: Logger;
  /** Fills defaults into `attributes.object`, in its version, after something from outside changed it. */
  readonly setDefaults?: (attributes: AdmissionAttributes) => void;
  /** For what is to be asked in another version than the request's (matchPolicy Equivalent); default: there are no others. */
  readonly findVersions?: FindVersions;
  /** The span of the request that the running code works for; calls of webhooks are its children. */
  readonly span?: () => Span | undefined;
  /** What is done about webhooks that do not answer; default: the breaker is on. */
  readonly webhookBreaker?: BreakerConfig;
  /** What is configured, by plugin. */
  readonly configs?: PluginConfigs;
  /** The resources of a kind; default: those that are built in. */
  readonly findResources?: FindResources;
  /** Whether a feature gate is on; default: as upstream. */
  readonly isEnabled?: (gate: string) => boolean;
  /** The minor release that is emulated; default: that of the program. */
  readonly emulatedMinor?: number;
  /** Plugins made elsewhere (admission policies, webhooks), by name; they take their upstream place in the order. */
  readonly plugins?: readonly AdmissionPlugin[];
}

/** Which resources a kind of objects has; more than one is possible. */
export type FindResources = (
  group: string,
  version: string,
  kind: string,
) => readonly {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly namespaced: boolean;
}[];
