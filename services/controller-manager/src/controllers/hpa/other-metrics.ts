import type { LabelSelectorObject } from '@pilothouse/apimachinery';
import { hasReason, labelSelectorOf, quantityMilliValue } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { RestClient } from '@pilothouse/client';
import { goSelector } from '../../common/go-selector.ts';
import { resourceOfKind } from '../../common/scales.ts';
import type { PodUsage } from './resource-metrics.ts';

export interface MetricIdentifier {
  readonly name: string;
  readonly selector?: LabelSelectorObject;
}

interface MetricValue {
  readonly value: string;
  readonly timestamp?: string;
  readonly windowSeconds?: number;
  readonly describedObject?: { name: string };
}

const selectorText = (selector: LabelSelectorObject | undefined): string =>
  selector === undefined ? '' : labelSelectorOf(selector).toString();

/** Sum of an external metric's series, in thousandths. */
export async function externalMilli(
  client: RestClient,
  namespace: string,
  metric: MetricIdentifier,
): Promise<number> {
  try {
    const query = `labelSelector=${encodeURIComponent(selectorText(metric.selector))}`;
    const list = await client.raw<{ items?: MetricValue[] }>(
      'GET',
      `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${encodeURIComponent(metric.name)}?${query}`,
    );
    if ((list.items ?? []).length === 0) throw new Error('no metrics returned from external metrics API');
    return (list.items ?? []).reduce((total, each) => total + quantityMilliValue(each.value), 0);
  } catch (error) {
    const text = hasReason(error, 'NotFound')
      ? `unable to fetch metrics from external metrics API: the server could not find the requested resource (get ${metric.name}.external.metrics.k8s.io)`
      : errorMessage(error);
    throw new Error(
      `unable to get external metric ${namespace}/${metric.name}/${goSelector(metric.selector)}: ${text}`,
    );
  }
}

/** Path of the newest version of the custom metrics API that is registered. */
async function customMetricsPath(client: RestClient): Promise<string> {
  try {
    const group = await client.raw<{ preferredVersion?: { groupVersion: string } }>(
      'GET',
      '/apis/custom.metrics.k8s.io',
    );
    return `/apis/${group.preferredVersion?.groupVersion ?? 'custom.metrics.k8s.io/v1beta2'}`;
  } catch (error) {
    if (hasReason(error, 'NotFound'))
      throw new Error('no custom metrics API (custom.metrics.k8s.io) registered');
    throw error;
  }
}

const customError = (error: unknown): string =>
  `unable to fetch metrics from custom metrics API: ${errorMessage(error)}`;

/** A custom metric of each pod that the selector finds. */
export async function podMetric(
  client: RestClient,
  namespace: string,
  podSelector: string,
  metric: MetricIdentifier,
): Promise<Map<string, PodUsage>> {
  try {
    const query = new URLSearchParams({
      labelSelector: podSelector,
      metricLabelSelector: selectorText(metric.selector),
    });
    const base = await customMetricsPath(client);
    const list = await client.raw<{ items?: MetricValue[] }>(
      'GET',
      `${base}/namespaces/${namespace}/pods/*/${encodeURIComponent(metric.name)}?${query}`,
    );
    if ((list.items ?? []).length === 0) throw new Error('no metrics returned from custom metrics API');
    return new Map(
      (list.items ?? []).map((each) => [
        each.describedObject?.name ?? '',
        {
          milli: quantityMilliValue(each.value),
          atMs: Date.parse(each.timestamp ?? ''),
          windowMs: (each.windowSeconds ?? 60) * 1000,
        },
      ]),
    );
  } catch (error) {
    throw new Error(`unable to get metric ${metric.name}: ${customError(error)}`);
  }
}

/** A custom metric of one object, in thousandths. */
export async function objectMilli(
  client: RestClient,
  namespace: string,
  target: { apiVersion?: string; kind: string; name: string },
  metric: MetricIdentifier,
): Promise<number> {
  try {
    const base = await customMetricsPath(client);
    const ref = await resourceOfKind(client, target.apiVersion ?? 'v1', target.kind);
    if (!ref) throw new Error(`no matches for kind "${target.kind}"`);
    const resource = ref.group === '' ? ref.resource : `${ref.resource}.${ref.group}`;
    const query = `metricLabelSelector=${encodeURIComponent(selectorText(metric.selector))}`;
    const list = await client.raw<{ items?: MetricValue[] }>(
      'GET',
      `${base}/namespaces/${namespace}/${resource}/${target.name}/${encodeURIComponent(metric.name)}?${query}`,
    );
    const first = list.items?.[0];
    if (!first) throw new Error('no metrics returned from custom metrics API');
    return quantityMilliValue(first.value);
  } catch (error) {
    // The order of the words is upstream's.
    throw new Error(
      `unable to get metric ${metric.name}: ${target.kind} on ${namespace} ${target.name}/${customError(error)}`,
    );
  }
}
