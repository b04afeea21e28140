import type { AuthorizationAttributes, PolicyRule } from '../interface.ts';

/** Whether a rule allows a request. */
export function ruleAllows(rule: PolicyRule, attributes: AuthorizationAttributes): boolean {
  if (!includesOrAll(rule.verbs, attributes.verb)) return false;
  if (!attributes.isResourceRequest) return urlMatches(rule.nonResourceURLs, attributes.path);
  return (
    includesOrAll(rule.apiGroups, attributes.apiGroup) &&
    resourceMatches(rule.resources, attributes.resource, attributes.subresource) &&
    nameMatches(rule.resourceNames, attributes.name)
  );
}

export function includesOrAll(values: readonly string[] | undefined, wanted: string): boolean {
  return values !== undefined && (values.includes(wanted) || values.includes('*'));
}

// `resources` may hold `*`, `pods`, `pods/log`, and `*/scale`: that subresource of all resources.
export function resourceMatches(
  resources: readonly string[] | undefined,
  resource: string,
  subresource: string,
): boolean {
  if (resources === undefined) return false;
  const combined = subresource === '' ? resource : `${resource}/${subresource}`;
  for (const each of resources) {
    if (each === '*' || each === combined) return true;
    if (subresource !== '' && each === `*/${subresource}`) return true;
  }
  return false;
}

/** A trailing `*` matches any rest. */
export function urlMatches(urls: readonly string[] | undefined, path: string): boolean {
  if (urls === undefined) return false;
  return urls.some(
    (url) => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.replace(/\*+$/, ''))),
  );
}

function nameMatches(names: readonly string[] | undefined, name: string): boolean {
  return names === undefined || names.length === 0 || names.includes(name);
}
