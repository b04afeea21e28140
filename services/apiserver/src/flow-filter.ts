import type { Clock } from '@pilothouse/base';
import type { PathTable } from './endpoints/path-table.ts';
import { respondText } from './endpoints/respond.ts';
import type { Filter } from './filters/filter.ts';
import { flowControlFilter } from './filters/flow-control.ts';
import { maxInFlightFilter } from './filters/max-in-flight.ts';
import { dumpPriorityLevels, dumpQueues, dumpRequests } from './flow-control/dump.ts';
import { FlowController } from './flow-control/flow-controller.ts';
import {
  FlowMetrics,
  registerLevelMetrics,
  registerLevelUse,
  registerVirtualTime,
} from './metrics/flow-metrics.ts';
import type { ServerMetrics } from './metrics/server-metrics.ts';
import { flowSchemas, mandatoryFlowControl, priorityLevels } from './registry/bootstrap/flow-control.ts';
import type { Registry } from './registry/rest/rest-storage.ts';

const group = 'flowcontrol.apiserver.k8s.io';
const debugPath = '/debug/api_priority_and_fairness';

/** The filter that bounds the requests of a server, with its metrics and, for priority and fairness, its debugging paths. */
export function createFlowFilter(
  options: {
    readonly registry: Registry;
    readonly clock: Clock;
    readonly priorityAndFairness?: boolean;
    readonly maxReadOnlyInFlight?: number;
    readonly maxMutatingInFlight?: number;
    readonly requestTimeoutMs?: number;
  },
  { metrics, paths }: { readonly metrics: ServerMetrics; readonly paths: PathTable },
): Filter {
  const maxReadOnly = options.maxReadOnlyInFlight ?? 400;
  const maxMutating = options.maxMutatingInFlight ?? 200;
  const inFlight = {
    readOnly: metrics.inFlight.cell('readOnly'),
    mutating: metrics.inFlight.cell('mutating'),
  };
  const serverSeats = maxReadOnly + maxMutating;
  if (options.priorityAndFairness === false || serverSeats === 0)
    return maxInFlightFilter({ maxReadOnly, maxMutating, inFlight });
  const { clock } = options;
  const { client } = options.registry;
  const isMandatory = ({ metadata }: { metadata: { name?: string } }): boolean =>
    mandatoryFlowControl.has(metadata.name ?? '');
  const controller = new FlowController(
    {
      serverSeats,
      flowSchemas: () => client.watchCache(group, 'flowschemas')?.list() ?? [],
      priorityLevels: () => client.watchCache(group, 'prioritylevelconfigurations')?.list() ?? [],
      mandatoryLevels: priorityLevels.filter(isMandatory),
      mandatorySchemas: flowSchemas.filter(isMandatory),
    },
    clock.monotonic(),
  );
  registerLevelMetrics(metrics.registry, controller);
  registerLevelUse(metrics.registry, controller, () => clock.monotonic());
  registerVirtualTime(metrics.registry, controller);
  const dump = (name: string, text: (withDetails: boolean) => string): void => {
    paths.handle(
      `${debugPath}/${name}`,
      (exchange) => {
        controller.maintain(clock.monotonic());
        respondText(exchange, 200, text((exchange.query.get('includeRequestDetails') ?? '') !== ''));
      },
      false,
    );
  };
  dump('dump_priority_levels', () => dumpPriorityLevels(controller));
  dump('dump_queues', () => dumpQueues(controller));
  dump('dump_requests', (withDetails) => dumpRequests(controller, withDetails));
  return flowControlFilter({
    controller,
    clock,
    metrics: new FlowMetrics(metrics.registry),
    inFlight,
    requestTimeoutMs: options.requestTimeoutMs ?? 60_000,
    sizeOf: (apiGroup, resource) =>
      (
        options.registry.cached?.get(`${apiGroup}/${resource}`)?.view ?? client.watchCache(apiGroup, resource)
      )?.stats?.(),
  });
}
