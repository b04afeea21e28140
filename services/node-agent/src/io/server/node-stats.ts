import { readFileSync, statfsSync } from 'node:fs';
import os from 'node:os';
import type { Clock } from '@pilothouse/base';
import { secondTime } from '@pilothouse/client';
import type { PodWorker } from '../process/pod-worker.ts';

const clockTicks = 100; // USER_HZ, which Linux fixes for /proc on all common machines
const pageBytes = 4096;

interface Usage {
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
}

/** Time and memory of a process and of what it started, from /proc; zero where there is none (not on Linux, or gone). */
function usageOf(pid: number, children: ReadonlyMap<number, readonly number[]>): Usage {
  let cpuSeconds = 0;
  let memoryBytes = 0;
  const todo = [pid];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const fields = statFields(next);
    if (!fields) continue;
    cpuSeconds += (Number(fields[11]) + Number(fields[12])) / clockTicks;
    memoryBytes += Number(fields[21]) * pageBytes;
    todo.push(...(children.get(next) ?? []));
  }
  return { cpuSeconds, memoryBytes };
}

/** Fields of /proc/PID/stat after the program's name; the first is the state. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function childrenByParent(pids: readonly number[]): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const pid of pids) {
    const parent = Number(statFields(pid)?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  return children;
}

export interface ContainerUsage extends Usage {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
  readonly startedMs: number;
}

export function containerUsage(workers: readonly PodWorker[], listPids: () => number[]): ContainerUsage[] {
  const children = childrenByParent(listPids());
  return workers.flatMap((worker) =>
    worker.records.flatMap((record) =>
      record.state.kind !== 'running'
        ? []
        : [
            {
              namespace: worker.pod.metadata.namespace ?? '',
              pod: worker.pod.metadata.name ?? '',
              uid: worker.uid,
              container: record.name,
              startedMs: record.state.startedMs,
              ...usageOf(record.state.pid, children),
            },
          ],
    ),
  );
}

/** `/metrics/resource`, in the names of kubelet. */
export function resourceMetrics(usage: readonly ContainerUsage[], clock: Clock): string {
  const nowMs = clock.now();
  const lines: string[] = [];
  const family = (name: string, type: string, help: string, rows: string[]): void => {
    lines.push(`# HELP ${name} [STABLE] ${help}`, `# TYPE ${name} ${type}`, ...rows);
  };
  const labels = (each: ContainerUsage): string =>
    `{container="${each.container}",namespace="${each.namespace}",pod="${each.pod}"}`;
  family(
    'container_cpu_usage_seconds_total',
    'counter',
    'CPU time that the container has used, in seconds',
    usage.map((each) => `container_cpu_usage_seconds_total${labels(each)} ${each.cpuSeconds} ${nowMs}`),
  );
  family(
    'container_memory_working_set_bytes',
    'gauge',
    'Memory that the container holds now, in bytes',
    usage.map((each) => `container_memory_working_set_bytes${labels(each)} ${each.memoryBytes} ${nowMs}`),
  );
  family(
    'container_start_time_seconds',
    'gauge',
    'When the container started, in seconds since the Unix epoch',
    usage.map((each) => `container_start_time_seconds${labels(each)} ${each.startedMs / 1000} ${nowMs}`),
  );
  const cpu =
    os.cpus().reduce((sum, each) => sum + each.times.user + each.times.sys + each.times.nice, 0) / 1000;
  family('node_cpu_usage_seconds_total', 'counter', 'CPU time that the node has used, in seconds', [
    `node_cpu_usage_seconds_total ${cpu} ${nowMs}`,
  ]);
  family('node_memory_working_set_bytes', 'gauge', 'Memory that the node holds now, in bytes', [
    `node_memory_working_set_bytes ${os.totalmem() - os.freemem()} ${nowMs}`,
  ]);
  family('resource_scrape_error', 'gauge', '1 when a figure above could not be read', [
    'resource_scrape_error 0',
  ]);
  return `${lines.join('\n')}\n`;
}

/** `/stats/summary`. Figures that processes do not have (network, own file systems) are left out. */
export function statsSummary(
  nodeName: string,
  workers: readonly PodWorker[],
  usage: readonly ContainerUsage[],
  clock: Clock,
): unknown {
  const time = secondTime(clock.now());
  const cpu = os.cpus().reduce((sum, each) => sum + each.times.user + each.times.sys + each.times.nice, 0);
  const disk = statfsSync('/');
  return {
    node: {
      nodeName,
      startTime: secondTime(clock.now() - os.uptime() * 1000),
      cpu: { time, usageCoreNanoSeconds: Math.round(cpu * 1e6) },
      memory: {
        time,
        availableBytes: os.freemem(),
        usageBytes: os.totalmem() - os.freemem(),
        workingSetBytes: os.totalmem() - os.freemem(),
      },
      fs: {
        time,
        availableBytes: disk.bavail * disk.bsize,
        capacityBytes: disk.blocks * disk.bsize,
        usedBytes: (disk.blocks - disk.bfree) * disk.bsize,
      },
    },
    pods: workers.map((worker) => ({
      podRef: {
        name: worker.pod.metadata.name,
        namespace: worker.pod.metadata.namespace,
        uid: worker.uid,
      },
      startTime: secondTime(worker.startedMs),
      containers: usage
        .filter((each) => each.uid === worker.uid)
        .map((each) => ({
          name: each.container,
          startTime: secondTime(each.startedMs),
          cpu: { time, usageCoreNanoSeconds: Math.round(each.cpuSeconds * 1e9) },
          memory: {
            time,
            usageBytes: each.memoryBytes,
            workingSetBytes: each.memoryBytes,
            rssBytes: each.memoryBytes,
          },
        })),
    })),
  };
}
