import { readdirSync, readFileSync } from 'node:fs';
import { buildLabels, releaseVersion } from './build.ts';
import type { Metrics } from './metrics.ts';

const secondsOfMicro = 1e-6;

/** Adds the metrics that every component has: its process (what /proc tells is left out elsewhere), its build and its version. */
export function registerProcessMetrics(metrics: Metrics, component: string): void {
  const startedSeconds = Math.round(performance.timeOrigin / 1000);
  const total = (name: string, help: string, read: () => number | undefined): void => {
    metrics.total(name, help, () => one(read()));
  };
  const gauge = (name: string, help: string, read: () => number | undefined): void => {
    metrics.gauge(name, help, () => one(read()));
  };
  total('process_cpu_seconds_total', 'Processor time of this process, user and system, in seconds', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) * secondsOfMicro;
  });
  gauge('process_resident_memory_bytes', 'Memory of this process in bytes', () => process.memoryUsage.rss());
  gauge('process_virtual_memory_bytes', 'Address space of this process in bytes', () => {
    const pages = /^(\d+)/.exec(read('/proc/self/statm') ?? '')?.[1];
    return pages === undefined ? undefined : Number(pages) * 4096;
  });
  gauge('process_virtual_memory_max_bytes', 'Largest address space in bytes; -1: no limit', () => {
    const text = read('/proc/self/limits');
    const limit = /^Max address space\s+(\S+)/m.exec(text ?? '')?.[1];
    if (limit === undefined) return undefined;
    return limit === 'unlimited' ? -1 : Number(limit);
  });
  gauge('process_start_time_seconds', 'When this process began, seconds since 1970', () => startedSeconds);
  gauge('process_open_fds', 'Open file descriptors', () => {
    try {
      return readdirSync('/proc/self/fd').length;
    } catch {
      return undefined;
    }
  });
  gauge('process_max_fds', 'Most file descriptors', () => {
    const limit = /^Max open files\s+(\d+)/m.exec(read('/proc/self/limits') ?? '')?.[1];
    return limit === undefined ? undefined : Number(limit);
  });
  for (const [name, help, column] of [
    ['process_network_receive_bytes_total', 'Bytes that came over the network', 0],
    ['process_network_transmit_bytes_total', 'Bytes that left over the network', 8],
  ] as const)
    total(name, help, () => networkBytes(column));
  gauge('nodejs_eventloop_utilization', 'Share of time in which the event loop was busy, 0 to 1', () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, lastUtilization);
    lastUtilization = now;
    return Number.isFinite(utilization) ? utilization : 0;
  });
  gauge('nodejs_heap_size_used_bytes', 'Used heap in bytes', () => process.memoryUsage().heapUsed);
  metrics.gauge('kubernetes_build_info', 'Constant 1, labelled with the version of the build', () => [
    [buildLabels, 1],
  ]);
  const [binary, emulation, minCompatibility] = releaseVersion;
  metrics.gauge('version_info', 'Constant 1, labelled with the versions of the component', () => [
    [{ binary, component, emulation, min_compat: minCompatibility }, 1],
  ]);
}

let lastUtilization = performance.eventLoopUtilization();

function one(value: number | undefined): [Record<string, string>, number][] {
  return value === undefined ? [] : [[{}, value]];
}

/** A column of /proc/self/net/dev, summed over the interfaces. */
function networkBytes(column: number): number | undefined {
  const lines = read('/proc/self/net/dev')?.split('\n').slice(2);
  return lines?.reduce((sum, line) => {
    const columns = line.split(':')[1]?.trim().split(/\s+/);
    return sum + Number(columns?.[column] ?? 0);
  }, 0);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
