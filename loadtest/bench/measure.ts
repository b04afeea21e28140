/** What one client run saw. */
export interface Run {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of the servers under test for each operation, in milliseconds. */
  readonly cpuMs: number;
}

export type Side = 'ours' | 'upstream';
export const sides: readonly Side[] = ['ours', 'upstream'];

/** One line of a result: the same work on both sides; a side that was not there has no runs. */
export interface Comparison {
  readonly workload: string;
  readonly clients: number;
  readonly runs: Readonly<Record<Side, readonly Run[]>>;
}

export interface LoopOptions {
  readonly clients: number;
  readonly seconds: number;
  /** CPU seconds that the servers have used so far. */
  cpuSeconds(): number;
  /** One operation; `index` counts up over all clients, `client` is 0 to clients - 1. */
  operation(index: number, client: number): Promise<unknown>;
}

/**
 * Not counted before each run: caches of both sides and Node's compiler warm up. A lone client gives the compiler so little to see that a
 * second is not enough: the same call took about 1.1 ms of CPU in its first two seconds and 0.2 ms after four.
 */
const warmUpShare = 0.2;
const warmUpSecondsMin = 2;

/** `clients` loops that each wait for an answer before the next operation. An operation that fails ends the run with its error. */
export async function closedLoop(options: LoopOptions): Promise<Run> {
  let next = 0;
  const loop = async (seconds: number): Promise<{ latencies: number[]; elapsedSeconds: number }> => {
    const latencies: number[] = [];
    const started = performance.now();
    const stopAt = started + seconds * 1000;
    await Promise.all(
      Array.from({ length: options.clients }, async (_, client) => {
        for (;;) {
          const before = performance.now();
          if (before >= stopAt) return;
          await options.operation(next++, client);
          latencies.push(performance.now() - before);
        }
      }),
    );
    return { latencies, elapsedSeconds: (performance.now() - started) / 1000 };
  };
  await loop(Math.max(options.seconds * warmUpShare, warmUpSecondsMin));
  const cpuBefore = options.cpuSeconds();
  const { latencies, elapsedSeconds } = await loop(options.seconds);
  return summarize(latencies, elapsedSeconds, options.cpuSeconds() - cpuBefore);
}

export function summarize(latencies: number[], elapsedSeconds: number, cpuSeconds: number): Run {
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    perSecond: latencies.length / elapsedSeconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuMs: (cpuSeconds * 1000) / Math.max(1, latencies.length),
  };
}

/** Each side in turn, `rounds` times; every other round begins with the other side, so that drift of the machine hits both alike. */
export async function interleave(
  workload: string,
  clients: number,
  options: { readonly rounds: number; readonly present: readonly Side[] },
  run: (side: Side, round: number) => Promise<Run>,
): Promise<Comparison> {
  const runs: Record<Side, Run[]> = { ours: [], upstream: [] };
  for (let round = 0; round < options.rounds; round++) {
    const order = round % 2 === 0 ? options.present : [...options.present].reverse();
    for (const side of order) runs[side].push(await run(side, round));
  }
  const comparison = { workload, clients, runs };
  process.stderr.write(`${comparisonRow(comparison).join('  ')}\n`);
  return comparison;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

const headings = [
  'workload',
  'clients',
  'ours /s',
  'upstream /s',
  'ours : upstream',
  'ours p50 / p99 ms',
  'upstream p50 / p99 ms',
  'ours CPU ms',
  'upstream CPU ms',
];

function comparisonRow({ workload, clients, runs }: Comparison): string[] {
  const of = (side: Side, pick: (run: Run) => number): number | undefined =>
    runs[side].length === 0 ? undefined : median(runs[side].map(pick));
  const show = (value: number | undefined, digits: number): string => value?.toFixed(digits) ?? '–';
  const rate = (side: Side): string => {
    const value = of(side, (run) => run.perSecond);
    return show(value, value !== undefined && value < 20 ? 1 : 0);
  };
  const spread = (side: Side): string =>
    `${show(
      of(side, (run) => run.p50Ms),
      2,
    )} / ${show(
      of(side, (run) => run.p99Ms),
      2,
    )}`;
  const [ours, upstream] = sides.map((side) => of(side, (run) => run.perSecond));
  return [
    workload,
    String(clients),
    rate('ours'),
    rate('upstream'),
    ours === undefined || upstream === undefined ? '–' : (ours / upstream).toFixed(2),
    spread('ours'),
    spread('upstream'),
    show(
      of('ours', (run) => run.cpuMs),
      3,
    ),
    show(
      of('upstream', (run) => run.cpuMs),
      3,
    ),
  ];
}

export function comparisonTable(comparisons: readonly Comparison[]): string {
  return markdownTable(headings, comparisons.map(comparisonRow));
}

/** The first column is text, the others are numbers. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '--:'))), ...rows.map(line)].join(
    '\n',
  );
}
