import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { defaultPodTemplate } from '../defaults/pod-spec.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import { byteLength, isQualifiedName } from '../validation/names.ts';
import { internalText } from '../validation/internal-text.ts';
import { validatePodTemplateSpec } from '../validation/pod-spec.ts';
import { validateDomainPrefixedPath } from '../validation/domain-prefixed-path.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, oneOf, problems, text } from '../validation/values.ts';
import { nonNegativeFields } from '../validation/workload.ts';

const parallelismMaxIndexed = 100_000;
const backoffLimitMax = 2147483647;

export function defaultJobSpec(spec: Json): void {
  if (!isSet(spec['completions']) && !isSet(spec['parallelism'])) {
    spec['completions'] = 1;
    spec['parallelism'] = 1;
  }
  setDefault(spec, 'parallelism', 1);
  setDefault(spec, 'backoffLimit', isSet(spec['backoffLimitPerIndex']) ? backoffLimitMax : 6);
  setDefault(spec, 'completionMode', 'NonIndexed');
  setDefault(spec, 'suspend', false);
  setDefault(spec, 'manualSelector', false);
  setDefault(
    spec,
    'podReplacementPolicy',
    isSet(spec['podFailurePolicy']) ? 'Failed' : 'TerminatingOrFailed',
  );
  for (const rule of list(spec['podFailurePolicy']?.rules) as Json[])
    for (const pattern of list(rule['onPodConditions']) as Json[]) setZeroDefault(pattern, 'status', 'True');
  defaultPodTemplate(ensure(spec, 'template'));
}

/** A job's spec but for its selector. */
export function validateJobSpec(spec: Json, path: FieldPath): FieldError[] {
  const errors = nonNegativeFields(
    spec,
    path,
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'maxFailedIndexes',
    'backoffLimitPerIndex',
  );
  errors.push(...validateIndexed(spec, path));
  if (isSet(spec['managedBy'])) {
    const name = text(spec['managedBy']);
    errors.push(...problemsOfManager(name, path.child('managedBy')));
  }
  if (isSet(spec['podFailurePolicy']))
    errors.push(...validatePodFailurePolicy(spec, path.child('podFailurePolicy')));
  if (isSet(spec['successPolicy'])) {
    if (spec['completionMode'] !== 'Indexed')
      errors.push({
        type: 'FieldValueInvalid',
        field: path.child('successPolicy').toString(),
        message: `Invalid value: ${internalText('SuccessPolicy', spec['successPolicy'])}: requires indexed completion mode`,
      });
    else errors.push(...validateSuccessPolicy(spec, path.child('successPolicy')));
  }
  errors.push(...validateReplacementPolicy(spec, path.child('podReplacementPolicy')));
  const template = (spec['template'] ?? {}) as Json;
  errors.push(...validatePodTemplateSpec(template, path.child('template')));
  const restart = text(template['spec']?.restartPolicy);
  const restartPath = path.child('template', 'spec', 'restartPolicy');
  if (restart === 'Always' || restart === '')
    errors.push(fieldError.required(restartPath, 'valid values: "OnFailure", "Never"'));
  else if (restart !== 'OnFailure' && restart !== 'Never')
    errors.push(fieldError.notSupported(restartPath, restart, ['OnFailure', 'Never']));
  else if (isSet(spec['podFailurePolicy']) && restart !== 'Never')
    errors.push(
      fieldError.invalid(
        restartPath,
        restart,
        'only "Never" is supported when podFailurePolicy is specified',
      ),
    );
  return errors;
}

function problemsOfManager(name: string, path: FieldPath): FieldError[] {
  const errors = validateDomainPrefixedPath(name, path);
  if (byteLength(name) > 63) errors.push(fieldError.tooLong(path, 63));
  return errors;
}

/** Above this many completions a job that limits retries by index has to limit the lists of indexes in its status. */
const completionsSoftLimit = 100_000;
const manyCompletionsLimit = 10_000;

function validateFailedIndexLimits(spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const completions = spec['completions'] as number | null | undefined;
  const maxFailed = spec['maxFailedIndexes'] as number | null | undefined;
  const above = (name: string, limit: string): void => {
    errors.push(fieldError.invalid(path.child(name), spec[name], `must be less than or equal to ${limit}`));
  };
  if (isSet(completions) && isSet(maxFailed) && maxFailed > completions)
    above('maxFailedIndexes', 'completions');
  if (isSet(maxFailed) && maxFailed > parallelismMaxIndexed)
    above('maxFailedIndexes', String(parallelismMaxIndexed));
  if ((completions ?? 0) <= completionsSoftLimit || !isSet(spec['backoffLimitPerIndex'])) return errors;
  if (!isSet(maxFailed))
    errors.push(
      fieldError.required(
        path.child('maxFailedIndexes'),
        `must be specified when completions is above ${completionsSoftLimit}`,
      ),
    );
  for (const name of ['parallelism', 'maxFailedIndexes'])
    if (((spec[name] as number | null | undefined) ?? 0) > manyCompletionsLimit)
      above(
        name,
        `${manyCompletionsLimit} when completions are above ${completionsSoftLimit} and used with backoff limit per index`,
      );
  return errors;
}

function validateIndexed(spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const completions = spec['completions'] as number | null | undefined;
  const maxFailed = spec['maxFailedIndexes'] as number | null | undefined;
  if (isSet(maxFailed) && !isSet(spec['backoffLimitPerIndex']))
    errors.push(
      fieldError.required(path.child('backoffLimitPerIndex'), 'when maxFailedIndexes is specified'),
    );
  const mode = spec['completionMode'] as string | null | undefined;
  if (isSet(mode)) {
    if (mode !== 'NonIndexed' && mode !== 'Indexed')
      errors.push(fieldError.notSupported(path.child('completionMode'), mode, ['NonIndexed', 'Indexed']));
    if (mode === 'Indexed') {
      if (!isSet(completions))
        errors.push(fieldError.required(path.child('completions'), 'when completion mode is Indexed'));
      if ((spec['parallelism'] ?? 0) > parallelismMaxIndexed)
        errors.push(
          fieldError.invalid(
            path.child('parallelism'),
            spec['parallelism'],
            `must be less than or equal to ${parallelismMaxIndexed} when completion mode is Indexed`,
          ),
        );
      errors.push(...validateFailedIndexLimits(spec, path));
    }
  }
  if (!isSet(mode) || mode === 'NonIndexed')
    for (const name of ['backoffLimitPerIndex', 'maxFailedIndexes'])
      if (isSet(spec[name]))
        errors.push(fieldError.invalid(path.child(name), spec[name], 'requires indexed completion mode'));
  return errors;
}

function validateReplacementPolicy(spec: Json, path: FieldPath): FieldError[] {
  const policy = spec['podReplacementPolicy'] as string | null | undefined;
  if (!isSet(policy)) return [];
  if (isSet(spec['podFailurePolicy']))
    return policy === 'Failed' ? [] : [fieldError.notSupported(path, policy, ['Failed'])];
  return oneOf(path, policy, ['Failed', 'TerminatingOrFailed']);
}

/** Invalid, without telling the value. */
const noValue = (path: FieldPath, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field: path.toString(),
  message: `Invalid value: ${detail}`,
});

const failureActions = ['Count', 'FailIndex', 'FailJob', 'Ignore'];

function validatePodFailurePolicy(spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const rules = list(spec['podFailurePolicy'].rules) as Json[];
  if (rules.length > 20) errors.push(fieldError.tooMany(path.child('rules'), rules.length, 20));
  const names = new Set(
    (list(spec['template']?.spec?.containers) as Json[]).map((each) => text(each['name'])),
  );
  rules.forEach((rule, index) => {
    const at = path.child('rules').index(index);
    const action = text(rule['action']);
    if (action === 'FailIndex' && !isSet(spec['backoffLimitPerIndex']))
      errors.push(
        fieldError.invalid(at.child('action'), action, 'requires the backoffLimitPerIndex to be set'),
      );
    if (action === '')
      errors.push(
        fieldError.required(at.child('action'), `valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`),
      );
    else errors.push(...oneOf(at.child('action'), action, failureActions));
    const codes = rule['onExitCodes'] as Json | null | undefined;
    const conditions = list(rule['onPodConditions']) as Json[];
    if (isSet(codes)) errors.push(...validateExitCodes(codes, names, at.child('onExitCodes')));
    conditions.forEach((condition, conditionIndex) => {
      const where = at.child('onPodConditions').index(conditionIndex);
      errors.push(
        ...problems(where.child('type'), text(condition['type']), isQualifiedName(text(condition['type']))),
      );
      if (text(condition['status']) === '')
        errors.push(fieldError.required(where.child('status'), 'valid values: ["False" "True" "Unknown"]'));
      else errors.push(...oneOf(where.child('status'), condition['status'], ['False', 'True', 'Unknown']));
    });
    if (isSet(codes) && conditions.length > 0)
      errors.push(noValue(at, 'specifying both OnExitCodes and OnPodConditions is not supported'));
    if (!isSet(codes) && conditions.length === 0)
      errors.push(noValue(at, 'specifying one of OnExitCodes and OnPodConditions is required'));
  });
  return errors;
}

function validateExitCodes(codes: Json, names: ReadonlySet<string>, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const operator = text(codes['operator']);
  if (operator === '')
    errors.push(fieldError.required(path.child('operator'), 'valid values: ["In" "NotIn"]'));
  else errors.push(...oneOf(path.child('operator'), operator, ['In', 'NotIn']));
  if (isSet(codes['containerName']) && !names.has(text(codes['containerName'])))
    errors.push(
      fieldError.invalid(
        path.child('containerName'),
        codes['containerName'],
        'must be one of the container or initContainer names in the pod template',
      ),
    );
  const values = list(codes['values']) as number[];
  if (values.length === 0)
    errors.push(
      fieldError.invalid(path.child('values'), codes['values'] ?? null, 'at least one value is required'),
    );
  if (values.length > 255) errors.push(fieldError.tooMany(path.child('values'), values.length, 255));
  const seen = new Set<number>();
  let ordered = true;
  values.forEach((value, index) => {
    if (operator === 'In' && value === 0)
      errors.push(
        fieldError.invalid(path.child('values').index(index), value, 'must not be 0 for the In operator'),
      );
    if (seen.has(value)) errors.push(fieldError.duplicate(path.child('values').index(index), value));
    seen.add(value);
    if (index > 0 && (values[index - 1] as number) > value) ordered = false;
  });
  if (!ordered) errors.push(fieldError.invalid(path.child('values'), values, 'must be ordered'));
  return errors;
}

/** How many indexes `0-2,5` names, or what is wrong with it. */
function countIndexes(indexes: string, completions: number): number | string {
  if (indexes === '') return 0;
  let total = 0;
  let previous = -1;
  for (const part of indexes.split(',')) {
    const bounds = part.split('-');
    if (bounds.length > 2)
      return `the fragment "${part}" violates the requirement that an index interval can have at most two parts separated by '-'`;
    const numbers: number[] = [];
    for (const bound of bounds) {
      if (!/^\d+$/.test(bound)) return `cannot convert string to integer for index: ${JSON.stringify(bound)}`;
      const value = Number(bound);
      if (value >= completions) return `too large index: ${JSON.stringify(bound)}`;
      numbers.push(value);
    }
    const [first = 0, last = first] = numbers;
    if (first <= previous) return `non-increasing order, previous: ${previous}, current: ${first}`;
    if (numbers.length === 2 && last <= first)
      return `non-increasing order, previous: ${first}, current: ${last}`;
    total += last - first + 1;
    previous = last;
  }
  return total;
}

function validateSuccessPolicy(spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const rules = list(spec['successPolicy'].rules) as Json[];
  if (rules.length === 0)
    errors.push(
      fieldError.required(
        path.child('rules'),
        'at least one rules must be specified when the successPolicy is specified',
      ),
    );
  if (rules.length > 20) errors.push(fieldError.tooMany(path.child('rules'), rules.length, 20));
  rules.forEach((rule, index) => {
    const at = path.child('rules').index(index);
    if (!isSet(rule['succeededIndexes']) && !isSet(rule['succeededCount']))
      errors.push(
        fieldError.required(at, 'at least one of succeededCount or succeededIndexes must be specified'),
      );
    const indexes = rule['succeededIndexes'] as string | null | undefined;
    const parsed = isSet(indexes) ? countIndexes(indexes, (spec['completions'] ?? 0) as number) : undefined;
    if (typeof parsed === 'string')
      errors.push(
        fieldError.invalid(
          at.child('succeededIndexes'),
          indexes,
          `error parsing succeededIndexes: ${parsed}`,
        ),
      );
    const count = rule['succeededCount'] as number | null | undefined;
    if (isSet(count)) {
      if (count < 0)
        errors.push(
          fieldError.invalid(at.child('succeededCount'), count, 'must be greater than or equal to 0'),
        );
      if (count > (spec['completions'] ?? 0))
        errors.push(
          fieldError.invalid(
            at.child('succeededCount'),
            count,
            `must be less than or equal to ${String(spec['completions'] ?? 0)} (the number of specified completions)`,
          ),
        );
    }
    if (isSet(count) && parsed !== undefined) {
      const indexCount = typeof parsed === 'number' ? parsed : 0;
      if (count > indexCount)
        errors.push(
          fieldError.invalid(
            at.child('succeededCount'),
            count,
            `must be less than or equal to ${indexCount} (the number of indexes in the specified succeededIndexes field)`,
          ),
        );
    }
  });
  return errors;
}
