import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { specPath } from '../common.ts';
import type { ResourceStrategy, StrategyContext } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import type { Json } from '../validation/values.ts';
import { isSet, nonNegative, text } from '../validation/values.ts';

const strategies = ['OldestEmulationVersion'];

function validate(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const seconds = spec['leaseDurationSeconds'] as number | null | undefined;
  if (isSet(seconds) && seconds <= 0)
    errors.push(
      fieldError.invalid(specPath.child('leaseDurationSeconds'), seconds, 'must be greater than 0'),
    );
  errors.push(...nonNegative(spec['leaseTransitions'], specPath.child('leaseTransitions')));
  if (
    isSet(spec['strategy']) &&
    text(spec['strategy']) !== '' &&
    !strategies.includes(text(spec['strategy'])) &&
    !text(spec['strategy']).includes('/')
  )
    errors.push(fieldError.notSupported(specPath.child('strategy'), spec['strategy'], strategies));
  if (text(spec['preferredHolder']) !== '' && text(spec['strategy']) === '')
    errors.push(
      fieldError.forbidden(
        specPath.child('preferredHolder'),
        'may only be specified if `strategy` is defined',
      ),
    );
  return errors;
}

/** The two fields of coordinated leader election count only with its gate, or where they are already. */
function dropCoordination(object: KubeObject, old: KubeObject | undefined, context: StrategyContext): void {
  if (context.featureEnabled('CoordinatedLeaderElection')) return;
  for (const field of ['strategy', 'preferredHolder'])
    if (!isSet(old?.['spec']?.[field])) delete object['spec']?.[field];
}

export const leaseStrategy: ResourceStrategy = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  resource: 'leases',
  anyFinalizer: true,
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: false,
  prepareForCreate: (object, context) => {
    dropCoordination(object, undefined, context);
  },
  validate,
  prepareForUpdate: dropCoordination,
  validateUpdate: validate,
  columns: columnsOf['coordination.k8s.io/leases'] ?? [],
  cells: (object, nowMs) => [nameOf(object), text(object['spec']?.holderIdentity), ageOf(object, nowMs)],
};
