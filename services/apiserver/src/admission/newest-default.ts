import type { KubeObject } from '@pilothouse/apimachinery';

/** Of the classes that an annotation marks as default: the newest, among equally old ones the first by name. */
export function newestDefault(
  classes: readonly KubeObject[],
  annotations: readonly string[],
): KubeObject | undefined {
  let found: KubeObject | undefined;
  for (const candidate of classes) {
    if (!annotations.some((key) => candidate.metadata.annotations?.[key] === 'true')) continue;
    if (found === undefined) found = candidate;
    else {
      const own = candidate.metadata.creationTimestamp ?? '';
      const best = found.metadata.creationTimestamp ?? '';
      const name = candidate.metadata.name ?? '';
      if (own > best || (own === best && name < (found.metadata.name ?? ''))) found = candidate;
    }
  }
  return found;
}
