import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { validateLabelName } from './meta.ts';
import { byteLength } from './names.ts';
import type { Json } from './values.ts';
import { isSet, text } from './values.ts';

const statuses = ['False', 'True', 'Unknown'];
const reasonBytesMax = 1024;
const messageBytesMax = 32 * 1024;
const reasonPattern = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?';
const reasonRegex = new RegExp(`^${reasonPattern}$`);

/** A list of meta/v1 Conditions. */
export function validateConditions(conditions: readonly Json[], path: FieldPath): FieldError[] {
  const types = conditions.map((condition) => text(condition['type']));
  return conditions.flatMap((condition, index) => [
    ...(types.indexOf(types[index] as string) < index
      ? [fieldError.duplicate(path.index(index).child('type'), types[index])]
      : []),
    ...validateCondition(condition, path.index(index)),
  ]);
}

function validateCondition(condition: Json, path: FieldPath): FieldError[] {
  const errors = validateLabelName(text(condition['type']), path.child('type'));
  const status = text(condition['status']);
  if (!statuses.includes(status))
    errors.push(fieldError.notSupported(path.child('status'), status, statuses));
  const generation: number = condition['observedGeneration'] ?? 0;
  if (generation < 0)
    errors.push(
      fieldError.invalid(
        path.child('observedGeneration'),
        generation,
        'must be greater than or equal to zero',
      ),
    );
  if (!isSet(condition['lastTransitionTime']))
    errors.push(fieldError.required(path.child('lastTransitionTime')));
  const reason = text(condition['reason']);
  if (reason === '') errors.push(fieldError.required(path.child('reason')));
  else {
    if (!reasonRegex.test(reason))
      errors.push(
        fieldError.invalid(
          path.child('reason'),
          reason,
          `a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '${reasonPattern}')`,
        ),
      );
    if (byteLength(reason) > reasonBytesMax)
      errors.push(fieldError.tooLong(path.child('reason'), reasonBytesMax));
  }
  if (byteLength(text(condition['message'])) > messageBytesMax)
    errors.push(fieldError.tooLong(path.child('message'), messageBytesMax));
  return errors;
}
