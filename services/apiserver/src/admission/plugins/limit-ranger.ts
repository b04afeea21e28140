import { compareQuantities, parseQuantity } from '@pilothouse/apimachinery';
import type { KubeObject, Quantity } from '@pilothouse/apimachinery';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { LiveLookup } from '../live-lookup.ts';
import type { Amounts } from '@pilothouse/api/quota';
import { amountsOf, podAmounts } from '@pilothouse/api/quota';
import type { Container } from '@pilothouse/api/quota';
import { podSpec } from '@pilothouse/api/quota';
import { forbid, joinFindings } from '../refusal.ts';

type ResourceList = Readonly<Record<string, string>>;

interface LimitRangeItem {
  readonly type: string;
  readonly min?: ResourceList;
  readonly max?: ResourceList;
  readonly default?: ResourceList;
  readonly defaultRequest?: ResourceList;
  readonly maxLimitRequestRatio?: ResourceList;
}

const annotation = 'kubernetes.io/limit-ranger';

/** Default and allowed amounts of resources of pods, containers and claims, by the LimitRanges of the namespace. */
export function limitRanger({ objects, clock }: AdmissionDependencies): AdmissionPlugin {
  const lookup = new LiveLookup(objects, resources.limitRanges, clock);
  return {
    name: 'LimitRanger',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async admit(attributes) {
      if (!concerns(attributes) || attributes.resource.resource !== 'pods') return;
      for (const range of await lookup.list(attributes.namespace)) {
        setDefaults(attributes.object as KubeObject, itemsOf(range));
      }
    },
    async validate(attributes) {
      if (!concerns(attributes)) return;
      const object = attributes.object as KubeObject;
      for (const range of await lookup.list(attributes.namespace)) {
        const findings =
          attributes.resource.resource === 'pods'
            ? podFindings(object, itemsOf(range))
            : claimFindings(object, itemsOf(range));
        if (findings.length > 0) throw forbid(attributes, joinFindings(findings));
      }
    },
  };
}

function concerns(attributes: AdmissionAttributes): boolean {
  if (attributes.object === undefined || attributes.resource.group !== '' || attributes.subresource !== '') {
    return false;
  }
  // The resources of a pod's containers do not change by an update.
  if (attributes.resource.resource === 'pods') return attributes.operation === 'CREATE';
  return attributes.resource.resource === 'persistentvolumeclaims';
}

function itemsOf(range: KubeObject): readonly LimitRangeItem[] {
  return (range['spec']?.limits as LimitRangeItem[] | undefined) ?? [];
}

function setDefaults(pod: KubeObject, items: readonly LimitRangeItem[]): void {
  const limits: Record<string, string> = {};
  const requests: Record<string, string> = {};
  for (const item of items) {
    if (item.type !== 'Container') continue;
    Object.assign(limits, item.default);
    Object.assign(requests, item.defaultRequest);
  }
  const notes: string[] = [];
  const spec = podSpec(pod);
  for (const container of spec.containers) setContainer(container, 'container', limits, requests, notes);
  for (const container of spec.initContainers ?? []) {
    setContainer(container, 'init container', limits, requests, notes);
  }
  if (notes.length === 0) return;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [annotation]: `LimitRanger plugin set: ${notes.join('; ')}`,
  };
}

function setContainer(
  container: Container,
  what: string,
  limits: ResourceList,
  requests: ResourceList,
  notes: string[],
): void {
  const setLimits = missingKeys(container.resources?.limits, limits);
  const setRequests = missingKeys(container.resources?.requests, requests);
  if (setLimits.length + setRequests.length === 0) return;
  container.resources ??= {};
  for (const key of setLimits) (container.resources.limits ??= {})[key] = limits[key] as string;
  for (const key of setRequests) (container.resources.requests ??= {})[key] = requests[key] as string;
  if (setRequests.length > 0) notes.push(`${setRequests.join(', ')} request for ${what} ${container.name}`);
  if (setLimits.length > 0) notes.push(`${setLimits.join(', ')} limit for ${what} ${container.name}`);
}

function missingKeys(present: ResourceList | undefined, wanted: ResourceList): string[] {
  return Object.keys(wanted)
    .filter((key) => present?.[key] === undefined)
    .sort();
}

function podFindings(pod: KubeObject, items: readonly LimitRangeItem[]): string[] {
  const spec = podSpec(pod);
  const findings: string[] = [];
  for (const item of items) {
    if (item.type === 'Container') {
      for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
        const requests = amountsOf(container.resources?.requests);
        findings.push(...rangeFindings(item, requests, amountsOf(container.resources?.limits)));
      }
    } else if (item.type === 'Pod') {
      findings.push(...rangeFindings(item, podAmounts(spec, 'requests'), podAmounts(spec, 'limits')));
    }
  }
  return findings;
}

function rangeFindings(item: LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  const findings: string[] = [];
  for (const [name, bound] of sorted(item.min)) {
    const text = `minimum ${name} usage per ${item.type} is ${bound}`;
    const request = requests.get(name);
    const limit = limits.get(name);
    if (request === undefined) findings.push(`${text}.  No request is specified`);
    else if (request.compare(bound) < 0) findings.push(`${text}, but request is ${request}`);
    else if (limit !== undefined && limit.compare(bound) < 0) findings.push(`${text}, but limit is ${limit}`);
  }
  for (const [name, bound] of sorted(item.max)) {
    const text = `maximum ${name} usage per ${item.type} is ${bound}`;
    const request = requests.get(name);
    const limit = limits.get(name);
    if (limit === undefined) findings.push(`${text}.  No limit is specified`);
    else if (limit.compare(bound) > 0) findings.push(`${text}, but limit is ${limit}`);
    else if (request !== undefined && request.compare(bound) > 0)
      findings.push(`${text}, but request is ${request}`);
  }
  for (const [name, bound] of sorted(item.maxLimitRequestRatio)) {
    const text = `${name} max limit to request ratio per ${item.type} is ${bound}`;
    const request = requests.get(name);
    const limit = limits.get(name);
    if (request === undefined || request.isZero) {
      findings.push(`${text}, but no request is specified or request is 0`);
    } else if (limit === undefined || limit.isZero) {
      findings.push(`${text}, but no limit is specified or limit is 0`);
    } else if (limit.toNumber() / request.toNumber() > bound.toNumber()) {
      findings.push(`${text}, but provided ratio is ${(limit.toNumber() / request.toNumber()).toFixed(6)}`);
    }
  }
  return findings;
}

function claimFindings(claim: KubeObject, items: readonly LimitRangeItem[]): string[] {
  const requests = (claim['spec']?.resources?.requests as ResourceList | undefined) ?? {};
  const findings: string[] = [];
  for (const item of items) {
    if (item.type !== 'PersistentVolumeClaim') continue;
    for (const [name, bound] of sorted(item.min)) {
      const text = `minimum ${name} usage per ${item.type} is ${bound}`;
      const request = requests[name];
      if (request === undefined) findings.push(`${text}.  No request is specified`);
      else if (compareQuantities(request, bound.toString()) < 0)
        findings.push(`${text}, but request is ${request}`);
    }
    for (const [name, bound] of sorted(item.max)) {
      const text = `maximum ${name} usage per ${item.type} is ${bound}`;
      const request = requests[name];
      if (request === undefined) findings.push(`${text}.  No request is specified`);
      else if (compareQuantities(request, bound.toString()) > 0)
        findings.push(`${text}, but request is ${request}`);
    }
  }
  return findings;
}

function sorted(list: ResourceList | undefined): [string, Quantity][] {
  return Object.keys(list ?? {})
    .sort()
    .map((name) => [name, parseQuantity((list as ResourceList)[name] as string)]);
}
