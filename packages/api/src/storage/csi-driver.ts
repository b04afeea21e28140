import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, specPath } from '../common.ts';
import { ensure, setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, list, oneOf, semanticEqual, text } from '../validation/values.ts';

const modes = ['Persistent', 'Ephemeral'];

function validate(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  if (!isSet(spec['attachRequired'])) errors.push(fieldError.required(specPath.child('attachedRequired')));
  if (!isSet(spec['podInfoOnMount'])) errors.push(fieldError.required(specPath.child('podInfoOnMount')));
  if (!isSet(spec['storageCapacity'])) errors.push(fieldError.required(specPath.child('storageCapacity')));
  if (!isSet(spec['fsGroupPolicy'])) errors.push(fieldError.required(specPath.child('fsGroupPolicy')));
  else
    errors.push(
      ...oneOf(specPath.child('fsGroupPolicy'), spec['fsGroupPolicy'], [
        'File',
        'None',
        'ReadWriteOnceWithFSType',
      ]),
    );
  const seen = new Set<string>();
  list(spec['tokenRequests']).forEach((request: Json, index) => {
    const at = specPath.child('tokenRequests').index(index);
    const audience = text(request['audience']);
    if (seen.has(audience)) errors.push(fieldError.duplicate(at.child('audience'), audience));
    seen.add(audience);
    const seconds = request['expirationSeconds'] as number | null | undefined;
    if (!isSet(seconds)) return;
    if (seconds < 600)
      errors.push(
        fieldError.invalid(
          at.child('expirationSeconds'),
          seconds,
          'may not specify a duration less than 10 minutes',
        ),
      );
    if (seconds > 2 ** 32)
      errors.push(
        fieldError.invalid(
          at.child('expirationSeconds'),
          seconds,
          'may not specify a duration larger than 2^32 seconds',
        ),
      );
  });
  const period = spec['nodeAllocatableUpdatePeriodSeconds'] as number | null | undefined;
  if (isSet(period) && period < 10)
    errors.push(
      fieldError.invalid(
        specPath.child('nodeAllocatableUpdatePeriodSeconds'),
        period,
        'must be greater than or equal to 10 seconds',
      ),
    );
  (list(spec['volumeLifecycleModes']) as string[]).forEach((mode) => {
    errors.push(...oneOf(specPath.child('volumeLifecycleModes'), mode, modes));
  });
  return errors;
}

function warnings(object: KubeObject): string[] {
  const spec = (object['spec'] ?? {}) as Json;
  return list(spec['tokenRequests']).length > 0 && !isSet(spec['serviceAccountTokenInSecrets'])
    ? [
        'spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes',
      ]
    : [];
}

export const csiDriverStrategy: ResourceStrategy = {
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSIDriver',
  resource: 'csidrivers',
  allowUnconditionalUpdate: false,
  defaults(object) {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'attachRequired', true);
    setDefault(spec, 'podInfoOnMount', false);
    setDefault(spec, 'storageCapacity', false);
    setDefault(spec, 'fsGroupPolicy', 'ReadWriteOnceWithFSType');
    if (list(spec['volumeLifecycleModes']).length === 0) spec['volumeLifecycleModes'] = ['Persistent'];
    setDefault(spec, 'requiresRepublish', false);
    setDefault(spec, 'seLinuxMount', false);
  },
  validate,
  warningsOnCreate: warnings,
  warningsOnUpdate: (object, old) =>
    semanticEqual(object['spec']?.tokenRequests, old['spec']?.tokenRequests) ? [] : warnings(object),
  prepareForUpdate(object, old) {
    bumpGeneration(object, old);
  },
  validateUpdate: (object, old) => [
    ...validate(object),
    ...immutable(
      object['spec']?.attachRequired,
      old['spec']?.attachRequired,
      specPath.child('attachedRequired'),
    ),
    ...immutable(
      object['spec']?.volumeLifecycleModes,
      old['spec']?.volumeLifecycleModes,
      specPath.child('volumeLifecycleModes'),
    ),
  ],
  columns: columnsOf['storage.k8s.io/csidrivers'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const requests = (list(spec['tokenRequests']) as Json[]).map((each) => text(each['audience']));
    const lifecycle = list(spec['volumeLifecycleModes']) as string[];
    return [
      nameOf(object),
      isSet(spec['attachRequired']) ? spec['attachRequired'] : true,
      spec['podInfoOnMount'] === true,
      spec['storageCapacity'] === true,
      requests.length === 0 ? '<unset>' : requests.join(','),
      spec['requiresRepublish'] === true,
      lifecycle.length === 0 ? '<none>' : lifecycle.join(','),
      ageOf(object, nowMs),
    ];
  },
};
