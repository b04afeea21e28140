import type { KubeObject, Quantity } from '@pilothouse/apimachinery';
import { parseQuantity } from '@pilothouse/apimachinery';
import type { Amounts } from './pod-resources.ts';
import { amountsOf } from './pod-resources.ts';
import { missingRequests } from './constraints.ts';
import { scopesMatch } from './scopes.ts';

export interface QuotaRequest {
  readonly resource: { readonly group: string; readonly resource: string };
  readonly object: KubeObject;
  readonly isCreate: boolean;
  /** What the write takes in addition, without zeros. */
  readonly delta: Amounts;
}

/** The quotas as they are after the write, for those that it changes; or why it is refused. */
export type QuotaOutcome =
  | { readonly kind: 'charged'; readonly quotas: readonly KubeObject[] }
  | { readonly kind: 'refused'; readonly reason: string };

/** Usage that an update adds: never negative, as a quota is only given back by recalculation. */
export function usageDelta(next: Amounts, previous: Amounts | undefined): Amounts {
  const delta: Amounts = new Map();
  for (const [name, amount] of next) {
    const before = previous?.get(name);
    const more = before === undefined ? amount : amount.subtract(before);
    if (more.sign > 0) delta.set(name, more);
  }
  return delta;
}

/** Checks a write against quotas (objects of the same namespace) and charges it to them. */
export function evaluateQuotas(quotas: readonly KubeObject[], request: QuotaRequest): QuotaOutcome {
  const charged: KubeObject[] = [];
  for (const quota of quotas) {
    const hard = amountsOf(quota['status']?.hard as Record<string, string> | undefined);
    const concerned = [...hard.keys()].filter(
      (name) => request.delta.has(name) || isContainerConstraint(request, name),
    );
    if (concerned.length === 0 || !scopesMatch(quota, request.resource.resource, request.object)) continue;
    const name = quota.metadata.name ?? '';
    if (request.isCreate && request.resource.resource === 'pods' && request.resource.group === '') {
      const missing = missingRequests(request.object, concerned);
      if (missing !== undefined) return { kind: 'refused', reason: `failed quota: ${name}: ${missing}` };
    }
    const used = amountsOf(quota['status']?.used as Record<string, string> | undefined);
    const counted = concerned.filter((each) => request.delta.has(each));
    const unknown = counted.filter((each) => !used.has(each));
    if (unknown.length > 0) {
      return {
        kind: 'refused',
        reason: `status unknown for quota: ${name}, resources: ${counted.sort().join(',')}`,
      };
    }
    const next = new Map(used);
    const exceeded: string[] = [];
    for (const each of counted) {
      const total = (used.get(each) as Quantity).add(request.delta.get(each) as Quantity);
      next.set(each, total);
      if (total.compare(hard.get(each) as Quantity) > 0) exceeded.push(each);
    }
    if (exceeded.length > 0) {
      exceeded.sort();
      const list = (amounts: Amounts): string =>
        exceeded.map((each) => `${each}=${amounts.get(each)}`).join(',');
      return {
        kind: 'refused',
        reason: `exceeded quota: ${name}, requested: ${list(request.delta)}, used: ${list(used)}, limited: ${list(hard)}`,
      };
    }
    if (counted.length > 0) charged.push(withUsed(quota, next));
  }
  return { kind: 'charged', quotas: charged };
}

function isContainerConstraint({ resource, isCreate }: QuotaRequest, name: string): boolean {
  if (!isCreate || resource.group !== '' || resource.resource !== 'pods') return false;
  return /^((requests|limits)\.)?(cpu|memory)$/.test(name);
}

function withUsed(quota: KubeObject, used: Amounts): KubeObject {
  const text: Record<string, string> = {};
  for (const [name, amount] of used) text[name] = parseQuantity(amount.toString()).toString();
  return { ...quota, status: { ...(quota['status'] as object | undefined), used: text } };
}
