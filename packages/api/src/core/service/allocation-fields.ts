import type { KubeObject } from '@pilothouse/apimachinery';
import type { Json } from '../../validation/values.ts';
import { isSet, list, semanticEqual, text } from '../../validation/values.ts';
import { isExternal } from './validation.ts';

/**
 * The pure part of what the services' registry does around allocation: clusterIP and clusterIPs tell the same, an update that leaves
 * allocated values out keeps them, and a change of type drops what the new type does not have.
 */

const specOf = (service: KubeObject): Json => (service['spec'] ?? {}) as Json;

const needsClusterIp = (spec: Json): boolean =>
  ['ClusterIP', 'NodePort', 'LoadBalancer'].includes(text(spec['type']));
const needsNodePort = (spec: Json): boolean =>
  spec['type'] === 'NodePort' ||
  (spec['type'] === 'LoadBalancer' && spec['allocateLoadBalancerNodePorts'] !== false);
export const needsHealthCheckPort = (spec: Json): boolean =>
  spec['type'] === 'LoadBalancer' && spec['externalTrafficPolicy'] === 'Local';

/** Upstream's NormalizeClusterIPs: an old client that writes only clusterIP means clusterIPs[0] too. */
export function agreeOnClusterIp(service: KubeObject, old: KubeObject | undefined): void {
  const spec = specOf(service);
  const one = text(spec['clusterIP']);
  const many = list(spec['clusterIPs']) as string[];
  if (old === undefined) {
    if (one !== '' && many.length === 0) spec['clusterIPs'] = [one];
    return;
  }
  const before = specOf(old);
  const oldOne = text(before['clusterIP']);
  const oldMany = list(before['clusterIPs']) as string[];
  const same = semanticEqual(many, oldMany);
  if (one === oldOne && same) return;
  if (one !== oldOne) {
    if (same) {
      // Only clusterIP was written.
      if (one === '') delete spec['clusterIPs'];
      else spec['clusterIPs'] = [one];
    }
  } else if (many.length === 0 && one !== '' && oldMany.length > 0) {
    // A client that does not know the list dropped it.
    spec['clusterIPs'] = [...oldMany];
  }
}

/** Upstream's patchAllocatedValues. */
export function keepAllocated(service: KubeObject, old: KubeObject): void {
  const spec = specOf(service);
  const before = specOf(old);
  if (needsClusterIp(before) && needsClusterIp(spec)) {
    if (
      text(spec['clusterIP']) === '' &&
      list(spec['clusterIPs']).length === 0 &&
      text(before['clusterIP']) !== ''
    ) {
      spec['clusterIP'] = before['clusterIP'] as unknown;
      spec['clusterIPs'] = [...(list(before['clusterIPs']) as string[])];
    }
    for (const name of ['ipFamilies', 'ipFamilyPolicy']) {
      const now: unknown = spec[name];
      if (!isSet(now) || (Array.isArray(now) && now.length === 0))
        if (isSet(before[name])) spec[name] = before[name] as unknown;
    }
  }
  if (needsNodePort(before) && needsNodePort(spec)) {
    const known = new Map<string, number>();
    for (const port of list(before['ports']) as Json[])
      if ((port['nodePort'] ?? 0) !== 0)
        known.set(`${text(port['protocol'])}/${String(port['port'])}`, port['nodePort'] as number);
    const used = new Set(
      (list(spec['ports']) as Json[])
        .filter((port) => (port['nodePort'] ?? 0) !== 0)
        .map((port) => `${text(port['protocol'])}/${String(port['nodePort'])}`),
    );
    for (const port of list(spec['ports']) as Json[]) {
      if ((port['nodePort'] ?? 0) !== 0) continue;
      const nodePort = known.get(`${text(port['protocol'])}/${String(port['port'])}`);
      if (nodePort === undefined || used.has(`${text(port['protocol'])}/${nodePort}`)) continue;
      port['nodePort'] = nodePort;
      used.add(`${text(port['protocol'])}/${nodePort}`);
    }
  }
  if (
    needsHealthCheckPort(before) &&
    needsHealthCheckPort(spec) &&
    (spec['healthCheckNodePort'] ?? 0) === 0 &&
    (before['healthCheckNodePort'] ?? 0) !== 0
  )
    spec['healthCheckNodePort'] = before['healthCheckNodePort'] as unknown;
}

/** Upstream's dropTypeDependentFields: only what the client left as it was goes; what it changed is validated. */
export function dropFieldsOfOtherTypes(service: KubeObject, old: KubeObject | undefined): void {
  if (old === undefined) return;
  const spec = specOf(service);
  const before = specOf(old);
  const unchanged = (name: string): boolean => semanticEqual(spec[name], before[name]);
  if (needsClusterIp(before) && !needsClusterIp(spec) && unchanged('clusterIP') && unchanged('clusterIPs'))
    for (const name of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[name];
  if (needsClusterIp(before) && !needsClusterIp(spec) && unchanged('internalTrafficPolicy'))
    delete spec['internalTrafficPolicy'];
  const hadPorts = before['type'] === 'NodePort' || before['type'] === 'LoadBalancer';
  const hasPorts = spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer';
  if (hadPorts && !hasPorts) {
    const oldPorts = list(before['ports']) as Json[];
    for (const port of list(spec['ports']) as Json[])
      if (oldPorts.some((each) => (each['nodePort'] ?? 0) === (port['nodePort'] ?? 0)))
        delete port['nodePort'];
  }
  if (needsHealthCheckPort(before) && !needsHealthCheckPort(spec) && unchanged('healthCheckNodePort'))
    delete spec['healthCheckNodePort'];
  if (before['type'] === 'LoadBalancer' && spec['type'] !== 'LoadBalancer')
    for (const name of ['allocateLoadBalancerNodePorts', 'loadBalancerClass'])
      if (unchanged(name)) delete spec[name];
  // The balancer goes later than this, which is nothing for users to see.
  if (spec['type'] !== 'LoadBalancer' && list(service['status']?.loadBalancer?.ingress).length > 0)
    (service['status'] as Json)['loadBalancer'] = {};
  if (isExternal(before) && !isExternal(spec) && unchanged('externalTrafficPolicy'))
    delete spec['externalTrafficPolicy'];
}
