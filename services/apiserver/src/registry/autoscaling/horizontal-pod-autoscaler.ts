import type { KubeObject } from '@pilothouse/apimachinery';
import { deepClone } from '../../storage/deep.ts';
import type { VersionConversion } from '../generic/converted-store.ts';

/** Where autoscaling/v1 carries what only v2 has fields for. */
const metricsAnnotation = 'autoscaling.alpha.kubernetes.io/metrics';
const currentMetricsAnnotation = 'autoscaling.alpha.kubernetes.io/current-metrics';
const conditionsAnnotation = 'autoscaling.alpha.kubernetes.io/conditions';
const behaviorAnnotation = 'autoscaling.alpha.kubernetes.io/behavior';
const annotations = [metricsAnnotation, currentMetricsAnnotation, conditionsAnnotation, behaviorAnnotation];

type Json = Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- fields of three API versions

function compact(object: Json): Json {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

/** A metric (spec or status) of v2 in the words of v1. `key` is `target` or `current`. */
function metricToV1(metric: Json, key: 'target' | 'current'): Json {
  const prefix = key;
  const name = (suffix: string): string => `${prefix}${suffix}`;
  const { type } = metric;
  const resource = metric['resource'] as Json | undefined;
  const container = metric['containerResource'] as Json | undefined;
  const pods = metric['pods'] as Json | undefined;
  const object = metric['object'] as Json | undefined;
  const external = metric['external'] as Json | undefined;
  const ofResource = (source: Json): Json =>
    compact({
      name: source['name'],
      [name('AverageUtilization')]: source[key]?.averageUtilization,
      [name('AverageValue')]: source[key]?.averageValue,
      container: source['container'],
    });
  return compact({
    type,
    object:
      object &&
      compact({
        target: object['describedObject'],
        metricName: object['metric']?.name,
        [name('Value')]: object[key]?.value ?? '0',
        selector: object['metric']?.selector,
        averageValue: object[key]?.averageValue,
      }),
    pods:
      pods &&
      compact({
        metricName: pods['metric']?.name,
        [name('AverageValue')]: pods[key]?.averageValue,
        selector: pods['metric']?.selector,
      }),
    resource: resource && ofResource(resource),
    containerResource: container && ofResource(container),
    external:
      external &&
      compact({
        metricName: external['metric']?.name,
        metricSelector: external['metric']?.selector,
        [name('Value')]: external[key]?.value,
        [name('AverageValue')]: external[key]?.averageValue,
      }),
  });
}

/** The inverse of {@link metricToV1}. */
function metricFromV1(metric: Json, key: 'target' | 'current'): Json {
  const name = (suffix: string): string => `${key}${suffix}`;
  const amount = (value: unknown, averageValue: unknown, averageUtilization?: unknown): Json =>
    compact({
      type:
        key === 'current'
          ? undefined
          : averageUtilization !== undefined
            ? 'Utilization'
            : averageValue !== undefined
              ? 'AverageValue'
              : 'Value',
      value,
      averageValue,
      averageUtilization,
    });
  const resource = metric['resource'] as Json | undefined;
  const container = metric['containerResource'] as Json | undefined;
  const pods = metric['pods'] as Json | undefined;
  const object = metric['object'] as Json | undefined;
  const external = metric['external'] as Json | undefined;
  const ofResource = (source: Json): Json =>
    compact({
      name: source['name'],
      container: source['container'],
      [key]: amount(undefined, source[name('AverageValue')], source[name('AverageUtilization')]),
    });
  return compact({
    type: metric['type'],
    resource: resource && ofResource(resource),
    containerResource: container && ofResource(container),
    pods: pods && {
      metric: compact({ name: pods['metricName'], selector: pods['selector'] }),
      [key]: amount(undefined, pods[name('AverageValue')]),
    },
    object: object && {
      describedObject: object['target'],
      metric: compact({ name: object['metricName'], selector: object['selector'] }),
      [key]: amount(
        object['averageValue'] === undefined ? object[name('Value')] : undefined,
        object['averageValue'],
      ),
    },
    external: external && {
      metric: compact({ name: external['metricName'], selector: external['metricSelector'] }),
      [key]: amount(external[name('Value')], external[name('AverageValue')]),
    },
  });
}

function isCpuUtilization(metric: Json, key: 'target' | 'current'): boolean {
  return (
    metric['type'] === 'Resource' &&
    metric['resource']?.name === 'cpu' &&
    metric['resource']?.[key]?.averageUtilization !== undefined
  );
}

const scalingRules = (rules: Json | undefined): Json | null =>
  rules === undefined
    ? null
    : {
        StabilizationWindowSeconds: rules['stabilizationWindowSeconds'] ?? null,
        SelectPolicy: rules['selectPolicy'] ?? null,
        Policies:
          (rules['policies'] as Json[] | undefined)?.map((policy) => ({
            Type: policy['type'],
            Value: policy['value'],
            PeriodSeconds: policy['periodSeconds'],
          })) ?? null,
        Tolerance: rules['tolerance'] ?? null,
      };

/** Upstream writes its internal type, whose members begin with capitals. */
function behaviorText(behavior: Json): string {
  return JSON.stringify({
    ScaleUp: scalingRules(behavior['scaleUp'] as Json | undefined),
    ScaleDown: scalingRules(behavior['scaleDown'] as Json | undefined),
  });
}

/** The value with the first letters of members small and without nulls: Go reads members whatever their case. */
function behaviorFrom(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value ?? undefined;
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [name.charAt(0).toLowerCase() + name.slice(1), each]),
    );
  });
}

function parseList(text: string | undefined): Json[] {
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? (value as Json[]) : [];
  } catch {
    return [];
  }
}

function fromV2(given: KubeObject): KubeObject {
  const object = deepClone(given);
  const spec = (object['spec'] ?? {}) as Json;
  const status = (object['status'] ?? {}) as Json;
  const noted: Record<string, string> = {};
  const metrics = (spec['metrics'] ?? []) as Json[];
  const cpu = metrics.find((metric) => isCpuUtilization(metric, 'target'));
  const others = metrics.filter((metric) => metric !== cpu);
  if (others.length > 0)
    noted[metricsAnnotation] = JSON.stringify(others.map((each) => metricToV1(each, 'target')));
  if (spec['behavior'] !== undefined) noted[behaviorAnnotation] = behaviorText(spec['behavior'] as Json);
  const current = (status['currentMetrics'] ?? []) as Json[];
  const currentCpu = current.find((metric) => isCpuUtilization(metric, 'current'));
  if (current.length > 0) {
    noted[currentMetricsAnnotation] = JSON.stringify(current.map((each) => metricToV1(each, 'current')));
  }
  const conditions = (status['conditions'] ?? []) as Json[];
  if (conditions.length > 0) noted[conditionsAnnotation] = JSON.stringify(conditions);
  if (Object.keys(noted).length > 0)
    object.metadata.annotations = { ...object.metadata.annotations, ...noted };
  const { metrics: _, behavior: __, ...restSpec } = spec;
  const { currentMetrics: ___, conditions: ____, ...restStatus } = status;
  return {
    ...object,
    apiVersion: 'autoscaling/v1',
    spec: compact({
      ...restSpec,
      targetCPUUtilizationPercentage: cpu?.['resource'].target.averageUtilization,
    }),
    status: compact({
      ...restStatus,
      currentCPUUtilizationPercentage: currentCpu?.['resource'].current.averageUtilization,
    }),
  };
}

function toV2(given: KubeObject): KubeObject {
  const object = deepClone(given);
  const { targetCPUUtilizationPercentage: target, ...spec } = (object['spec'] ?? {}) as Json;
  const { currentCPUUtilizationPercentage: _, ...status } = (object['status'] ?? {}) as Json;
  const noted = object.metadata.annotations ?? {};
  const metrics = parseList(noted[metricsAnnotation]).map((each) => metricFromV1(each, 'target'));
  if (target !== undefined && target !== null) {
    metrics.unshift({
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: target as number } },
    });
  }
  const current = parseList(noted[currentMetricsAnnotation]).map((each) => metricFromV1(each, 'current'));
  const conditions = parseList(noted[conditionsAnnotation]);
  let behavior: unknown;
  try {
    behavior = noted[behaviorAnnotation] === undefined ? undefined : behaviorFrom(noted[behaviorAnnotation]);
  } catch {
    behavior = undefined;
  }
  if (object.metadata.annotations !== undefined) {
    const kept = Object.entries(object.metadata.annotations).filter(([key]) => !annotations.includes(key));
    if (kept.length > 0) object.metadata.annotations = Object.fromEntries(kept);
    else delete object.metadata.annotations;
  }
  return {
    ...object,
    apiVersion: 'autoscaling/v2',
    spec: compact({ ...spec, metrics: metrics.length > 0 ? metrics : undefined, behavior }),
    status: compact({
      ...status,
      currentMetrics: current.length > 0 ? current : undefined,
      conditions: conditions.length > 0 ? conditions : undefined,
    }),
  };
}

/** autoscaling/v1 of objects kept as autoscaling/v2. */
export const horizontalPodAutoscalerV1: VersionConversion = { toStored: toV2, fromStored: fromV2 };
