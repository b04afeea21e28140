import { statusErrors } from '@pilothouse/apimachinery';

/** Problems of a name as a part of a path (upstream's IsValidPathSegmentName). */
function pathSegmentProblem(name: string): string | undefined {
  if (name === '.' || name === '..') return `may not be '${name}'`;
  for (const bad of ['/', '%']) if (name.includes(bad)) return `may not contain '${bad}'`;
  return undefined;
}

/** The storage key of an object. Throws 400 when namespace or name cannot be part of one. */
export function objectKey(namespaced: boolean, namespace: string, name: string): string {
  if (namespaced && namespace === '') throw statusErrors.badRequest('Namespace parameter required.');
  if (name === '') throw statusErrors.badRequest('Name parameter required.');
  const problem = pathSegmentProblem(name);
  if (problem !== undefined)
    throw statusErrors.badRequest(`Name parameter invalid: ${JSON.stringify(name)}: ${problem}`);
  return namespaced ? `${namespace}/${name}` : name;
}
