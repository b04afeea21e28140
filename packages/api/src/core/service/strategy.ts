import type { KubeObject } from '@pilothouse/apimachinery';
import { keepGeneration, restore, statusHooks } from '../../common.ts';
import { ensure, setDefault, setZeroDefault } from '../../defaults/set.ts';
import type { ResourceStrategy } from '../../strategy.ts';
import { ageOf, nameOf, orNone } from '../../table/cells.ts';
import { columnsOf } from '../../table/columns.ts';
import { formatLabels } from '../../validation/meta.ts';
import { nameIsDnsLabel } from '../../validation/names.ts';
import { cidrWarnings, ipText, parseIp } from '../../validation/network.ts';
import type { Json } from '../../validation/values.ts';
import { isSet, list, text } from '../../validation/values.ts';
import { agreeOnClusterIp, dropFieldsOfOtherTypes, keepAllocated } from './allocation-fields.ts';
import { validateServiceStatus } from './status.ts';
import { clusterIpsOf, isExternal, validateService, validateServiceChange } from './validation.ts';

const specOf = (service: KubeObject): Json => (service['spec'] ?? {}) as Json;
const stickySeconds = 10_800;

function defaults(service: KubeObject): void {
  const spec = ensure(service, 'spec');
  setZeroDefault(spec, 'sessionAffinity', 'None');
  if (spec['sessionAffinity'] === 'None') delete spec['sessionAffinityConfig'];
  if (spec['sessionAffinity'] === 'ClientIP') {
    const config = ensure(spec, 'sessionAffinityConfig');
    setDefault(ensure(config, 'clientIP'), 'timeoutSeconds', stickySeconds);
  }
  setZeroDefault(spec, 'type', 'ClusterIP');
  for (const port of list(spec['ports']) as Json[]) {
    setZeroDefault(port, 'protocol', 'TCP');
    setZeroDefault(port, 'targetPort', (port['port'] ?? 0) as unknown);
  }
  if (isExternal(spec)) setZeroDefault(spec, 'externalTrafficPolicy', 'Cluster');
  if (['ClusterIP', 'NodePort', 'LoadBalancer'].includes(text(spec['type'])))
    setDefault(spec, 'internalTrafficPolicy', 'Cluster');
  if (spec['type'] === 'LoadBalancer') {
    setDefault(spec, 'allocateLoadBalancerNodePorts', true);
    for (const ingress of list(service['status']?.loadBalancer?.ingress) as Json[])
      if (text(ingress['ip']) !== '') setDefault(ingress, 'ipMode', 'VIP');
  }
}

function ipWarnings(service: KubeObject): string[] {
  const spec = specOf(service);
  const warnings: string[] = [];
  if (service.metadata.annotations?.['service.kubernetes.io/topology-aware-hints'] !== undefined)
    warnings.push(
      'annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead',
    );
  const isHeadless = clusterIpsOf(spec)[0] === 'None';
  const externalIps = list(spec['externalIPs']) as string[];
  const ignored = (name: string): number => warnings.push(`spec.${name} is ignored for headless services`);
  if (isHeadless && text(spec['loadBalancerIP']) !== '') ignored('loadBalancerIP');
  if (isHeadless && externalIps.length > 0) ignored('externalIPs');
  if (isHeadless && text(spec['sessionAffinity']) !== 'None') ignored('SessionAffinity');
  if (externalIps.length > 0 && !isHeadless && spec['type'] !== 'ExternalName')
    warnings.push('spec.externalIPs is deprecated and may no longer be implemented in some clusters');
  clusterIpsOf(spec).forEach((ip, index) => warnings.push(...nonCanonical(ip, `spec.clusterIPs[${index}]`)));
  externalIps.forEach((ip, index) => warnings.push(...nonCanonical(ip, `spec.externalIPs[${index}]`)));
  if (spec['type'] === 'LoadBalancer' && text(spec['loadBalancerIP']) !== '')
    warnings.push(...nonCanonical(text(spec['loadBalancerIP']), 'spec.loadBalancerIP'));
  (list(spec['loadBalancerSourceRanges']) as string[]).forEach((range, index) => {
    warnings.push(...cidrWarnings(`spec.loadBalancerSourceRanges[${index}]`, range));
  });
  if (spec['type'] === 'ExternalName' && externalIps.length > 0)
    warnings.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  if (spec['type'] !== 'ExternalName' && text(spec['externalName']) !== '')
    warnings.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  if (spec['trafficDistribution'] === 'PreferClose')
    warnings.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
  return warnings;
}

function nonCanonical(ip: string, where: string): string[] {
  const bytes = parseIp(ip);
  if (bytes === undefined) return [];
  const canonical = ipText(bytes);
  if (canonical === ip) return [];
  return [
    ip.includes(':')
      ? `${where}: IPv6 address "${ip}" should be in RFC 5952 canonical format ("${canonical}")`
      : `${where}: non-standard IP address "${ip}" will be considered invalid in a future Kubernetes release: use "${canonical}"`,
  ];
}

function externalIpText(service: KubeObject): string {
  const spec = specOf(service);
  const own = list(spec['externalIPs']) as string[];
  if (spec['type'] === 'ExternalName') return text(spec['externalName']);
  if (spec['type'] === 'LoadBalancer') {
    const balancer = (list(service['status']?.loadBalancer?.ingress) as Json[]).map(
      (each) => text(each['ip']) || text(each['hostname']),
    );
    const all = [...new Set(balancer.filter((each) => each !== ''))].sort();
    const texts = [...(all.length > 0 ? [all.join(',')] : []), ...own];
    return texts.length > 0 ? texts.join(',') : '<pending>';
  }
  return orNone(own.join(','));
}

function portsText(ports: unknown): string {
  return orNone(
    (list(ports) as Json[])
      .map((port) => {
        const nodePort: number = port['nodePort'] ?? 0;
        return `${String(port['port'])}${nodePort > 0 ? `:${nodePort}` : ''}/${text(port['protocol'])}`;
      })
      .join(','),
  );
}

export const serviceStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'Service',
  resource: 'services',
  // Upstream hides it whenever such a Service is read.
  canonicalize(service) {
    if (service['spec']?.type === 'ExternalName') delete service['spec'].internalTrafficPolicy;
  },
  resetFields: ['status'],
  validateName: nameIsDnsLabel,
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: true,
  defaults,
  prepareForCreate(service) {
    service['status'] = {};
    agreeOnClusterIp(service, undefined);
    dropFieldsOfOtherTypes(service, undefined);
  },
  validate: validateService,
  warningsOnCreate: ipWarnings,
  prepareForUpdate(service, old) {
    restore(service, old, 'status');
    keepGeneration(service, old);
    agreeOnClusterIp(service, old);
    dropFieldsOfOtherTypes(service, old);
    keepAllocated(service, old);
  },
  validateUpdate: (service, old) => [...validateServiceChange(service, old), ...validateService(service)],
  warningsOnUpdate: ipWarnings,
  subresources: { status: statusHooks(validateServiceStatus) },
  selectableFields: {
    'spec.clusterIP': (service) => text(specOf(service)['clusterIP']),
    'spec.type': (service) => text(specOf(service)['type']),
  },
  columns: columnsOf['/services'] ?? [],
  cells(service, nowMs) {
    const spec = specOf(service);
    return [
      nameOf(service),
      text(spec['type']),
      clusterIpsOf(spec)[0] ?? '<none>',
      externalIpText(service),
      portsText(spec['ports']),
      ageOf(service, nowMs),
      formatLabels(isSet(spec['selector']) ? spec['selector'] : undefined),
    ];
  },
};
