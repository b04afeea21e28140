import type { Clock, Logger } from '@pilothouse/base';
import type { ApiRegistry } from '../registry/registry.ts';
import type { ApiServer } from '../server.ts';
import { renamingConversion } from './conversion.ts';
import { customStorages } from './custom-storages.ts';
import { CustomResources } from './custom-resources.ts';
import { CustomOpenApiPublisher } from './openapi.ts';
import { DefinitionController } from './definition-controller.ts';

/** Serves custom resources. Needs a registry whose watch caches are filled; stop it before the registry closes. */
export function customResources(options: {
  readonly registry: ApiRegistry;
  readonly server: Pick<ApiServer, 'resources' | 'discovery' | 'openApi'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): DefinitionController {
  const { registry, server, clock, logger } = options;
  const openApi = new CustomOpenApiPublisher(server.openApi);
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
        conversion: (stored, version) => renamingConversion(spec, stored, version),
      }),
    changed: (groupVersions) => {
      openApi.publish(groupVersions);
    },
  });
  return new DefinitionController({ client: registry.client, resources, clock, logger });
}
