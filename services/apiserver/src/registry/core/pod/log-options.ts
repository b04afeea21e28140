import type { FieldError } from '@pilothouse/apimachinery';
import { fieldError, FieldPath, goQuote, statusErrors } from '@pilothouse/apimachinery';

/** Checks the query of pods/log (PodLogOptions). Throws 400 for what is no number, 422 for values that mean nothing. */
export function validateLogOptions(podName: string, query: URLSearchParams): void {
  const errors: FieldError[] = [];
  const positive = (name: string): void => {
    const value = integer(query, name);
    if (value !== undefined && value < 1) {
      errors.push(fieldError.invalid(new FieldPath(name), value, 'must be greater than 0'));
    }
  };
  const tail = integer(query, 'tailLines');
  if (tail !== undefined && tail < 0) {
    errors.push(fieldError.invalid(new FieldPath('tailLines'), tail, 'must be greater than or equal to 0'));
  }
  positive('limitBytes');
  if ((query.get('sinceSeconds') ?? '') !== '' && (query.get('sinceTime') ?? '') !== '') {
    const text = 'at most one of `sinceTime` or `sinceSeconds` may be specified';
    errors.push(fieldError.forbidden(new FieldPath('[]'), text));
  } else positive('sinceSeconds');
  const stream = query.get('stream') ?? '';
  if (stream !== '' && !['All', 'Stdout', 'Stderr'].includes(stream)) {
    errors.push(fieldError.notSupported(new FieldPath('stream'), stream, ['All', 'Stderr', 'Stdout']));
  }
  if (errors.length > 0) throw statusErrors.invalid({ group: '', kind: 'PodLogOptions' }, podName, errors);
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) {
    throw statusErrors.badRequest(`strconv.ParseInt: parsing ${goQuote(text)}: invalid syntax`);
  }
  return Number(text);
}
