import type { KubeObject } from '@pilothouse/apimachinery';
import type { FieldError } from '@pilothouse/apimachinery';
import { fieldError, FieldPath, statusErrors } from '@pilothouse/apimachinery';
import { agreeOnClusterIp, validateServiceClusterIps } from '@pilothouse/api';
import type { RestContext } from '../../rest/rest-storage.ts';
import type { Finish, StoreHooks } from '../../generic/store-options.ts';
import type { IpAllocator, IpFamily } from './ip-allocator.ts';
import { IpAllocationError } from './ip-allocator.ts';
import type { PortAllocator } from './port-allocator.ts';
import { PortAllocationError } from './port-allocator.ts';

interface ServicePort {
  port?: number;
  protocol?: string;
  nodePort?: number;
}

export interface ServiceSpec {
  type?: string;
  clusterIP?: string;
  clusterIPs?: string[];
  ipFamilies?: IpFamily[];
  ipFamilyPolicy?: string;
  selector?: Record<string, string>;
  ports?: ServicePort[];
  externalTrafficPolicy?: string;
  healthCheckNodePort?: number;
  allocateLoadBalancerNodePorts?: boolean;
}

const spec = new FieldPath('spec');
const none = 'None';

function specOf(object: KubeObject): ServiceSpec {
  return (object['spec'] ?? {}) as ServiceSpec;
}

function needsClusterIp(service: ServiceSpec): boolean {
  return service.type !== 'ExternalName';
}

function isHeadless(service: ServiceSpec): boolean {
  return service.clusterIP === none || service.clusterIPs?.[0] === none;
}

function needsNodePort(service: ServiceSpec): boolean {
  if (service.type === 'NodePort') return true;
  return service.type === 'LoadBalancer' && service.allocateLoadBalancerNodePorts !== false;
}

function mayHaveNodePort(service: ServiceSpec): boolean {
  return service.type === 'NodePort' || service.type === 'LoadBalancer';
}

function needsHealthCheckPort(service: ServiceSpec): boolean {
  return service.type === 'LoadBalancer' && service.externalTrafficPolicy === 'Local';
}

function nodePortsOf(service: ServiceSpec): number[] {
  const ports = (service.ports ?? []).map((port) => port.nodePort ?? 0);
  if ((service.healthCheckNodePort ?? 0) !== 0) ports.push(service.healthCheckNodePort as number);
  return [...new Set(ports)].filter((port) => port !== 0);
}

function clusterIpsOf(service: ServiceSpec): string[] {
  return (service.clusterIPs ?? []).filter((ip) => ip !== '' && ip !== none);
}

/** What was taken for one write, to be given back when it fails. */
interface Taken {
  readonly ips: string[];
  readonly ports: number[];
}

/** Addresses and ports that Services reserve: taken before the write, given back when it fails or the Service no longer has them. */
export function serviceHooks(ips: IpAllocator, ports: PortAllocator): StoreHooks {
  const release = async (taken: Taken): Promise<void> => {
    for (const ip of taken.ips) await ips.release(ip);
    await ports.release(taken.ports);
  };

  const allocate = async (
    context: RestContext,
    object: KubeObject,
    oldObject: KubeObject | undefined,
  ): Promise<Taken> => {
    const service = specOf(object);
    const old = oldObject === undefined ? undefined : specOf(oldObject);
    object['spec'] = service;
    const taken: Taken = { ips: [], ports: [] };
    try {
      const fieldErrors = needsClusterIp(service) ? validateServiceClusterIps(object) : [];
      if (fieldErrors.length > 0) throw invalid(object, fieldErrors);
      const errors = initIpFamilies(service, old, ips.families);
      if (errors.length > 0) throw invalid(object, errors);
      await allocateIps(context, object, service, old, taken);
      await allocatePorts(context, object, service, old, taken);
      await allocateHealthCheckPort(context, object, service, old, taken);
      return taken;
    } catch (error) {
      await release(taken);
      throw error;
    }
  };

  async function allocateIps(
    context: RestContext,
    object: KubeObject,
    service: ServiceSpec,
    old: ServiceSpec | undefined,
    taken: Taken,
  ): Promise<void> {
    if (!needsClusterIp(service) || isHeadless(service)) return;
    const kept = old === undefined || !needsClusterIp(old) ? [] : clusterIpsOf(old);
    const owner = { namespace: object.metadata.namespace ?? '', name: object.metadata.name ?? '' };
    const wanted = service.clusterIPs ?? [];
    const result: string[] = [];
    for (let index = 0; index < (service.ipFamilies ?? []).length; index++) {
      const ip = wanted[index] ?? '';
      // Whether what was kept may change is for validation to say.
      if (ip !== '' && (kept.includes(ip) || index < kept.length)) {
        result.push(ip);
        continue;
      }
      try {
        if (ip === '') {
          const next = await ips.allocateNext(
            (service.ipFamilies as IpFamily[])[index] as IpFamily,
            owner,
            context.dryRun,
          );
          if (!context.dryRun) taken.ips.push(next);
          result.push(next);
        } else {
          await ips.allocate(ip, owner, context.dryRun);
          if (!context.dryRun) taken.ips.push(ip);
          result.push(ip);
        }
      } catch (error) {
        if (!(error instanceof IpAllocationError)) throw error;
        if (ip === '') throw statusErrors.internal(`failed to allocate a serviceIP: ${error.message}`);
        const at = spec.child('clusterIPs');
        throw invalid(object, [
          fieldError.invalid(at, wanted, `failed to allocate IP ${ip}: ${error.message}`),
        ]);
      }
    }
    service.clusterIPs = result.concat(wanted.slice(result.length));
    if (service.clusterIPs[0] !== undefined) service.clusterIP = service.clusterIPs[0];
  }

  async function allocatePorts(
    context: RestContext,
    object: KubeObject,
    service: ServiceSpec,
    old: ServiceSpec | undefined,
    taken: Taken,
  ): Promise<void> {
    if (!mayHaveNodePort(service)) return;
    const allocatesAll = needsNodePort(service);
    const kept = new Set(old === undefined ? [] : nodePortsOf(old));
    const byPort = new Map<number, number>();
    const own = new Set(nodePortsOf(service));
    const list = service.ports ?? [];
    for (let index = 0; index < list.length; index++) {
      const port = list[index] as ServicePort;
      const wanted = port.nodePort ?? 0;
      // The same port by another protocol shares its node port.
      const shared = byPort.get(port.port ?? 0);
      if (wanted === 0) {
        if (!allocatesAll) continue;
        if (shared !== undefined) {
          port.nodePort = shared;
          continue;
        }
        port.nodePort = await ports.allocateNext(context.dryRun, own);
        own.add(port.nodePort);
        if (!context.dryRun) taken.ports.push(port.nodePort);
      } else if (wanted !== shared && !kept.has(wanted) && !taken.ports.includes(wanted)) {
        try {
          await ports.allocate(wanted, context.dryRun);
          if (!context.dryRun) taken.ports.push(wanted);
        } catch (error) {
          if (!(error instanceof PortAllocationError)) throw error;
          const at = spec.child('ports').index(index).child('nodePort');
          throw invalid(object, [fieldError.invalid(at, wanted, error.message)]);
        }
      }
      byPort.set(port.port ?? 0, port.nodePort as number);
    }
  }

  async function allocateHealthCheckPort(
    context: RestContext,
    object: KubeObject,
    service: ServiceSpec,
    old: ServiceSpec | undefined,
    taken: Taken,
  ): Promise<void> {
    if (!needsHealthCheckPort(service)) return;
    const wanted = service.healthCheckNodePort ?? 0;
    if (wanted === 0) {
      service.healthCheckNodePort = await ports.allocateNext(context.dryRun, new Set(nodePortsOf(service)));
      if (!context.dryRun) taken.ports.push(service.healthCheckNodePort);
      return;
    }
    if (wanted === old?.healthCheckNodePort) return;
    try {
      await ports.allocate(wanted, context.dryRun);
      if (!context.dryRun) taken.ports.push(wanted);
    } catch (error) {
      if (!(error instanceof PortAllocationError)) throw error;
      const text = `failed to allocate requested HealthCheck NodePort ${wanted}: ${error.message}`;
      throw invalid(object, [fieldError.invalid(spec.child('healthCheckNodePort'), wanted, text)]);
    }
  }

  return {
    async beginCreate(context, object): Promise<Finish> {
      agreeOnClusterIp(object, undefined);
      const taken = await allocate(context, object, undefined);
      return async (success) => {
        if (!success) await release(taken);
      };
    },
    async beginUpdate(context, object, oldObject): Promise<Finish> {
      const old = specOf(oldObject);
      const service = specOf(object);
      object['spec'] = service;
      agreeOnClusterIp(object, oldObject);
      dropTypeDependentFields(service, old);
      keepAllocated(service, old);
      const taken = await allocate(context, object, oldObject);
      return async (success) => {
        if (!success) return release(taken);
        if (context.dryRun) return;
        const ipsNow = clusterIpsOf(service);
        const portsNow = nodePortsOf(service);
        await release({
          ips: clusterIpsOf(old).filter((ip) => !ipsNow.includes(ip)),
          ports: nodePortsOf(old).filter((port) => !portsNow.includes(port)),
        });
      };
    },
    async afterDelete(context, object) {
      if (context.dryRun) return;
      const service = specOf(object);
      await release({ ips: clusterIpsOf(service), ports: nodePortsOf(service) });
    },
  };
}

function invalid(object: KubeObject, errors: FieldError[]): Error {
  return statusErrors.invalid({ group: '', kind: 'Service' }, object.metadata.name ?? '', errors);
}

/** What the client did not say again is kept, so that a PUT of a manifest does not move the Service. */
function keepAllocated(service: ServiceSpec, old: ServiceSpec): void {
  if (needsClusterIp(service) && needsClusterIp(old)) {
    if ((service.clusterIP ?? '') === '' && old.clusterIP !== undefined) service.clusterIP = old.clusterIP;
    if (
      (service.clusterIPs ?? []).length === 0 &&
      service.clusterIP === old.clusterIP &&
      old.clusterIPs !== undefined
    ) {
      service.clusterIPs = [...old.clusterIPs];
    }
  }
  if (needsNodePort(service) && needsNodePort(old)) {
    const used = new Set(
      (service.ports ?? []).map((port) => `${port.protocol ?? 'TCP'}/${port.nodePort ?? 0}`),
    );
    const byPort = new Map(
      (old.ports ?? []).map((port) => [`${port.protocol ?? 'TCP'}/${port.port ?? 0}`, port.nodePort ?? 0]),
    );
    for (const port of service.ports ?? []) {
      if ((port.nodePort ?? 0) !== 0) continue;
      const before = byPort.get(`${port.protocol ?? 'TCP'}/${port.port ?? 0}`) ?? 0;
      if (before !== 0 && !used.has(`${port.protocol ?? 'TCP'}/${before}`)) port.nodePort = before;
    }
  }
  if (
    needsHealthCheckPort(service) &&
    needsHealthCheckPort(old) &&
    (service.healthCheckNodePort ?? 0) === 0
  ) {
    if (old.healthCheckNodePort !== undefined) service.healthCheckNodePort = old.healthCheckNodePort;
  }
}

/** Fields that the new type does not have go when the client just left them as they were. */
function dropTypeDependentFields(service: ServiceSpec, old: ServiceSpec): void {
  if (needsClusterIp(old) && !needsClusterIp(service)) {
    if ((service.clusterIP ?? '') === (old.clusterIP ?? '') && sameList(service.clusterIPs, old.clusterIPs)) {
      delete service.clusterIP;
      delete service.clusterIPs;
    }
    if (sameList(service.ipFamilies, old.ipFamilies)) delete service.ipFamilies;
    if (service.ipFamilyPolicy === old.ipFamilyPolicy) delete service.ipFamilyPolicy;
  }
  if (mayHaveNodePort(old) && !mayHaveNodePort(service)) {
    const before = new Set((old.ports ?? []).map((port) => port.nodePort ?? 0));
    for (const port of service.ports ?? []) if (before.has(port.nodePort ?? 0)) delete port.nodePort;
  }
  if (
    needsHealthCheckPort(old) &&
    !needsHealthCheckPort(service) &&
    service.healthCheckNodePort === old.healthCheckNodePort
  ) {
    delete service.healthCheckNodePort;
  }
}

function sameList(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return (a ?? []).join(',') === (b ?? []).join(',');
}

/** Nothing is added to or taken from a service of PreferDualStack that stays as it was when the cluster's families change. */
const isUnchangedPreferDual = (service: ServiceSpec, old: ServiceSpec | undefined): boolean =>
  old !== undefined &&
  old.type === service.type &&
  service.ipFamilyPolicy === 'PreferDualStack' &&
  (old.ipFamilyPolicy ?? service.ipFamilyPolicy) === 'PreferDualStack' &&
  sameList(old.clusterIPs, service.clusterIPs) &&
  sameList(old.ipFamilies, service.ipFamilies);

/** The new list is shorter, or a part of the old one is gone. */
const isReduced = (service: readonly string[] | undefined, old: readonly string[] | undefined): boolean =>
  (service ?? []).length > 0 && (service ?? []).length < (old ?? []).length;

/** Fills clusterIPs from clusterIP, the policy, and families from addresses (upstream's initIPFamilyFields). */
function initIpFamilies(
  service: ServiceSpec,
  old: ServiceSpec | undefined,
  configured: readonly IpFamily[],
): FieldError[] {
  if (!needsClusterIp(service) || isUnchangedPreferDual(service, old)) return [];
  if (old === undefined && (service.clusterIP ?? '') !== '' && (service.clusterIPs ?? []).length === 0) {
    service.clusterIPs = [service.clusterIP as string];
  }
  const isBare = isHeadless(service) && Object.keys(service.selector ?? {}).length === 0;
  service.ipFamilyPolicy ??= old?.ipFamilyPolicy ?? (isBare ? 'RequireDualStack' : 'SingleStack');
  const policy = service.ipFamilyPolicy;
  const errors = policyErrors(service, old, policy);
  const families = [...(service.ipFamilies ?? [])];
  clusterIpsOf(service).forEach((ip, index) => {
    if (index < families.length) return;
    const family = ip.includes(':') ? 'IPv6' : 'IPv4';
    if (configured.includes(family)) families.push(family);
    else
      errors.push(
        fieldError.invalid(
          spec.child('clusterIPs').index(index),
          service.clusterIPs,
          `${family} is not configured on this cluster`,
        ),
      );
  });
  service.ipFamilies = families;
  if (errors.length > 0) return errors;
  const other = (family: IpFamily): IpFamily => (family === 'IPv4' ? 'IPv6' : 'IPv4');
  const defaultFamily = configured[0] ?? 'IPv4';
  if (isBare) {
    if (families.length === 0) families.push(defaultFamily);
    if (families.length === 1 && policy !== 'SingleStack') families.push(other(families[0] as IpFamily));
    return [];
  }
  if (policy === 'RequireDualStack' && configured.length < 2) {
    const text = 'this cluster is not configured for dual-stack services';
    errors.push(fieldError.invalid(spec.child('ipFamilyPolicy'), policy, text));
  }
  families.forEach((family, index) => {
    if (!configured.includes(family)) {
      const text = 'not configured on this cluster';
      errors.push(fieldError.invalid(spec.child('ipFamilies').index(index), family, text));
    }
  });
  if (errors.length > 0) return errors;
  if (families.length === 0) families.push(defaultFamily);
  if (families.length === 1 && policy !== 'SingleStack' && configured.length > 1)
    families.push(other(families[0] as IpFamily));
  return [];
}

/** A second address or family goes only by the policy's word; both go with it when they were left as they were. */
function policyErrors(service: ServiceSpec, old: ServiceSpec | undefined, policy: string): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (text: string): void =>
    void errors.push(fieldError.invalid(spec.child('ipFamilyPolicy'), policy, text));
  if (old !== undefined && policy === 'SingleStack') {
    if (sameList(old.clusterIPs, service.clusterIPs) && (service.clusterIPs ?? []).length > 1)
      service.clusterIPs = (service.clusterIPs as string[]).slice(0, 1);
    if (sameList(old.ipFamilies, service.ipFamilies) && (service.ipFamilies ?? []).length > 1)
      service.ipFamilies = (service.ipFamilies as IpFamily[]).slice(0, 1);
  } else if (old !== undefined) {
    if (isReduced(service.clusterIPs, old.clusterIPs))
      refuse("must be 'SingleStack' to release the secondary cluster IP");
    if (isReduced(service.ipFamilies, old.ipFamilies))
      refuse("must be 'SingleStack' to release the secondary IP family");
  }
  if (policy === 'SingleStack') {
    const wanted = "must be 'RequireDualStack' or 'PreferDualStack' when multiple";
    if (service.clusterIPs?.length === 2) refuse(`${wanted} cluster IPs are specified`);
    if (service.ipFamilies?.length === 2) refuse(`${wanted} IP families are specified`);
  }
  return errors;
}
