import type { BuiltinResource } from '@pilothouse/api';
import { FlagError } from '@pilothouse/host';

/** `api/alpha`, `api/beta`, `api/ga`: groups of versions by their maturity. */
function maturity(version: string): 'alpha' | 'beta' | 'ga' {
  return version.includes('alpha') ? 'alpha' : version.includes('beta') ? 'beta' : 'ga';
}

/**
 * Decides by --runtime-config whether a resource is served: the most specific entry wins, then `api/<maturity>`, then `api/all`, then what
 * a stock server serves. A feature gate that guards the resource must be on as well. Throws FlagError on a value that is no boolean.
 */
export function servedBy(
  runtimeConfig: Readonly<Record<string, string>>,
  featureEnabled: (gate: string) => boolean,
): (resource: BuiltinResource) => boolean {
  for (const [key, value] of Object.entries(runtimeConfig)) {
    if (value !== '' && value !== 'true' && value !== 'false') {
      throw new FlagError(`Invalid value "${value}" of --runtime-config ${key}: want true or false`);
    }
  }
  const entry = (key: string): boolean | undefined => {
    const value = runtimeConfig[key];
    return value === undefined ? undefined : value !== 'false';
  };
  return (resource) => {
    if (resource.gate !== undefined && !featureEnabled(resource.gate)) return false;
    const version = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
    return (
      entry(`${version}/${resource.plural}`) ??
      entry(version) ??
      entry(`api/${maturity(resource.version)}`) ??
      entry('api/all') ??
      resource.served === 'default'
    );
  };
}
