import type { KubeObject } from '@pilothouse/apimachinery';
import { parseTime, translateTimestampSince } from '@pilothouse/apimachinery';
import { ageOf, nameOf, orNone } from '../../table/cells.ts';
import type { Json } from '../../validation/values.ts';
import { isSet, list, text } from '../../validation/values.ts';

const millisecondsOf = (time: unknown): number => (typeof time === 'string' ? (parseTime(time) ?? 0) : 0);

interface Counts {
  restarts: number;
  lastRestart: number;
}

function countRestarts(counts: Counts, status: Json): void {
  counts.restarts += (status['restartCount'] as number | undefined) ?? 0;
  const finished = millisecondsOf(status['lastState']?.terminated?.finishedAt);
  if (finished > counts.lastRestart) counts.lastRestart = finished;
}

const isTrue = (conditions: unknown, type: string): boolean =>
  (list(conditions) as Json[]).some(
    (condition) => condition['type'] === type && condition['status'] === 'True',
  );

const exitText = (state: Json): string =>
  (state['signal'] ?? 0) !== 0
    ? `Signal:${String(state['signal'])}`
    : `ExitCode:${String(state['exitCode'] ?? 0)}`;

/** What STATUS shows, and how many containers are ready, as kubectl users know it. */
export function podSummary(pod: KubeObject): {
  reason: string;
  ready: number;
  total: number;
  counts: Counts;
} {
  const spec = (pod['spec'] ?? {}) as Json;
  const status = (pod['status'] ?? {}) as Json;
  const initContainers = new Map(
    (list(spec['initContainers']) as Json[]).map((each) => [text(each['name']), each]),
  );
  const isSidecar = (name: unknown): boolean =>
    initContainers.get(text(name))?.['restartPolicy'] === 'Always';
  let total = list(spec['containers']).length;
  for (const container of initContainers.values()) if (container['restartPolicy'] === 'Always') total += 1;
  let ready = 0;
  const phase = text(status['phase']);
  let reason = text(status['reason']) === '' ? phase : text(status['reason']);
  for (const condition of list(status['conditions']) as Json[])
    if (condition['type'] === 'PodScheduled' && condition['reason'] === 'SchedulingGated')
      reason = 'SchedulingGated';
  let counts: Counts = { restarts: 0, lastRestart: 0 };
  const sidecars: Counts = { restarts: 0, lastRestart: 0 };
  let initializing = false;
  for (const [index, container] of (list(status['initContainerStatuses']) as Json[]).entries()) {
    countRestarts(counts, container);
    if (isSidecar(container['name'])) countRestarts(sidecars, container);
    const terminated = container['state']?.terminated as Json | null | undefined;
    const waiting = container['state']?.waiting as Json | null | undefined;
    if (isSet(terminated) && (terminated['exitCode'] ?? 0) === 0) continue;
    if (isSidecar(container['name']) && container['started'] === true) {
      if (container['ready'] === true) ready += 1;
      continue;
    }
    if (isSet(terminated))
      reason = `Init:${text(terminated['reason']) === '' ? exitText(terminated) : text(terminated['reason'])}`;
    else if (isSet(waiting) && text(waiting['reason']) !== '' && waiting['reason'] !== 'PodInitializing')
      reason = `Init:${text(waiting['reason'])}`;
    else reason = `Init:${index}/${list(spec['initContainers']).length}`;
    initializing = true;
    break;
  }
  if (!initializing || isTrue(status['conditions'], 'Initialized')) {
    counts = { ...sidecars };
    let hasRunning = false;
    for (const container of [...(list(status['containerStatuses']) as Json[])].reverse()) {
      countRestarts(counts, container);
      const waiting = container['state']?.waiting as Json | null | undefined;
      const terminated = container['state']?.terminated as Json | null | undefined;
      if (isSet(waiting) && text(waiting['reason']) !== '') reason = text(waiting['reason']);
      else if (isSet(terminated))
        reason = text(terminated['reason']) === '' ? exitText(terminated) : text(terminated['reason']);
      else if (container['ready'] === true && isSet(container['state']?.running)) {
        hasRunning = true;
        ready += 1;
      }
    }
    if (reason === 'Completed' && hasRunning)
      reason = isTrue(status['conditions'], 'Ready') ? 'Running' : 'NotReady';
  }
  if (isSet(pod.metadata.deletionTimestamp)) {
    if (status['reason'] === 'NodeLost') reason = 'Unknown';
    else if (phase !== 'Succeeded' && phase !== 'Failed') reason = 'Terminating';
  }
  return { reason, ready, total, counts };
}

export function podCells(pod: KubeObject, nowMs: number): unknown[] {
  const { reason, ready, total, counts } = podSummary(pod);
  const spec = (pod['spec'] ?? {}) as Json;
  const status = (pod['status'] ?? {}) as Json;
  const restarts =
    counts.restarts !== 0 && counts.lastRestart !== 0
      ? `${counts.restarts} (${translateTimestampSince(new Date(counts.lastRestart).toISOString(), nowMs)} ago)`
      : String(counts.restarts);
  const gates = list(spec['readinessGates']) as Json[];
  const gatesTrue = gates.filter((gate) => isTrue(status['conditions'], text(gate['conditionType']))).length;
  return [
    nameOf(pod),
    `${ready}/${total}`,
    reason,
    restarts,
    ageOf(pod, nowMs),
    orNone(text(list(status['podIPs'])[0]?.ip)),
    orNone(text(spec['nodeName'])),
    orNone(text(status['nominatedNodeName'])),
    gates.length === 0 ? '<none>' : `${gatesTrue}/${gates.length}`,
  ];
}

export function podRowConditions(
  pod: KubeObject,
): { type: string; status: string; reason: string; message: string }[] | undefined {
  switch (pod['status']?.phase) {
    case 'Succeeded':
      return [
        {
          type: 'Completed',
          status: 'True',
          reason: 'Succeeded',
          message: 'The pod has completed successfully.',
        },
      ];
    case 'Failed':
      return [{ type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' }];
    default:
      return undefined;
  }
}
