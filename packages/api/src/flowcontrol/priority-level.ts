import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks } from '../common.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import { validateConditionTypes } from './conditions.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import type { Json } from '../validation/values.ts';
import { isSet, nonNegative, text } from '../validation/values.ts';
import { validateMandatoryLevel } from './mandatory.ts';

const queuesMax = 10 * 1000 * 1000;

function validateQueuing(queuing: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const {
    queueLengthLimit = 0,
    queues = 0,
    handSize = 0,
  } = queuing as { queueLengthLimit?: number; queues?: number; handSize?: number };
  if (queueLengthLimit <= 0)
    errors.push(fieldError.invalid(path.child('queueLengthLimit'), queueLengthLimit, 'must be positive'));
  if (queues <= 0) errors.push(fieldError.invalid(path.child('queues'), queues, 'must be positive'));
  else if (queues > queuesMax)
    errors.push(fieldError.invalid(path.child('queues'), queues, `must not be greater than ${queuesMax}`));
  if (handSize <= 0) errors.push(fieldError.invalid(path.child('handSize'), handSize, 'must be positive'));
  else if (handSize > queues)
    errors.push(
      fieldError.invalid(path.child('handSize'), handSize, `should not be greater than queues (${queues})`),
    );
  else {
    const bits = Array.from({ length: handSize }, (_, index) =>
      Math.log2(Math.max(1, queues - index)),
    ).reduce((sum, each) => sum + each, 0);
    if (bits > 60)
      errors.push(
        fieldError.invalid(
          path.child('handSize'),
          handSize,
          `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than 60`,
        ),
      );
  }
  return errors;
}

function validateLimited(limited: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  errors.push(
    ...nonNegative(limited['nominalConcurrencyShares'], path.child('nominalConcurrencyShares')).map(
      (each) => ({
        ...each,
        message: each.message.replace('must be greater than or equal to 0', 'must be a non-negative integer'),
      }),
    ),
  );
  const response = (limited['limitResponse'] ?? {}) as Json;
  const at = path.child('limitResponse');
  const queuing = response['queuing'] as Json | null | undefined;
  switch (response['type']) {
    case 'Reject':
      if (isSet(queuing))
        errors.push(
          fieldError.forbidden(
            at.child('queuing'),
            'must be nil if limited.limitResponse.type is not Limited',
          ),
        );
      break;
    case 'Queue':
      if (!isSet(queuing))
        errors.push(
          fieldError.required(
            at.child('queuing'),
            'must not be empty if limited.limitResponse.type is Limited',
          ),
        );
      else errors.push(...validateQueuing(queuing, at.child('queuing')));
      break;
    default:
      if (text(response['type']) === '') errors.push(fieldError.required(at.child('type')));
      else errors.push(fieldError.notSupported(at.child('type'), response['type'], ['Queue', 'Reject']));
  }
  const lendable = limited['lendablePercent'] as number | null | undefined;
  if (isSet(lendable) && (lendable < 0 || lendable > 100))
    errors.push(
      fieldError.invalid(path.child('lendablePercent'), lendable, 'must be between 0 and 100, inclusive'),
    );
  const borrowing = limited['borrowingLimitPercent'] as number | null | undefined;
  if (isSet(borrowing) && borrowing < 0)
    errors.push(
      fieldError.invalid(
        path.child('borrowingLimitPercent'),
        borrowing,
        'if specified, must be a non-negative integer',
      ),
    );
  return errors;
}

function validate(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const type = text(spec['type']);
  const isExempt = nameOf(object) === 'exempt';
  if ((type === 'Exempt') !== isExempt && type !== '' && (type === 'Exempt' || type === 'Limited'))
    errors.push(
      fieldError.invalid(specPath.child('type'), type, "must be 'Exempt' if and only if `name` is 'exempt'"),
    );
  switch (type) {
    case 'Exempt':
      if (isSet(spec['limited']))
        errors.push(
          fieldError.forbidden(specPath.child('limited'), 'must be nil if the type is not Limited'),
        );
      break;
    case 'Limited':
      if (isSet(spec['exempt']))
        errors.push(fieldError.forbidden(specPath.child('exempt'), 'must be nil if the type is Limited'));
      if (!isSet(spec['limited']))
        errors.push(fieldError.required(specPath.child('limited'), 'must not be empty when type is Limited'));
      else errors.push(...validateLimited(spec['limited'] as Json, specPath.child('limited')));
      break;
    case '':
      errors.push(fieldError.required(specPath.child('type')));
      break;
    default:
      errors.push(fieldError.notSupported(specPath.child('type'), type, ['Exempt', 'Limited']));
  }
  errors.push(...validateMandatoryLevel(nameOf(object), spec));
  return errors;
}

export const priorityLevelStrategy: ResourceStrategy = {
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  kind: 'PriorityLevelConfiguration',
  revalidatesMetadata: true,
  resource: 'prioritylevelconfigurations',
  resetFields: ['status'],
  defaults(object) {
    const spec = ensure(object, 'spec');
    const limited = spec['limited'] as Json | null | undefined;
    if (isSet(limited)) {
      setDefault(limited, 'nominalConcurrencyShares', 30);
      setDefault(limited, 'lendablePercent', 0);
      const queuing = limited['limitResponse']?.queuing as Json | null | undefined;
      if (isSet(queuing)) {
        setZeroDefault(queuing, 'handSize', 8);
        setZeroDefault(queuing, 'queues', 64);
        setZeroDefault(queuing, 'queueLengthLimit', 50);
      }
    }
    if (spec['type'] === 'Exempt' && !isSet(limited)) {
      const exempt = ensure(spec, 'exempt');
      setDefault(exempt, 'nominalConcurrencyShares', 0);
      setDefault(exempt, 'lendablePercent', 0);
    }
  },
  prepareForCreate(object) {
    object['status'] = {};
    startGeneration(object);
  },
  validate,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old);
  },
  validateUpdate: validate,
  subresources: { status: statusHooks(validateConditionTypes, { keepMeta: 'all' }) },
  columns: columnsOf['flowcontrol.apiserver.k8s.io/prioritylevelconfigurations'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const shares: unknown = spec['limited']?.nominalConcurrencyShares;
    const queuing = spec['limited']?.limitResponse?.queuing as Json | null | undefined;
    return [
      nameOf(object),
      text(spec['type']),
      isSet(shares) ? shares : '<none>',
      ...['queues', 'handSize', 'queueLengthLimit'].map((name) =>
        isSet(queuing) ? ((queuing[name] ?? 0) as number) : '<none>',
      ),
      ageOf(object, nowMs),
    ];
  },
};
