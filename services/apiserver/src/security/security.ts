import type { Clock, Logger, Random, Span } from '@pilothouse/base';
import { createAdmission } from '../admission/admission.ts';
import type { AdmissionConfig } from '../admission/config.ts';
import type { AdmissionChain, AdmissionPlugin } from '../admission/interface.ts';
import { createAuthentication } from '../authentication/authentication.ts';
import type { Authentication, AuthenticationConfig } from '../authentication/config.ts';
import { createAuthorization } from '../authorization/authorization.ts';
import type { ExternalSigner } from '../authentication/external-signer.ts';
import type { Authorization, AuthorizationConfig } from '../authorization/config.ts';
import type { InternalClient } from '../registry/rest/rest-storage.ts';
import type { DecisionCache } from '../shared/decision-cache.ts';
import { objectAccess } from './internal-object-access.ts';
import type { SecuritySeries } from '../metrics/security-series.ts';
import type { ObjectAccess } from './object-access.ts';

export interface SecurityConfig {
  readonly authentication: AuthenticationConfig;
  readonly authorization: AuthorizationConfig;
  readonly admission: AdmissionConfig;
}

/** Ports of {@link createSecurity}. */
export interface SecurityDependencies {
  readonly client: InternalClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Where what is decided is counted. */
  readonly series?: SecuritySeries | undefined;
  /** Decisions that all servers share; absent: each keeps its own. */
  readonly decisions?: DecisionCache | undefined;
  /** Where requests find their storage; default: the one that the client uses, without custom resources. */
  readonly find?: InternalClient['storage'];
  /** Signs and verifies ServiceAccount tokens outside. */
  readonly signer?: ExternalSigner | undefined;
  /** The span of the request that the running code works for. */
  readonly span?: () => Span | undefined;
  /** Whether a feature gate is on; default: as upstream. */
  readonly isEnabled?: (gate: string) => boolean;
  /** The minor release that is emulated; default: that of the program. */
  readonly emulatedMinor?: number | undefined;
  /** Admission plugins made elsewhere: policies. */
  readonly plugins?: readonly AdmissionPlugin[];
}

/** The security pipeline of one server. */
export interface Security {
  readonly authentication: Authentication;
  readonly authorization: Authorization;
  readonly admission: AdmissionChain;
  readonly objects: ObjectAccess;
  /**
   * Follows bindings, pods and files of configuration and, with RBAC, completes the default policy. Resolves when requests can be
   * authorized; the returned function ends what was started.
   */
  start(): Promise<() => void>;
}

/** Builds authentication, authorization and admission on the storages of this process. */
export function createSecurity(config: SecurityConfig, dependencies: SecurityDependencies): Security {
  const { client, clock, random, logger, decisions, series } = dependencies;
  const find: InternalClient['storage'] = dependencies.find ?? ((...path) => client.storage(...path));
  const objects = objectAccess(client, { clock, logger });
  const authentication = createAuthentication(config.authentication, {
    clock,
    random,
    objects,
    logger,
    decisions,
    series,
    signer: dependencies.signer,
  });
  const authorization = createAuthorization(config.authorization, {
    clock,
    random,
    objects,
    logger,
    decisions,
    series,
    isEnabled: dependencies.isEnabled,
  });
  const admission = createAdmission(config.admission, {
    clock,
    random,
    objects,
    authorizer: authorization.authorizer,
    logger,
    ...(config.admission.configs === undefined ? {} : { configs: config.admission.configs }),
    ...(dependencies.isEnabled === undefined ? {} : { isEnabled: dependencies.isEnabled }),
    ...(dependencies.emulatedMinor === undefined ? {} : { emulatedMinor: dependencies.emulatedMinor }),
    ...(dependencies.span === undefined ? {} : { span: dependencies.span }),
    ...(config.admission.webhookBreaker === undefined
      ? {}
      : { webhookBreaker: config.admission.webhookBreaker }),
    setDefaults({ resource, subresource, object }) {
      const storage = find(resource.group, resource.version, resource.resource, subresource);
      if (object !== undefined) storage?.defaults?.(object);
    },
    findVersions: ({ resource, subresource }) =>
      find(resource.group, resource.version, resource.resource, subresource)?.versions,
    ...(dependencies.plugins === undefined ? {} : { plugins: dependencies.plugins }),
  });
  return {
    authentication,
    authorization,
    admission,
    objects,
    async start() {
      if (authorization.has('RBAC')) await authorization.reconcileBootstrapPolicy();
      const ends = [authentication.start(), await authorization.start()];
      return () => ends.forEach((end) => end());
    },
  };
}
