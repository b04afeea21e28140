import type { PolicyRule } from '../interface.ts';
import { includesOrAll } from './rule-match.ts';

/**
 * The part of `wanted` that `owned` does not give, in pieces of one verb each. Empty when everything is covered.
 * As upstream, one piece must be covered by one owned rule as a whole.
 */
export function missingRules(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  const missing: PolicyRule[] = [];
  for (const rule of wanted) {
    for (const piece of pieces(rule)) {
      if (!owned.some((candidate) => covers(candidate, piece))) missing.push(piece);
    }
  }
  return missing;
}

function pieces(rule: PolicyRule): PolicyRule[] {
  const result: PolicyRule[] = [];
  for (const group of rule.apiGroups ?? []) {
    for (const resource of rule.resources ?? []) {
      for (const verb of rule.verbs) {
        const piece = { apiGroups: [group], resources: [resource], verbs: [verb] };
        if (rule.resourceNames === undefined || rule.resourceNames.length === 0) result.push(piece);
        else for (const name of rule.resourceNames) result.push({ ...piece, resourceNames: [name] });
      }
    }
  }
  for (const url of rule.nonResourceURLs ?? []) {
    for (const verb of rule.verbs) result.push({ nonResourceURLs: [url], verbs: [verb] });
  }
  return result;
}

function covers(owner: PolicyRule, piece: PolicyRule): boolean {
  if (!includesOrAll(owner.verbs, piece.verbs[0] as string)) return false;
  const url = piece.nonResourceURLs?.[0];
  if (url !== undefined) return urlCovered(owner.nonResourceURLs, url);
  return (
    includesOrAll(owner.apiGroups, piece.apiGroups?.[0] as string) &&
    resourceCovered(owner.resources, piece.resources?.[0] as string) &&
    nameCovered(owner.resourceNames, piece.resourceNames?.[0])
  );
}

function resourceCovered(owned: readonly string[] | undefined, resource: string): boolean {
  if (owned === undefined) return false;
  const slash = resource.indexOf('/');
  return (
    owned.includes('*') ||
    owned.includes(resource) ||
    (slash >= 0 && owned.includes(`*${resource.slice(slash)}`))
  );
}

function nameCovered(owned: readonly string[] | undefined, name: string | undefined): boolean {
  if (owned === undefined || owned.length === 0) return true;
  return name !== undefined && owned.includes(name);
}

function urlCovered(owned: readonly string[] | undefined, url: string): boolean {
  return (owned ?? []).some(
    (each) =>
      each === '*' || each === url || (each.endsWith('*') && url.startsWith(each.replace(/\*+$/, ''))),
  );
}

/** Joins rules that differ in their verb only. */
export function compactRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const result: PolicyRule[] = [];
  const byKey = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const simple =
      rule.apiGroups?.length === 1 &&
      rule.resources?.length === 1 &&
      (rule.resourceNames?.length ?? 0) <= 1 &&
      (rule.nonResourceURLs?.length ?? 0) === 0;
    if (!simple) {
      result.push(rule);
      continue;
    }
    const key = JSON.stringify([rule.apiGroups, rule.resources, rule.resourceNames ?? []]);
    const known = byKey.get(key);
    if (known === undefined) {
      const copy = { ...rule, verbs: [...rule.verbs] };
      byKey.set(key, copy);
      result.push(copy);
    } else for (const verb of rule.verbs) if (!known.verbs.includes(verb)) known.verbs.push(verb);
  }
  return result;
}

/** `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`: how an escalation error lists a rule. */
export function ruleText(rule: PolicyRule): string {
  const parts: string[] = [];
  const add = (name: string, values: readonly string[] | undefined): void => {
    if (values !== undefined && values.length > 0) {
      parts.push(`${name}:[${values.map((value) => JSON.stringify(value)).join(' ')}]`);
    }
  };
  add('APIGroups', rule.apiGroups);
  add('Resources', rule.resources);
  add('NonResourceURLs', rule.nonResourceURLs);
  add('ResourceNames', rule.resourceNames);
  add('Verbs', rule.verbs);
  return `{${parts.join(', ')}}`;
}
