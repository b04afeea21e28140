import { goQuote } from '../field-error.ts';
import type { StatusCause, StatusError } from '../status-error.ts';
import { statusErrors } from '../status-error.ts';
import type { FieldSet } from './field-set.ts';
import type { ManagerIdentity } from './managers.ts';
import { identityKey } from './managers.ts';

/** What an apply would take away from another manager. */
export interface Conflict {
  readonly identity: ManagerIdentity;
  readonly set: FieldSet;
}

function managerText(identity: ManagerIdentity): string {
  let text = goQuote(identity.manager);
  if (identity.subresource !== '') text += ` with subresource ${goQuote(identity.subresource)}`;
  return identity.operation === 'Update' ? `${text} using ${identity.apiVersion}` : text;
}

/** The 409 with one cause per path, in upstream's words. */
export function conflictError(conflicts: readonly Conflict[]): StatusError {
  const causes: StatusCause[] = [];
  const sorted = [...conflicts].sort((left, right) =>
    identityKey(left.identity) < identityKey(right.identity) ? -1 : 1,
  );
  const lines: string[] = [];
  for (const { identity, set } of sorted) {
    const text = managerText(identity);
    lines.push(`conflicts with ${text}:`);
    for (const field of set.texts()) {
      causes.push({ reason: 'FieldManagerConflict', message: `conflict with ${text}`, field });
      lines.push(`- ${field}`);
    }
  }
  const [only] = causes;
  const message =
    causes.length === 1 && only !== undefined
      ? `Apply failed with 1 conflict: ${only.message}: ${only.field}`
      : `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`;
  return statusErrors.applyConflict(causes, message);
}
