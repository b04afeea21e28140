import type { BuiltinResource } from '@pilothouse/api';
import { builtinGroupVersions } from '@pilothouse/api';
import { FlagError } from '@pilothouse/host';
import type { EmulatedRelease } from './emulated-release.ts';
import { binaryMinor, minorOfRelease } from './emulated-release.ts';

/** `api/alpha`, `api/beta`, `api/ga`: groups of versions by their maturity. */
function maturity(version: string): 'alpha' | 'beta' | 'ga' {
  return version.includes('alpha') ? 'alpha' : version.includes('beta') ? 'beta' : 'ga';
}

/**
 * Decides by --runtime-config whether a resource is served: the most specific entry wins, then `api/<maturity>`, then `api/all`, then what
 * a stock server serves. A feature gate that guards the resource must be on as well. Throws FlagError on a value that is no boolean
 * and on groups and versions that do not exist.
 */
export function servedBy(
  runtimeConfig: Readonly<Record<string, string>>,
  featureEnabled: (gate: string) => boolean,
  release?: EmulatedRelease,
): (resource: BuiltinResource) => boolean {
  for (const [key, value] of Object.entries(runtimeConfig)) {
    if (value !== '' && value !== 'true' && value !== 'false') {
      throw new FlagError(`Invalid value "${value}" of --runtime-config ${key}: want true or false`);
    }
  }
  checkKeys(runtimeConfig);
  const introduced = (resource: BuiltinResource): number =>
    minorOfRelease(resource.lifecycle?.introduced ?? '1.0');
  const minor = release?.minor ?? binaryMinor;
  const entry = (key: string): boolean | undefined => {
    const value = runtimeConfig[key];
    return value === undefined ? undefined : value !== 'false';
  };
  return (resource) => {
    if (resource.gate !== undefined && !featureEnabled(resource.gate)) return false;
    const version = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
    if (introduced(resource) > minor) {
      // Upstream refuses what is asked for by name, and leaves out the rest.
      const named = entry(`${version}/${resource.plural}`) ?? entry(version);
      if (named !== true) return false;
      if (release?.servesNamed !== true)
        throw new FlagError(
          `cannot enable resource ${version}, Resource=${resource.plural} in runtime-config because it is introduced at ${resource.lifecycle?.introduced} after the current version 1.${minor}. Consider setting --runtime-config-emulation-forward-compatible=true`,
        );
    }
    return (
      entry(`${version}/${resource.plural}`) ??
      entry(version) ??
      entry(`api/${maturity(resource.version)}`) ??
      entry('api/all') ??
      resource.served === 'default'
    );
  };
}

/** Refuses what would silently change nothing. Throws FlagError. */
function checkKeys(runtimeConfig: Readonly<Record<string, string>>): void {
  const keys = Object.keys(runtimeConfig);
  if (keys.length === 1 && runtimeConfig['api/all'] === 'false') {
    throw new FlagError('Invalid --runtime-config: with api/all=false alone nothing is served');
  }
  const unknown = new Set<string>();
  for (const key of keys) {
    if (/^api\/(all|ga|beta|alpha|legacy)$/.test(key) || key === 'v1') continue;
    const [group = '', version, resource, ...more] = key.split('/');
    if (version === undefined || more.length > 0)
      throw new FlagError(`Invalid key "${key}" of --runtime-config`);
    const versions = builtinGroupVersions.filter((each) => each.group === group);
    if (versions.length === 0) unknown.add(`${group}/${version}`);
    else if (!versions.some((each) => each.version === version)) {
      throw new FlagError(
        `Invalid --runtime-config: group version ${group}/${version} that has not been registered`,
      );
    }
    if (resource !== undefined && resource !== resource.toLowerCase()) {
      throw new FlagError(`Invalid key "${key}" of --runtime-config: resources are lower-case plurals`);
    }
  }
  if (unknown.size > 0) {
    throw new FlagError(`Invalid --runtime-config: unknown api groups ${[...unknown].sort().join(',')}`);
  }
}
