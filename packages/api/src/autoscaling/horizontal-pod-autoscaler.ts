import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, shownMember } from '@pilothouse/apimachinery';
import { restore, specPath, statusHooks, statusPath } from '../common.ts';
import { ensure, setDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { nameIsDnsSubdomain } from '../validation/names.ts';
import { quantityText } from '../validation/quantities.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, text } from '../validation/values.ts';
import { nonNegativeFields } from '../validation/workload.ts';
import { validateMetric, validateReference, validateScalingRules } from './metrics.ts';

function validate(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const min = spec['minReplicas'] as number | null | undefined;
  const max: number = spec['maxReplicas'] ?? 0;
  if (isSet(min) && min < 1)
    errors.push(fieldError.invalid(specPath.child('minReplicas'), min, 'must be greater than or equal to 1'));
  if (max === 0)
    errors.push(fieldError.required(specPath.child('maxReplicas'), 'must be set and greater than 0'));
  else if (max < 1)
    errors.push(fieldError.invalid(specPath.child('maxReplicas'), max, 'must be greater than or equal to 1'));
  if (isSet(min) && max < min)
    errors.push(
      fieldError.invalid(
        specPath.child('maxReplicas'),
        max,
        'must be greater than or equal to `minReplicas`',
      ),
    );
  const ref = (spec['scaleTargetRef'] ?? {}) as Json;
  errors.push(...validateReference((spec['scaleTargetRef'] ?? {}) as Json, specPath.child('scaleTargetRef')));
  const version = text(ref['apiVersion']);
  if (!version.includes('/') && !(version === 'v1' && ref['kind'] === 'ReplicationController'))
    errors.push(
      fieldError.invalid(
        specPath.child('scaleTargetRef', 'apiVersion'),
        version,
        'apiVersion must specify API group',
      ),
    );
  list(spec['metrics']).forEach((metric: Json, index) => {
    errors.push(...validateMetric(metric, specPath.child('metrics').index(index)));
  });
  const behavior = spec['behavior'] as Json | null | undefined;
  if (isSet(behavior)) {
    errors.push(...validateScalingRules(behavior['scaleUp'], specPath.child('behavior', 'scaleUp')));
    errors.push(...validateScalingRules(behavior['scaleDown'], specPath.child('behavior', 'scaleDown')));
  }
  return errors;
}

const oneOrNone = (value: unknown): string => (isSet(value) ? quantityText(value) : '<unknown>');

function metricText(metric: Json, current: Json | undefined): string {
  switch (metric['type']) {
    case 'Resource':
    case 'ContainerResource': {
      const field = metric['type'] === 'Resource' ? 'resource' : 'containerResource';
      const target = (metric[field]?.target ?? {}) as Json;
      const now = (current?.[field]?.current ?? {}) as Json;
      const name = text(metric[field]?.name);
      if (isSet(target['averageValue']))
        return `${name}: ${oneOrNone(now['averageValue'])}/${quantityText(target['averageValue'])}`;
      const percent = isSet(now['averageUtilization'])
        ? `${String(now['averageUtilization'])}%`
        : '<unknown>';
      const wanted = isSet(target['averageUtilization'])
        ? `${String(target['averageUtilization'])}%`
        : '<auto>';
      return `${name}: ${percent}/${wanted}`;
    }
    case 'Pods': {
      const now = (current?.['pods']?.current ?? {}) as Json;
      return `${oneOrNone(now['averageValue'])}/${quantityText(metric['pods']?.target?.averageValue)}`;
    }
    case 'Object':
    case 'External': {
      const field = metric['type'] === 'Object' ? 'object' : 'external';
      const target = (metric[field]?.target ?? {}) as Json;
      const now = (current?.[field]?.current ?? {}) as Json;
      if (isSet(target['averageValue']))
        return `${oneOrNone(now['averageValue'])}/${quantityText(target['averageValue'])} (avg)`;
      return `${oneOrNone(now['value'])}/${quantityText(target['value'])}`;
    }
    default:
      return '<unknown type>';
  }
}

const shownMax = 2;

/** A list that v1 keeps as JSON in an annotation, with its own spelling of v2's members. */
function annotated(object: KubeObject, key: string): Json[] {
  try {
    const parsed: unknown = JSON.parse(
      object.metadata.annotations?.[`autoscaling.alpha.kubernetes.io/${key}`] ?? '[]',
    );
    return Array.isArray(parsed) ? (parsed as Json[]) : [];
  } catch {
    return [];
  }
}

const utilization = (field: string, percent: unknown): Json => ({
  type: 'Resource',
  resource: { name: 'cpu', [field]: { type: 'Utilization', averageUtilization: percent } },
});

/** Metrics and what was measured, of either version. */
function metricsOf(object: KubeObject): [specs: Json[], statuses: Json[]] {
  if (object.apiVersion !== 'autoscaling/v1')
    return [list(object['spec']?.metrics), list(object['status']?.currentMetrics)];
  const target: unknown = object['spec']?.targetCPUUtilizationPercentage;
  const current: unknown = object['status']?.currentCPUUtilizationPercentage;
  const ofV1 = (metric: Json): Json => {
    const resource = metric['resource'] as Json | null | undefined;
    if (isSet(resource))
      return {
        ...metric,
        resource: {
          ...resource,
          target: {
            averageUtilization: resource['targetAverageUtilization'] as unknown,
            averageValue: resource['targetAverageValue'] as unknown,
          },
          current: {
            averageUtilization: resource['currentAverageUtilization'] as unknown,
            averageValue: resource['currentAverageValue'] as unknown,
          },
        },
      };
    return metric;
  };
  return [
    [...(isSet(target) ? [utilization('target', target)] : []), ...annotated(object, 'metrics').map(ofV1)],
    // What was measured of the CPU is in the annotation too, when there is one.
    annotated(object, 'current-metrics').length > 0
      ? annotated(object, 'current-metrics').map(ofV1)
      : isSet(current)
        ? [utilization('current', current)]
        : [],
  ];
}

function metricsText(object: KubeObject): string {
  const [specs, statuses] = metricsOf(object);
  if (specs.length === 0) return '<none>';
  const shown = specs.slice(0, shownMax).map((metric, index) => metricText(metric, statuses[index]));
  const more = specs.length - shown.length;
  return more > 0 ? `${shown.join(', ')} + ${more} more...` : shown.join(', ');
}

function defaultBehavior(behavior: Json): void {
  const up = {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Pods', value: 4, periodSeconds: 15 },
      { type: 'Percent', value: 100, periodSeconds: 15 },
    ],
  };
  const down = { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] };
  behavior['scaleUp'] = {
    ...up,
    ...withoutNull(behavior['scaleUp']),
    ...emptyPolicies(behavior['scaleUp']),
  };
  behavior['scaleDown'] = {
    ...down,
    ...withoutNull(behavior['scaleDown']),
    ...emptyPolicies(behavior['scaleDown']),
  };
}

/** Rules that were given an empty list of policies keep it, to be refused. */
function emptyPolicies(rules: unknown): Json {
  const given = shownMember(rules as Json | null | undefined, 'policies');
  return Array.isArray(given) && given.length === 0 ? { policies: given } : {};
}

const withoutNull = (value: unknown): Json =>
  Object.fromEntries(Object.entries((value ?? {}) as Json).filter(([, each]) => isSet(each)));

export const horizontalPodAutoscalerStrategy: ResourceStrategy = {
  group: 'autoscaling',
  version: 'v2',
  kind: 'HorizontalPodAutoscaler',
  resource: 'horizontalpodautoscalers',
  resetFields: ['status'],
  validateName: nameIsDnsSubdomain,
  defaults(object) {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'minReplicas', 1);
    if (list(spec['metrics']).length === 0)
      spec['metrics'] = [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
        },
      ];
    if (isSet(spec['behavior'])) defaultBehavior(spec['behavior'] as Json);
  },
  prepareForCreate(object) {
    // Members that are always written are there from the start, so that an empty write to the status owns none of them.
    object['status'] = { desiredReplicas: 0 };
  },
  validate,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
  },
  validateUpdate: validate,
  subresources: {
    status: statusHooks((object) =>
      nonNegativeFields((object['status'] ?? {}) as Json, statusPath, 'currentReplicas', 'desiredReplicas'),
    ),
  },
  columns: columnsOf['autoscaling/horizontalpodautoscalers'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const ref = (spec['scaleTargetRef'] ?? {}) as Json;
    return [
      nameOf(object),
      `${text(ref['kind'])}/${text(ref['name'])}`,
      metricsText(object),
      isSet(spec['minReplicas']) ? String(spec['minReplicas']) : '<unset>',
      spec['maxReplicas'] ?? 0,
      object['status']?.currentReplicas ?? 0,
      ageOf(object, nowMs),
    ];
  },
};
