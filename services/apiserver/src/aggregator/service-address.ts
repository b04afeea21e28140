import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote } from '@pilothouse/apimachinery';
import type { Random } from '@pilothouse/base';
import type { RemoteApi } from './remote-api.ts';

export interface ServiceAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads of the watch caches. */
export interface ServiceLookup {
  service(namespace: string, name: string): KubeObject | undefined;
  /** Slices of a service. */
  endpointSlices(namespace: string, service: string): readonly KubeObject[];
}

interface ServiceSpec {
  readonly type?: string;
  readonly clusterIP?: string;
  readonly externalName?: string;
  readonly ipFamilies?: readonly string[];
  readonly ports?: readonly { readonly name?: string; readonly port: number }[];
}

interface Slice {
  readonly addressType?: string;
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[] | null;
  readonly endpoints?:
    | readonly {
        readonly addresses?: readonly string[];
        readonly conditions?: { readonly ready?: boolean };
      }[]
    | null;
}

/** Why a service cannot answer, in the reasons and words of the condition Available. */
export interface ServiceFault {
  readonly reason: string;
  readonly message: string;
}

/** Looks at the objects only; undefined: nothing speaks against asking the server. */
export function serviceFault(api: RemoteApi, lookup: ServiceLookup): ServiceFault | undefined {
  const { namespace, name, port } = api.service;
  const where = `service/${name} in ${goQuote(namespace)}`;
  const service = lookup.service(namespace, name);
  if (service === undefined) return { reason: 'ServiceNotFound', message: `${where} is not present` };
  const spec = specOf(service);
  // Other types need not have endpoints.
  if ((spec.type ?? 'ClusterIP') !== 'ClusterIP') return undefined;
  const servicePort = spec.ports?.find((each) => each.port === port);
  if (servicePort === undefined) {
    return { reason: 'ServicePortError', message: `${where} is not listening on port ${port}` };
  }
  const slices = lookup.endpointSlices(namespace, name) as unknown as readonly Slice[];
  if (slices.length === 0) {
    return { reason: 'EndpointsNotFound', message: `cannot find endpointslices for ${where}` };
  }
  const portName = servicePort.name ?? '';
  const isActive = slices.some(
    (slice) => portIn(slice, portName) !== undefined && readyAddresses(slice).length > 0,
  );
  if (isActive) return undefined;
  return {
    reason: 'MissingEndpoints',
    message: `endpointslices for ${where} have no addresses with port name ${goQuote(portName)}`,
  };
}

/**
 * Where to connect: any ready endpoint of the primary address family first, since endpoints answer also where nothing forwards the
 * addresses of services; else the service's own address, unless `endpointsOnly`. Throws an Error.
 */
export function serviceAddress(
  api: RemoteApi,
  lookup: ServiceLookup,
  options: { readonly random: Random; readonly endpointsOnly: boolean },
): ServiceAddress {
  const { namespace, name, port } = api.service;
  const service = lookup.service(namespace, name);
  if (service === undefined) throw new Error(`service ${goQuote(name)} not found`);
  const spec = specOf(service);
  if (spec.type === 'ExternalName') {
    if (options.endpointsOnly) throw new Error(`unsupported service type "ExternalName"`);
    return { host: spec.externalName ?? '', port };
  }
  const servicePort = spec.ports?.find((each) => each.port === port);
  if (servicePort === undefined)
    throw new Error(`no service port ${port} found for service ${goQuote(name)}`);
  const family = spec.ipFamilies?.[0];
  const slices = lookup.endpointSlices(namespace, name) as unknown as readonly Slice[];
  const primaryFirst = [...slices].sort(
    (a, b) => Number(b.addressType === family) - Number(a.addressType === family),
  );
  for (const slice of primaryFirst) {
    const target = portIn(slice, servicePort.name ?? '');
    const addresses = readyAddresses(slice);
    if (target === undefined || addresses.length === 0) continue;
    return { host: addresses[options.random.integer(addresses.length)] as string, port: target };
  }
  if (options.endpointsOnly) throw new Error(`no endpoints available for service ${goQuote(name)}`);
  const { clusterIP = '' } = spec;
  if (clusterIP === '' || clusterIP === 'None') {
    throw new Error(`cannot route to service with ClusterIP ${goQuote(clusterIP)}`);
  }
  return { host: clusterIP, port };
}

function specOf(service: KubeObject): ServiceSpec {
  return (service['spec'] ?? {}) as ServiceSpec;
}

function portIn(slice: Slice, name: string): number | undefined {
  return slice.ports?.find((each) => (each.name ?? '') === name)?.port;
}

function readyAddresses(slice: Slice): string[] {
  return (slice.endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses }) => addresses?.slice(0, 1) ?? []);
}
