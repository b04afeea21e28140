import type { FieldError } from '@pilothouse/apimachinery';
import { FieldPath, fieldError, goQuote, statusErrors } from '@pilothouse/apimachinery';
import type { DeleteOptions, ListOptions, Preconditions } from '../registry/rest/rest-storage.ts';
import type { FieldValidation } from '../request/request-context.ts';

/** Options of a write, from the query. */
export interface WriteOptions {
  readonly dryRun: readonly string[];
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  /** Only PATCH with server-side apply. */
  readonly force?: boolean;
}

function invalid(kind: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw statusErrors.invalid({ group: 'meta.k8s.io', kind }, '', errors);
}

/** An int64; beyond 2^53 the last digits are lost. */
const integer = (text: string): number => Number(exactInteger(text));

function exactInteger(text: string): number | bigint {
  if (!/^[+-]?\d+$/.test(text)) {
    throw statusErrors.badRequest(`strconv.ParseInt: parsing ${goQuote(text)}: invalid syntax`);
  }
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  const exact = BigInt(text.replace(/^\+/, ''));
  if (BigInt.asIntN(64, exact) !== exact) {
    throw statusErrors.badRequest(`strconv.ParseInt: parsing ${goQuote(text)}: value out of range`);
  }
  return exact;
}

/** Go's query conversion: empty, `false` and `0` (any case) are false, everything else is true. */
function boolean(text: string): boolean {
  return text !== '' && !['false', '0'].includes(text.toLowerCase());
}

function present(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name);
  return value === null || value === '' ? undefined : value;
}

/** LIST and WATCH parameters. Throws 400 on a bad number and 422 on a combination that means nothing. */
export function listOptionsOf(query: URLSearchParams, isWatch: boolean): ListOptions {
  const options: { -readonly [key in keyof ListOptions]: ListOptions[key] } = {};
  const labelSelector = present(query, 'labelSelector');
  if (labelSelector !== undefined) options.labelSelector = labelSelector;
  const fieldSelector = present(query, 'fieldSelector');
  if (fieldSelector !== undefined) options.fieldSelector = fieldSelector;
  const resourceVersion = present(query, 'resourceVersion');
  if (resourceVersion !== undefined) options.resourceVersion = resourceVersion;
  const match = present(query, 'resourceVersionMatch');
  if (match !== undefined) options.resourceVersionMatch = match as 'Exact';
  const limit = present(query, 'limit');
  if (limit !== undefined) {
    const value = integer(limit);
    if (value > 0) options.limit = value;
  }
  const token = present(query, 'continue');
  if (token !== undefined) options.continue = token;
  const timeout = present(query, 'timeoutSeconds');
  if (timeout !== undefined) options.timeoutSeconds = integer(timeout);
  if (query.has('allowWatchBookmarks'))
    options.allowWatchBookmarks = boolean(query.get('allowWatchBookmarks') ?? '');
  if (query.has('sendInitialEvents'))
    options.sendInitialEvents = boolean(query.get('sendInitialEvents') ?? '');
  invalid('ListOptions', validateListOptions(options, isWatch));
  return options;
}

function validateListOptions(options: ListOptions, isWatch: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const match = options.resourceVersionMatch as string | undefined;
  const path = (name: string): FieldPath => new FieldPath(name);
  if (isWatch) {
    if (options.sendInitialEvents !== undefined && match !== 'NotOlderThan') {
      const text = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
      errors.push(fieldError.forbidden(path('resourceVersionMatch'), text));
    }
    if (match === undefined) return errors;
    if (options.sendInitialEvents === undefined) {
      const text = 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided';
      errors.push(fieldError.forbidden(path('resourceVersionMatch'), text));
    }
    if (match !== 'NotOlderThan') {
      errors.push(fieldError.notSupported(path('resourceVersionMatch'), match, ['NotOlderThan']));
    }
    if (options.continue !== undefined) {
      const text = 'resourceVersionMatch is forbidden when continue is provided';
      errors.push(fieldError.forbidden(path('resourceVersionMatch'), text));
    }
    return errors;
  }
  if (options.sendInitialEvents !== undefined) {
    errors.push(fieldError.forbidden(path('sendInitialEvents'), 'sendInitialEvents is forbidden for list'));
  }
  if (match !== undefined) {
    if (options.resourceVersion === undefined) {
      errors.push(
        fieldError.forbidden(
          path('resourceVersionMatch'),
          'resourceVersionMatch is forbidden unless resourceVersion is provided',
        ),
      );
    }
    if (options.continue !== undefined) {
      errors.push(
        fieldError.forbidden(
          path('resourceVersionMatch'),
          'resourceVersionMatch is forbidden when continue is provided',
        ),
      );
    }
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      errors.push(
        fieldError.notSupported(path('resourceVersionMatch'), match, ['Exact', 'NotOlderThan', '']),
      );
    }
    if (match === 'Exact' && options.resourceVersion === '0') {
      errors.push(
        fieldError.forbidden(
          path('resourceVersionMatch'),
          'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
      );
    }
  }
  return errors;
}

function dryRunErrors(dryRun: readonly string[]): FieldError[] {
  if (dryRun.every((value) => value === 'All')) return [];
  return [fieldError.notSupported(new FieldPath('dryRun'), dryRun, ['All'])];
}

const fieldManagerLengthMax = 128;

function fieldManagerErrors(fieldManager: string): FieldError[] {
  const errors: FieldError[] = [];
  const path = new FieldPath('fieldManager');
  if (Buffer.byteLength(fieldManager) > fieldManagerLengthMax) {
    errors.push(fieldError.tooLong(path, fieldManagerLengthMax));
  }
  const characters = Array.from(fieldManager);
  const bad = characters.findIndex(
    (character) => /\p{C}/u.test(character) || (character !== ' ' && /\p{Z}/u.test(character)),
  );
  if (bad >= 0) {
    const point = (characters[bad] as string).codePointAt(0) as number;
    errors.push(
      fieldError.invalid(
        path,
        fieldManager,
        `invalid character U+${point.toString(16).toUpperCase().padStart(4, '0')} (at position ${bad})`,
      ),
    );
  }
  return errors;
}

/** CreateOptions, UpdateOptions or PatchOptions from the query. Throws 422 with upstream's texts. */
export function writeOptionsOf(
  query: URLSearchParams,
  kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
  isApply = false,
): WriteOptions {
  const dryRun = query.getAll('dryRun');
  const fieldManager = query.get('fieldManager') ?? '';
  const fieldValidation = query.get('fieldValidation') ?? '';
  const force = query.get('force');
  const errors: FieldError[] = [];
  if (kind === 'PatchOptions') {
    if (isApply) {
      if (fieldManager === '') {
        errors.push(fieldError.required(new FieldPath('fieldManager'), 'is required for apply patch'));
      }
    } else if (force !== null) {
      errors.push(fieldError.forbidden(new FieldPath('force'), 'may not be specified for non-apply patch'));
    }
  }
  errors.push(...fieldManagerErrors(fieldManager), ...dryRunErrors(dryRun));
  if (!['', 'Ignore', 'Warn', 'Strict'].includes(fieldValidation)) {
    errors.push(
      fieldError.notSupported(new FieldPath('fieldValidation'), fieldValidation, [
        '',
        'Ignore',
        'Strict',
        'Warn',
      ]),
    );
  }
  invalid(kind, errors);
  return {
    dryRun,
    fieldManager,
    fieldValidation: fieldValidation === '' ? 'Warn' : (fieldValidation as FieldValidation),
    ...(force === null ? {} : { force: boolean(force) }),
  };
}

/** DeleteOptions from the query, for a request without body. */
export function deleteOptionsOfQuery(query: URLSearchParams): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  if (query.has('dryRun')) options['dryRun'] = query.getAll('dryRun');
  const grace = present(query, 'gracePeriodSeconds');
  if (grace !== undefined) options['gracePeriodSeconds'] = exactInteger(grace);
  const orphan = query.get('orphanDependents');
  if (orphan !== null) options['orphanDependents'] = boolean(orphan);
  const policy = query.get('propagationPolicy');
  if (policy !== null) options['propagationPolicy'] = policy;
  const ignore = query.get('ignoreStoreReadErrorWithClusterBreakingPotential');
  if (ignore !== null) options['ignoreStoreReadErrorWithClusterBreakingPotential'] = boolean(ignore);
  return options;
}

/** Checks DeleteOptions that came from a body or the query. Throws 422. */
export function validateDeleteOptions(options: Record<string, unknown>): DeleteOptions {
  const errors: FieldError[] = [];
  const policy = options['propagationPolicy'];
  const orphan = options['orphanDependents'];
  const path = new FieldPath('propagationPolicy');
  if (orphan !== undefined && orphan !== null && policy !== undefined && policy !== null) {
    errors.push(
      fieldError.invalid(path, policy, 'orphanDependents and deletionPropagation cannot be both set'),
    );
  }
  if (
    policy !== undefined &&
    policy !== null &&
    !['Foreground', 'Background', 'Orphan'].includes(String(policy))
  ) {
    errors.push(fieldError.notSupported(path, policy, ['Foreground', 'Background', 'Orphan', 'nil']));
  }
  const dryRun = (options['dryRun'] ?? []) as readonly string[];
  errors.push(...dryRunErrors(dryRun));
  invalid('DeleteOptions', errors);
  const grace = options['gracePeriodSeconds'] as number | bigint | null | undefined;
  const preconditions = options['preconditions'] as Preconditions | null | undefined;
  const ignore = options['ignoreStoreReadErrorWithClusterBreakingPotential'] as boolean | null | undefined;
  return {
    ...(dryRun.length > 0 ? { dryRun } : {}),
    ...(grace === null || grace === undefined ? {} : { gracePeriodSeconds: grace as number }),
    ...(preconditions ? { preconditions } : {}),
    ...(typeof policy === 'string' ? { propagationPolicy: policy as 'Orphan' } : {}),
    ...(typeof orphan === 'boolean' ? { orphanDependents: orphan } : {}),
    ...(typeof ignore === 'boolean' ? { ignoreStoreReadErrorWithClusterBreakingPotential: ignore } : {}),
  };
}
