import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote } from '@pilothouse/apimachinery';
import type { ObjectAccess } from '../../security/object-access.ts';
import { resources } from '../../security/object-access.ts';
import type { WebhookClientConfig } from './webhook.ts';

/** Where a webhook is reached. */
export interface WebhookTarget {
  /** As messages show it. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
  /** Name in the certificate. */
  readonly serverName: string;
  /** Of the service, when `port` is that of an endpoint. */
  readonly namedPort?: number;
}

const endpointSlices = { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' } as const;

interface ServicePort {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: number | string;
}

/** The address of a webhook. Throws an Error when its service cannot be reached, after the URL is known. */
export function webhookTarget(
  config: WebhookClientConfig,
  timeoutSeconds: number,
  objects: ObjectAccess,
): { readonly url: string; readonly resolve: () => WebhookTarget } {
  const timeout = `timeout=${timeoutSeconds}s`;
  if (config.service === undefined) {
    const url = new URL(config.url ?? '');
    url.pathname = url.pathname.replace(/\/{2,}/g, '/');
    url.search = url.search === '' ? `?${timeout}` : `${url.search}&${timeout}`;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = url.port === '' ? 443 : Number(url.port);
    const target = { url: url.href, host, port, path: `${url.pathname}${url.search}`, serverName: host };
    return { url: url.href, resolve: () => target };
  }
  const { name, namespace, port = 443 } = config.service;
  const path = `/${(config.service.path ?? '').replace(/^\//, '')}?${timeout}`;
  const serverName = `${name}.${namespace}.svc`;
  const url = `https://${serverName}:${port}${path}`;
  return {
    url,
    resolve: () => ({
      url,
      path,
      serverName,
      namedPort: port,
      ...serviceAddress(objects, namespace, name, port),
    }),
  };
}

function serviceAddress(
  objects: ObjectAccess,
  namespace: string,
  name: string,
  port: number,
): { host: string; port: number } {
  const service = objects.cached(resources.services).get(namespace, name);
  if (service === undefined) throw new Error(`service ${goQuote(name)} not found`);
  const spec = (service['spec'] ?? {}) as {
    type?: string;
    externalName?: string;
    clusterIP?: string;
    ports?: readonly ServicePort[];
  };
  if (spec.type === 'ExternalName') return { host: spec.externalName ?? '', port };
  const wanted = spec.ports?.find((each) => each.port === port);
  if (wanted === undefined) throw new Error(`no service port ${port} found for service ${goQuote(name)}`);
  // Endpoints first: they work where no proxy forwards service addresses, too.
  const endpoint = readyEndpoint(objects.cached(endpointSlices).list(namespace), name, wanted);
  if (endpoint !== undefined) return endpoint;
  if (spec.clusterIP === undefined || spec.clusterIP === 'None' || spec.clusterIP === '') {
    throw new Error(`no endpoints available for service ${goQuote(name)}`);
  }
  return { host: spec.clusterIP, port };
}

function readyEndpoint(
  slices: readonly KubeObject[],
  service: string,
  wanted: ServicePort,
): { host: string; port: number } | undefined {
  for (const slice of slices) {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== service) continue;
    const ports = (slice['ports'] as { name?: string; port?: number }[] | undefined) ?? [];
    const port = ports.find((each) => (each.name ?? '') === (wanted.name ?? ''))?.port;
    const endpoints =
      (slice['endpoints'] as { addresses?: string[]; conditions?: { ready?: boolean } }[] | undefined) ?? [];
    const ready = endpoints.find((each) => each.conditions?.ready !== false)?.addresses?.[0];
    if (port !== undefined && ready !== undefined) return { host: ready, port };
  }
  return undefined;
}
