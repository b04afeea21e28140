import { builtinResources } from '@pilothouse/api';
import type { BuiltinResource } from '@pilothouse/api';

/** Minor release that this server speaks for. */
const currentMinor = 36;

const warnings = new Map<string, string | undefined>();

function minorOf(release: string | undefined): number | undefined {
  const minor = release === undefined ? Number.NaN : Number(release.split('.')[1]);
  return Number.isNaN(minor) ? undefined : minor;
}

/** The warning of a built-in kind that is deprecated in this release, in upstream's words. */
export function deprecationWarning(group: string, version: string, kind: string): string | undefined {
  const key = `${group}/${version}/${kind}`;
  if (!warnings.has(key)) {
    const resource = builtinResources.find(
      (each) => each.group === group && each.version === version && each.kind === kind,
    );
    warnings.set(key, resource ? textOf(resource) : undefined);
  }
  return warnings.get(key);
}

function textOf(resource: BuiltinResource): string | undefined {
  const { lifecycle } = resource;
  const deprecated = minorOf(lifecycle?.deprecated);
  if (!lifecycle || deprecated === undefined || deprecated > currentMinor) return undefined;
  const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
  let text = `${apiVersion} ${resource.kind} is deprecated in v${lifecycle.deprecated}+`;
  if (lifecycle.removed !== undefined) text += `, unavailable in v${lifecycle.removed}+`;
  if (lifecycle.replacement) {
    const [group, version, kind] = lifecycle.replacement;
    text += `; use ${group === '' ? version : `${group}/${version}`} ${kind}`;
  }
  return text;
}
