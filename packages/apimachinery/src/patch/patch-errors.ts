import { StatusError, statusErrors } from '../status-error.ts';

/** The patch is well formed but cannot be applied to this object; the cause is not told, as upstream. */
export function unprocessablePatch(): StatusError {
  return new StatusError(
    422,
    'Invalid',
    'the server rejected our request due to an error in our request',
    {},
  );
}

/** The body is no patch of its type. */
export function undecodablePatch(message: string): StatusError {
  return statusErrors.badRequest(`error decoding patch: ${message}`);
}

/** A failure upstream does not classify: code 500 without a reason. */
export function unclassifiedPatchError(message: string): StatusError {
  return new StatusError(500, '', message);
}
