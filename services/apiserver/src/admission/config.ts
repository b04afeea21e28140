import type { Clock, Logger, Random } from '@pilothouse/base';
import type { Authorizer } from '../authorization/interface.ts';
import type { ObjectAccess } from '../security/object-access.ts';
import type { AdmissionAttributes, AdmissionPlugin } from './interface.ts';
import type { FindVersions } from './versioned-attributes.ts';
import type { BreakerConfig } from './webhooks/breaker.ts';

export interface AdmissionConfig {
  /** --enable-admission-plugins: in addition to the default ones. */
  readonly enable?: readonly string[];
  /** --disable-admission-plugins: taken out of the default ones. */
  readonly disable?: readonly string[];
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
  /** What is done about webhooks that do not answer; default: the breaker is on. */
  readonly webhookBreaker?: BreakerConfig;
  /** Plugins made elsewhere (admission policies, webhooks), by name; they take their upstream place in the order. */
  readonly plugins?: readonly AdmissionPlugin[];
}
