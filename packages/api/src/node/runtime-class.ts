import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateTolerations } from '../validation/affinity.ts';
import { internalValue } from '../validation/internal-text.ts';
import { validateLabels } from '../validation/meta.ts';
import { isDns1123Label } from '../validation/names.ts';
import { validateOverhead } from '../validation/resources.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, list, problems, semanticEqual, text } from '../validation/values.ts';

function validate(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const handler = text(object['handler']);
  if (handler === '') errors.push(fieldError.required(rootPath.child('handler')));
  else errors.push(...problems(rootPath.child('handler'), handler, isDns1123Label(handler)));
  if (isSet(object['overhead']))
    errors.push(...validateOverhead(object['overhead'].podFixed, rootPath.child('overhead')));
  const scheduling = object['scheduling'] as Json | null | undefined;
  if (isSet(scheduling)) {
    const path = rootPath.child('scheduling');
    errors.push(...validateLabels(scheduling['nodeSelector'], path.child('nodeSelector')));
    const tolerations = list(scheduling['tolerations']) as Json[];
    tolerations.forEach((toleration, index) => {
      errors.push(
        ...validateTolerations([toleration], path.child('tolerations').index(index)).map((each) => ({
          ...each,
          field: each.field.replace('[0]', ''),
        })),
      );
      if (tolerations.slice(0, index).some((other) => semanticEqual(other, toleration)))
        errors.push(
          fieldError.duplicate(
            path.child('tolerations').index(index),
            internalValue('Toleration', toleration),
          ),
        );
    });
  }
  return errors;
}

export const runtimeClassStrategy: ResourceStrategy = {
  group: 'node.k8s.io',
  version: 'v1',
  kind: 'RuntimeClass',
  revalidatesMetadata: true,
  anyFinalizer: true,
  resource: 'runtimeclasses',
  allowUnconditionalUpdate: false,
  allowCreateOnUpdate: true,
  validate,
  validateUpdate: (object, old) => [
    ...validate(object),
    ...immutable(object['handler'], old['handler'], rootPath.child('handler')),
  ],
  columns: columnsOf['node.k8s.io/runtimeclasses'] ?? [],
  cells: (object, nowMs) => [nameOf(object), text(object['handler']), ageOf(object, nowMs)],
};
