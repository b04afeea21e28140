import { StatusError, statusErrors } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { AdmissionAttributes } from './interface.ts';

/** The 403 of a plugin about this request; a StatusError stays what it is. */
export function forbid(attributes: AdmissionAttributes, cause: unknown): StatusError {
  if (cause instanceof StatusError) return cause;
  const text = typeof cause === 'string' ? cause : errorMessage(cause);
  return statusErrors.forbidden(attributes.resource, objectName(attributes), text);
}

/** The name for messages: an object that gets its name later goes by the prefix. */
export function objectName(attributes: AdmissionAttributes): string {
  if (attributes.name !== '') return attributes.name;
  const metadata = attributes.object?.metadata;
  if (metadata?.name !== undefined && metadata.name !== '') return metadata.name;
  if (metadata?.generateName !== undefined && metadata.generateName !== '') return metadata.generateName;
  return 'Unknown';
}

/** `pods`, `deployments.apps`: with the subresource after a slash when there is one. */
export function isResource(
  attributes: AdmissionAttributes,
  group: string,
  resource: string,
  subresource = '',
): boolean {
  return (
    attributes.resource.group === group &&
    attributes.resource.resource === resource &&
    attributes.subresource === subresource
  );
}

/** Joins findings as upstream's aggregate does. */
export function joinFindings(findings: readonly string[]): string {
  const unique = [...new Set(findings)];
  return unique.length === 1 ? (unique[0] as string) : `[${unique.join(', ')}]`;
}
