import type { ConfigShape } from '@pilothouse/serializer';
import { readConfigDocument as readDocument } from '@pilothouse/serializer';

export { joinedFindings } from '@pilothouse/serializer';
export type { ConfigShape as Shape } from '@pilothouse/serializer';

export const apiServerConfigGroup = 'apiserver.config.k8s.io';

/** A document of `apiserver.config.k8s.io`, or of another group; see {@link readDocument}. */
export function readConfigDocument(
  text: string,
  kind: string,
  versions: readonly string[],
  shape: Readonly<Record<string, ConfigShape>>,
  group: string = apiServerConfigGroup,
): Readonly<Record<string, unknown>> {
  return readDocument(text, kind, versions, shape, group);
}
