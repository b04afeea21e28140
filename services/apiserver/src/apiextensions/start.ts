import type { Clock, Logger, Random } from '@pilothouse/base';
import { WebhookClient } from '../admission/webhooks/webhook-client.ts';
import type { ApiRegistry } from '../registry/registry.ts';
import { objectAccess } from '../security/internal-object-access.ts';
import type { ApiServer } from '../server.ts';
import { ApiServiceRegistration } from './api-service-registration.ts';
import { renamingConversion } from './conversion.ts';
import { customStorages } from './custom-storages.ts';
import { CustomResources } from './custom-resources.ts';
import { CustomOpenApiPublisher } from './openapi.ts';
import { webhookConversion } from './webhook-conversion.ts';
import { DefinitionController } from './definition-controller.ts';

export interface CustomResourceServing {
  /** Resolves when the definitions that are there are served. */
  start(): Promise<void>;
  /**
   * Resolves when the resource is served, if the store says that it is established: another server may have said so to the client before
   * this one heard of it. At most a few seconds.
   */
  settle(info: {
    readonly apiGroup: string;
    readonly apiVersion: string;
    readonly resource: string;
  }): Promise<void>;
  stop(): void;
}

/** Serves custom resources. Needs a registry whose watch caches are filled; stop it before the registry closes. */
export function customResources(options: {
  readonly registry: ApiRegistry;
  readonly server: Pick<ApiServer, 'resources' | 'discovery' | 'openApi' | 'metrics'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}): CustomResourceServing {
  const { registry, server, clock, random, logger } = options;
  const webhooks = new WebhookClient();
  const objects = objectAccess(registry.client, { clock, logger });
  const openApi = new CustomOpenApiPublisher(server.openApi);
  const apiServices = new ApiServiceRegistration({ client: registry.client, clock, logger });
  const resources = new CustomResources({
    resources: server.resources,
    discovery: server.discovery,
    builtIn: [...registry.storages],
    open: (spec, names) =>
      customStorages({
        spec,
        names,
        factory: registry.factory,
        services: registry.services,
        conversion: (stored, version) =>
          spec.conversion?.strategy === 'Webhook'
            ? webhookConversion(spec, stored, version, {
                client: webhooks,
                objects,
                random,
                clock,
                series: server.metrics.conversions,
              })
            : renamingConversion(spec, stored, version),
      }),
    changed: (groupVersions) => {
      openApi.publish(groupVersions);
      apiServices.publish(groupVersions);
    },
  });
  const controller = new DefinitionController({ client: registry.client, resources, clock, logger });
  return {
    start: () => controller.start(),
    settle: (info) => controller.settle(info),
    stop() {
      apiServices.stop();
      controller.stop();
      webhooks.close();
    },
  };
}
