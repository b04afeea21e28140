import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { specPath } from '../../common.ts';
import { validateLabels } from '../../validation/meta.ts';
import {
  isDns1123Label,
  isDns1123Subdomain,
  isQualifiedName,
  isValidPortNumber,
} from '../../validation/names.ts';
import {
  isIpv6,
  parseIp,
  validateCidrLegacy,
  validateIp,
  validateNonSpecialIp,
} from '../../validation/network.ts';
import { validatePortNumOrName } from '../../validation/probes.ts';
import type { Json } from '../../validation/values.ts';
import { isSet, list, oneOf, problems, text } from '../../validation/values.ts';
import { internalText } from '../../validation/internal-text.ts';

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const families = ['IPv4', 'IPv6'];
const familyPolicies = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
const none = 'None';
const secondsPerDay = 86_400;

export const clusterIpsOf = (spec: Json): string[] => list(spec['clusterIPs']) as string[];
export const isHeadless = (spec: Json): boolean => clusterIpsOf(spec)[0] === none;
/** Reached from outside of the cluster. */
export const isExternal = (spec: Json): boolean =>
  spec['type'] === 'NodePort' ||
  spec['type'] === 'LoadBalancer' ||
  (spec['type'] === 'ClusterIP' && list(spec['externalIPs']).length > 0);

function validatePort(port: Json, needsName: boolean, names: Set<string>, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const name = text(port['name']);
  if (needsName && name === '') errors.push(fieldError.required(path.child('name')));
  else if (name !== '') {
    errors.push(...problems(path.child('name'), name, isDns1123Label(name)));
    if (names.has(name)) errors.push(fieldError.duplicate(path.child('name'), name));
    else names.add(name);
  }
  const number: number = port['port'] ?? 0;
  errors.push(...problems(path.child('port'), number, isValidPortNumber(number)));
  const protocol = text(port['protocol']);
  if (protocol === '') errors.push(fieldError.required(path.child('protocol')));
  else errors.push(...oneOf(path.child('protocol'), protocol, protocols));
  errors.push(...validatePortNumOrName(port['targetPort'], path.child('targetPort')));
  if (isSet(port['appProtocol']))
    errors.push(
      ...problems(path.child('appProtocol'), port['appProtocol'], isQualifiedName(text(port['appProtocol']))),
    );
  return errors;
}

function validateTypeRules(spec: Json): FieldError[] {
  const errors: FieldError[] = [];
  const first = specPath.child('clusterIPs').index(0);
  switch (spec['type']) {
    case 'LoadBalancer':
      list(spec['ports']).forEach((port: Json, index) => {
        if (port['port'] === 10250)
          errors.push(
            fieldError.invalid(
              specPath.child('ports').index(index),
              10250,
              'may not expose port 10250 externally since it is used by kubelet',
            ),
          );
      });
      if (isHeadless(spec))
        errors.push(fieldError.invalid(first, none, "may not be set to 'None' for LoadBalancer services"));
      break;
    case 'NodePort':
      if (isHeadless(spec))
        errors.push(fieldError.invalid(first, none, "may not be set to 'None' for NodePort services"));
      break;
    case 'ExternalName': {
      const detail = 'may not be set for ExternalName services';
      if (clusterIpsOf(spec).length > 0)
        errors.push(fieldError.forbidden(specPath.child('clusterIPs'), detail));
      if (list(spec['ipFamilies']).length > 0)
        errors.push(fieldError.forbidden(specPath.child('ipFamilies'), detail));
      if (isSet(spec['ipFamilyPolicy']))
        errors.push(fieldError.forbidden(specPath.child('ipFamilyPolicy'), detail));
      const name = text(spec['externalName']).replace(/\.$/, '');
      if (name === '') errors.push(fieldError.required(specPath.child('externalName')));
      else errors.push(...problems(specPath.child('externalName'), name, isDns1123Subdomain(name)));
      break;
    }
    default:
  }
  return errors;
}

function validateAffinity(spec: Json): FieldError[] {
  const errors: FieldError[] = [];
  const affinity = text(spec['sessionAffinity']);
  const path = specPath.child('sessionAffinity');
  if (affinity === '') errors.push(fieldError.required(path));
  else errors.push(...oneOf(path, affinity, ['ClientIP', 'None']));
  const configPath = specPath.child('sessionAffinityConfig');
  const config = spec['sessionAffinityConfig'] as Json | null | undefined;
  if (affinity === 'ClientIP') {
    if (!isSet(config))
      return [...errors, fieldError.required(configPath, 'when session affinity type is ClientIP')];
    if (!isSet(config['clientIP']))
      return [
        ...errors,
        fieldError.required(configPath.child('clientIP'), 'when session affinity type is ClientIP'),
      ];
    const seconds = config['clientIP'].timeoutSeconds as number | null | undefined;
    const where = configPath.child('clientIP', 'timeoutSeconds');
    if (!isSet(seconds)) errors.push(fieldError.required(where, 'when session affinity type is ClientIP'));
    else if (seconds <= 0 || seconds > secondsPerDay)
      errors.push(
        fieldError.invalid(where, seconds, `must be greater than 0 and less than ${secondsPerDay}`),
      );
  } else if (affinity === none && isSet(config))
    errors.push(fieldError.forbidden(configPath, `must not be set when session affinity is ${none}`));
  return errors;
}

function validateClusterIps(spec: Json): FieldError[] {
  if (spec['type'] === 'ExternalName') return [];
  const errors: FieldError[] = [];
  const path = specPath.child('clusterIPs');
  const ips = clusterIpsOf(spec);
  const one = text(spec['clusterIP']);
  if (one === '' && ips.length > 0)
    errors.push(fieldError.invalid(path, ips, 'must be empty when `clusterIP` is not specified'));
  else if (ips.length > 0 && ips[0] !== one)
    errors.push(fieldError.invalid(path, ips, 'first value must match `clusterIP`'));
  if (isSet(spec['ipFamilyPolicy']))
    errors.push(...oneOf(specPath.child('ipFamilyPolicy'), spec['ipFamilyPolicy'], familyPolicies));
  const seen = new Set<string>();
  (list(spec['ipFamilies']) as string[]).forEach((family, index) => {
    const at = specPath.child('ipFamilies').index(index);
    errors.push(...oneOf(at, family, families));
    if (seen.has(family)) errors.push(fieldError.duplicate(at, family));
    seen.add(family);
  });
  let bad = false;
  ips.forEach((ip, index) => {
    if (index === 0 && ip === none) {
      if (ips.length > 1) {
        bad = true;
        errors.push(fieldError.invalid(path, ips, "'None' must be the first and only value"));
      }
      return;
    }
    const found = validateIp(path.index(index), ip);
    if (found.length > 0) bad = true;
    errors.push(...found);
  });
  if (ips.length > 2) errors.push(fieldError.invalid(path, ips, 'may only hold up to 2 values'));
  if (bad) return errors;
  if (ips.length > 1 && new Set(ips.map(isIpv6)).size < 2)
    errors.push(fieldError.invalid(path, ips, 'may specify no more than one IP for each IP family'));
  (list(spec['ipFamilies']) as string[]).forEach((family, index) => {
    const ip = ips[index];
    if (ip === undefined || ip === none) return;
    if (family === 'IPv4' && isIpv6(ip))
      errors.push(
        fieldError.invalid(
          path.index(index),
          ip,
          `expected an IPv4 value as indicated by \`ipFamilies[${index}]\``,
        ),
      );
    if (family === 'IPv6' && !isIpv6(ip))
      errors.push(
        fieldError.invalid(
          path.index(index),
          ip,
          `expected an IPv6 value as indicated by \`ipFamilies[${index}]\``,
        ),
      );
  });
  return errors;
}

function validatePortSets(spec: Json): FieldError[] {
  const errors: FieldError[] = [];
  const ports = list(spec['ports']) as Json[];
  const path = specPath.child('ports');
  if (spec['type'] === 'ClusterIP')
    ports.forEach((port, index) => {
      if ((port['nodePort'] ?? 0) !== 0)
        errors.push(
          fieldError.forbidden(
            path.index(index).child('nodePort'),
            "may not be used when `type` is 'ClusterIP'",
          ),
        );
    });
  const nodePorts = new Set<string>();
  ports.forEach((port, index) => {
    const number: number = port['nodePort'] ?? 0;
    if (number === 0) return;
    const key = `${text(port['protocol'])}/${number}`;
    if (nodePorts.has(key)) errors.push(fieldError.duplicate(path.index(index).child('nodePort'), number));
    nodePorts.add(key);
  });
  const pairs = new Set<string>();
  ports.forEach((port, index) => {
    const key = { protocol: text(port['protocol']), port: port['port'] as unknown };
    const id = JSON.stringify(key);
    if (pairs.has(id))
      errors.push({
        ...fieldError.duplicate(path.index(index), ''),
        message: `Duplicate value: ${internalText('ServicePort', key)}`,
      });
    pairs.add(id);
  });
  return errors;
}

function validateLoadBalancer(service: KubeObject, spec: Json): FieldError[] {
  const errors: FieldError[] = [];
  const isLoadBalancer = spec['type'] === 'LoadBalancer';
  const only = "may only be used when `type` is 'LoadBalancer'";
  const ranges = list(spec['loadBalancerSourceRanges']) as string[];
  // The path is written with a capital, unlike the field.
  const path = specPath.child('LoadBalancerSourceRanges');
  if (ranges.length > 0) {
    if (!isLoadBalancer) errors.push(fieldError.forbidden(path, only));
    ranges.forEach((range, index) => {
      errors.push(
        ...validateCidrLegacy(path.index(index), range.trim()).map((error) => ({
          ...error,
          message: error.message.replace(JSON.stringify(range.trim()), JSON.stringify(range)),
        })),
      );
    });
  } else {
    const annotation =
      service.metadata.annotations?.['service.beta.kubernetes.io/load-balancer-source-ranges'];
    if (annotation !== undefined && !isLoadBalancer)
      errors.push(
        fieldError.forbidden(
          specPath
            .child('metadata', 'annotations')
            .key('service.beta.kubernetes.io/load-balancer-source-ranges'),
          only,
        ),
      );
  }
  const allocate: unknown = spec['allocateLoadBalancerNodePorts'];
  if (isLoadBalancer && !isSet(allocate))
    errors.push(fieldError.required(specPath.child('allocateLoadBalancerNodePorts')));
  if (!isLoadBalancer && isSet(allocate))
    errors.push(fieldError.forbidden(specPath.child('allocateLoadBalancerNodePorts'), only));
  if (isSet(spec['loadBalancerClass'])) {
    if (!isLoadBalancer) errors.push(fieldError.forbidden(specPath.child('loadBalancerClass'), only));
    else
      errors.push(
        ...problems(
          specPath.child('loadBalancerClass'),
          spec['loadBalancerClass'],
          isQualifiedName(text(spec['loadBalancerClass'])),
        ),
      );
  }
  return errors;
}

function validateTraffic(spec: Json): FieldError[] {
  const errors: FieldError[] = [];
  const policies = ['Cluster', 'Local'];
  const external = text(spec['externalTrafficPolicy']);
  const path = specPath.child('externalTrafficPolicy');
  if (isExternal(spec)) {
    if (external === '') errors.push(fieldError.required(path));
    else errors.push(...oneOf(path, external, policies));
  } else if (external !== '')
    errors.push(fieldError.invalid(path, external, 'may only be set for externally-accessible services'));
  const health: number = spec['healthCheckNodePort'] ?? 0;
  const healthPath = specPath.child('healthCheckNodePort');
  if (spec['type'] === 'LoadBalancer' && external === 'Local') {
    if (health < 0)
      errors.push(fieldError.invalid(healthPath, health, 'must be between 1 and 65535, inclusive'));
  } else if (health !== 0)
    errors.push(
      fieldError.invalid(
        healthPath,
        health,
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ),
    );
  const internal = spec['internalTrafficPolicy'] as string | null | undefined;
  if (!isSet(internal)) {
    if (['ClusterIP', 'NodePort', 'LoadBalancer'].includes(text(spec['type'])))
      errors.push(fieldError.required(specPath.child('internalTrafficPolicy')));
  } else errors.push(...oneOf(specPath.child('internalTrafficPolicy'), internal, policies));
  if (isSet(spec['trafficDistribution']))
    errors.push(
      ...oneOf(specPath.child('trafficDistribution'), spec['trafficDistribution'], [
        'PreferClose',
        'PreferSameZone',
        'PreferSameNode',
      ]),
    );
  return errors;
}

export function validateService(service: KubeObject): FieldError[] {
  const spec = (service['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const ports = list(spec['ports']) as Json[];
  if (ports.length === 0 && !isHeadless(spec) && spec['type'] !== 'ExternalName')
    errors.push(fieldError.required(specPath.child('ports')));
  errors.push(...validateTypeRules(spec));
  const names = new Set<string>();
  ports.forEach((port, index) => {
    errors.push(...validatePort(port, ports.length > 1, names, specPath.child('ports').index(index)));
  });
  if (isSet(spec['selector'])) errors.push(...validateLabels(spec['selector'], specPath.child('selector')));
  errors.push(...validateAffinity(spec));
  errors.push(...validateClusterIps(spec));
  (list(spec['externalIPs']) as string[]).forEach((ip, index) => {
    const at = specPath.child('externalIPs').index(index);
    const found = validateIp(at, ip);
    errors.push(...(found.length > 0 ? found : validateNonSpecialIp(at, ip)));
  });
  if (text(spec['type']) === '') errors.push(fieldError.required(specPath.child('type')));
  else errors.push(...oneOf(specPath.child('type'), spec['type'], types));
  errors.push(...validatePortSets(spec));
  errors.push(...validateLoadBalancer(service, spec));
  errors.push(...validateTraffic(spec));
  return errors;
}

/** What must hold of clusterIP, clusterIPs and the families before addresses are taken (upstream's ValidateServiceClusterIPsRelatedFields). */
export const validateServiceClusterIps = (service: KubeObject): FieldError[] =>
  validateClusterIps((service['spec'] ?? {}) as Json);

/** Cluster IPs and families stay, but the second of a dual-stack service may come and go. */
export function validateServiceChange(service: KubeObject, old: KubeObject): FieldError[] {
  const now = (service['spec'] ?? {}) as Json;
  const before = (old['spec'] ?? {}) as Json;
  const hasIp = (spec: Json): boolean =>
    ['ClusterIP', 'NodePort', 'LoadBalancer'].includes(text(spec['type']));
  if (!hasIp(now) || !hasIp(before)) return [];
  return [...validateIpChange(now, before), ...validateFamilyChange(now, before)];
}

function validateIpChange(now: Json, before: Json): FieldError[] {
  const path = specPath.child('clusterIPs');
  if (isHeadless(now) && isHeadless(before)) return [];
  const oldIps = clusterIpsOf(before);
  const newIps = clusterIpsOf(now);
  if (oldIps.length === newIps.length)
    return oldIps.flatMap((ip, index) =>
      ip === newIps[index] ? [] : [fieldError.invalid(path.index(index), newIps, 'may not change once set')],
    );
  const errors: FieldError[] = [];
  if (newIps.length === 0)
    errors.push(fieldError.invalid(path.index(0), newIps, 'primary clusterIP can not be unset'));
  else if (oldIps.length > 0 && newIps[0] !== oldIps[0])
    errors.push(fieldError.invalid(path.index(0), newIps, 'may not change once set'));
  if (oldIps.length > newIps.length && newIps.length === 1) errors.push(...validateRelease(now, 'clusterIP'));
  return errors;
}

function validateFamilyChange(now: Json, before: Json): FieldError[] {
  const path = specPath.child('ipFamilies').index(0);
  if (isHeadless(now) || isHeadless(before)) return [];
  const oldFamilies = list(before['ipFamilies']) as string[];
  const newFamilies = list(now['ipFamilies']) as string[];
  if (oldFamilies.length === newFamilies.length)
    return oldFamilies.flatMap((family, index) =>
      family === newFamilies[index] ? [] : [fieldError.invalid(path, newFamilies, 'may not change once set')],
    );
  const errors: FieldError[] = [];
  if (oldFamilies.length > newFamilies.length) {
    if (clusterIpsOf(now).length === 0)
      errors.push(fieldError.invalid(path, newFamilies, 'primary ipFamily can not be unset'));
    // Upstream shows the addresses here.
    if (newFamilies.length > 0 && newFamilies[0] !== oldFamilies[0])
      errors.push(fieldError.invalid(path, clusterIpsOf(now), 'may not change once set'));
    if (newFamilies.length === 1) errors.push(...validateRelease(now, 'ipFamily'));
  } else if (oldFamilies.length > 0 && newFamilies[0] !== oldFamilies[0])
    errors.push(fieldError.invalid(path, newFamilies, 'may not change once set'));
  return errors;
}

function validateRelease(now: Json, what: string): FieldError[] {
  const policy: unknown = now['ipFamilyPolicy'];
  if (policy === 'SingleStack') return [];
  const text = `must be set to 'SingleStack' when releasing the secondary ${what}`;
  return [fieldError.invalid(specPath.child('ipFamilyPolicy'), policy ?? null, text)];
}

export const isIp = (value: string): boolean => parseIp(value) !== undefined;
