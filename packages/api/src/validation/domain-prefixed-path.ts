import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { isDns1123Subdomain } from './names.ts';
import { problems } from './values.ts';

const pathPattern = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const pathRegex = new RegExp(`^${pathPattern}$`);

/** A domain, `/` and a path: `example.com/controller`. */
export function validateDomainPrefixedPath(value: string, at: FieldPath): FieldError[] {
  if (value === '') return [fieldError.required(at)];
  const slash = value.indexOf('/');
  if (slash <= 0 || slash === value.length - 1)
    return [fieldError.invalid(at, value, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  const host = value.slice(0, slash);
  const path = value.slice(slash + 1);
  const errors = problems(at, host, isDns1123Subdomain(host));
  if (!pathRegex.test(path))
    errors.push(fieldError.invalid(at, path, `Invalid path (regex used for validation is '${pathPattern}')`));
  return errors;
}
