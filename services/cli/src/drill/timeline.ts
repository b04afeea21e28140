import { widestGap } from './check.ts';
import type { DrillResult, Operation } from './model.ts';

const width = 960;
const left = 56;
const right = 10;
/** Two bands over one axis: how long answers took, and how many there were. */
const latency = { top: 30, base: 132 } as const;
const rate = { top: 146, base: 206 } as const;
const height = 230;
const binsMax = 160;

export const escapeHtml = (text: string): string =>
  text.replaceAll(
    /[&<>"]/g,
    (each) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[each] as string,
  );

interface Bin {
  ok: number;
  failed: number;
  slowestMs: number;
}

/** A round time, so that the whole takes at most `most` of them. Milliseconds. */
function roundStep(durationMs: number, most: number): number {
  for (let scale = 100; ; scale *= 10)
    for (const factor of [1, 2, 5]) if (durationMs / (scale * factor) <= most) return scale * factor;
}

function binned(
  operations: readonly Operation[],
  kind: Operation['kind'],
  durationMs: number,
  binMs: number,
): Bin[] {
  const result = Array.from({ length: Math.ceil(durationMs / binMs) }, (): Bin => ({
    ok: 0,
    failed: 0,
    slowestMs: 0,
  }));
  for (const each of operations) {
    const bin = result[Math.floor(each.endMs / binMs)];
    if (each.kind !== kind || bin === undefined) continue;
    if (each.ok) {
      bin.ok++;
      bin.slowestMs = Math.max(bin.slowestMs, each.endMs - each.startMs);
    } else bin.failed++;
  }
  return result;
}

const seconds = (ms: number): string => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);

/** Writes or reads over time: the slowest answer above on a logarithmic scale, answers and failures below, faults and the longest gap marked. */
export function timeline(result: DrillResult, kind: Operation['kind']): string {
  const { durationMs, marks, operations } = result;
  const binMs = roundStep(durationMs, binsMax);
  const found = binned(operations, kind, durationMs, binMs);
  const most = Math.max(1, ...found.map((each) => each.ok + each.failed));
  const x = (ms: number): number => left + ((width - left - right) * ms) / Math.max(1, durationMs);
  const level = (ms: number): number =>
    latency.base - (Math.min(4, Math.log10(Math.max(1, ms))) / 4) * (latency.base - latency.top);
  const shapes: string[] = [];
  const box = (name: string, from: number, to: number, top: number, base: number, title = ''): void => {
    const wide = Math.max(1, x(to) - x(from));
    shapes.push(
      `<rect class="${name}" x="${x(from).toFixed(1)}" y="${top.toFixed(1)}" width="${wide.toFixed(1)}" height="${(base - top).toFixed(1)}">${title === '' ? '' : `<title>${escapeHtml(title)}</title>`}</rect>`,
    );
  };
  const text = (at: number, y: number, said: string, anchor = 'middle', name = ''): void =>
    void shapes.push(
      `<text x="${at.toFixed(1)}" y="${y}" text-anchor="${anchor}"${name === '' ? '' : ` class="${name}"`}>${escapeHtml(said)}</text>`,
    );
  for (const ms of [1, 10, 100, 1000, 10_000]) {
    shapes.push(
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${level(ms)}" y2="${level(ms)}"/>`,
    );
    text(left - 6, level(ms) + 3, seconds(ms), 'end');
  }
  for (const mark of marks) box('fault', mark.atMs, mark.untilMs ?? mark.atMs, 18, rate.base, mark.text);
  const gap = widestGap(operations, kind, marks[0]?.atMs ?? 0, durationMs);
  if (gap.toMs > gap.fromMs) {
    box(
      'gap',
      gap.fromMs,
      gap.toMs,
      rate.top,
      rate.base,
      `no answered ${kind} for ${Math.round(gap.toMs - gap.fromMs)} ms`,
    );
    const label = `${Math.round(gap.toMs - gap.fromMs)} ms`;
    const isLate = gap.fromMs > durationMs * 0.85;
    text(
      isLate ? x(gap.fromMs) - 4 : x(gap.toMs) + 4,
      rate.top - 3,
      `gap ${label}`,
      isLate ? 'end' : 'start',
      'gap',
    );
  }
  const scale = (rate.base - rate.top) / most;
  const points: string[] = [];
  for (const [index, bin] of found.entries()) {
    const from = index * binMs;
    const to = from + binMs * 0.9;
    if (bin.ok > 0) {
      box('ok', from, to, rate.base - bin.ok * scale, rate.base);
      points.push(`${x(from + binMs / 2).toFixed(1)},${level(bin.slowestMs).toFixed(1)}`);
    }
    if (bin.failed > 0)
      box(
        'failed',
        from,
        to,
        rate.base - (bin.ok + bin.failed) * scale,
        Math.max(rate.base - bin.ok * scale, rate.base - (bin.ok + bin.failed) * scale + 2),
        `${bin.failed} failed`,
      );
  }
  // Many marks stand close together: only numbers, which the list below explains.
  let labelled = -Infinity;
  for (const [index, mark] of marks.entries()) {
    const at = x(mark.atMs);
    if (at - labelled < 14) continue;
    labelled = at;
    text(at, 13, String(index + 1), 'middle', 'number');
  }
  const step = roundStep(durationMs, 14);
  for (let at = 0; at <= durationMs; at += step)
    text(x(at), height - 8, seconds(at).replace(/^0 ms$/, '0 s'));
  text(left - 6, rate.top + 8, String(most), 'end');
  const name = kind === 'write' ? 'Writes' : 'Reads';
  return `<figure><figcaption><b>${name}</b>: the slowest answer (line) and answers per ${seconds(binMs)} (bars, <span class="failed">failed ones</span> on top)</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${name} over time, longest gap ${Math.round(gap.toMs - gap.fromMs)} ms">${shapes.join('')}<polyline points="${points.join(' ')}"/><line x1="${left}" x2="${width - right}" y1="${rate.base}" y2="${rate.base}"/></svg></figure>`;
}
