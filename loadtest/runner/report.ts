import type { Series, Slice } from './samples.ts';

export interface Threshold {
  readonly metric: string;
  readonly limit: string;
  readonly ok: boolean;
  /** What was measured, as k6 tells it by statistic. */
  readonly measured: Readonly<Record<string, number>>;
}

/** `report.json`. Times in milliseconds. */
export interface Report {
  readonly scenario: string;
  readonly server: string;
  readonly serverVersion: string;
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly scale: number;
  readonly command: string;
  readonly verdict: 'pass' | 'fail';
  readonly thresholds: readonly Threshold[];
  readonly requests: { readonly count: number; readonly perSecond: number; readonly failed: number };
  readonly series: readonly Series[];
}

interface Summary {
  readonly metrics: Readonly<
    Record<
      string,
      {
        readonly values: Readonly<Record<string, number>>;
        readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>;
      }
    >
  >;
}

/** Takes k6's summary and the samples together. */
export function makeReport(
  run: Omit<Report, 'verdict' | 'thresholds' | 'requests' | 'series'>,
  summary: Summary,
  series: readonly Series[],
): Report {
  const thresholds: Threshold[] = [];
  for (const [metric, { values, thresholds: limits = {} }] of Object.entries(summary.metrics))
    for (const [limit, { ok }] of Object.entries(limits)) {
      // Without a single sample k6 counts a limit on times as kept.
      const isMeasured = !limit.startsWith('p(') || (values['count'] ?? 0) > 0;
      thresholds.push({ metric, limit, ok: ok && isMeasured, measured: values });
    }
  const { count = 0, rate = 0 } = summary.metrics['http_reqs']?.values ?? {};
  const failed = Math.round((summary.metrics['http_req_failed']?.values['rate'] ?? 0) * count);
  return {
    ...run,
    // A run that asked nothing proves nothing.
    verdict: count > 0 && thresholds.length > 0 && thresholds.every(({ ok }) => ok) ? 'pass' : 'fail',
    thresholds,
    requests: { count, perSecond: Math.round(rate * 10) / 10, failed },
    series,
  };
}

const colours = [
  '#2563eb',
  '#d97706',
  '#059669',
  '#db2777',
  '#7c3aed',
  '#0891b2',
  '#65a30d',
  '#dc2626',
  '#475569',
];

/** One page without scripts or anything from elsewhere. */
export function renderHtml(report: Report): string {
  const { scenario, verdict, thresholds, requests, series } = report;
  const colourOf = (index: number): string => colours[index % colours.length] as string;
  const legend = series
    .map(({ name }, index) => `<li><span style="background:${colourOf(index)}"></span>${escape(name)}</li>`)
    .join('');
  const plots = (
    [
      ['p99 latency, ms', ({ p99 }) => p99],
      ['p50 latency, ms', ({ p50 }) => p50],
      ['per second', ({ count }) => count],
      ['failed per second', ({ failed }) => failed],
    ] as const satisfies readonly (readonly [string, (slice: Slice) => number])[]
  )
    .map(([title, value]) => plot(title, series, value, colourOf))
    .join('\n');
  const limits = thresholds
    .map(
      ({ metric, limit, ok, measured }) =>
        `<tr class="${ok ? 'pass' : 'fail'}"><td>${escape(metric)}</td><td>${escape(limit)}</td><td>${escape(measuredText(limit, measured))}</td><td>${ok ? 'pass' : 'fail'}</td></tr>`,
    )
    .join('');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(scenario)}: ${verdict}</title>
<style>
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1 b.pass,tr.pass td:last-child{color:#059669}h1 b.fail,tr.fail td:last-child{color:#dc2626}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #8884}
ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem}li span{display:inline-block;width:.8em;height:.8em;margin-right:.4em}
svg{width:100%;height:auto}svg text{font-size:11px;fill:currentColor}code{white-space:pre-wrap;overflow-wrap:anywhere}
</style></head><body>
<h1>${escape(scenario)}: <b class="${verdict}">${verdict}</b></h1>
<p>${escape(report.server)} (${escape(report.serverVersion)}), ${escape(report.startedAt)}, ${report.durationSeconds} s, scale ${report.scale}:
${requests.count} requests, ${requests.perSecond} a second, ${requests.failed} failed</p>
<h2>Thresholds</h2><table><tr><th>metric</th><th>limit</th><th>measured</th><th></th></tr>${limits}</table>
<h2>Over time</h2><ul>${legend}</ul>
${plots}
<h2>Again</h2><code>${escape(report.command)}</code>
</body></html>
`;
}

function measuredText(limit: string, measured: Readonly<Record<string, number>>): string {
  const [statistic = ''] = /^[a-z]+(?:\(\d+\))?/.exec(limit) ?? [];
  const value = measured[statistic];
  return value === undefined ? '' : String(Math.round(value * 1000) / 1000);
}

function plot(
  title: string,
  series: readonly Series[],
  value: (slice: Slice) => number,
  colourOf: (index: number) => string,
): string {
  const [width, height, left, bottom] = [900, 220, 60, 22];
  const all = series.flatMap(({ slices }) => slices);
  const seconds = Math.max(1, ...all.map(({ second }) => second));
  const top = niceTop(Math.max(1e-9, ...all.map(value)));
  const x = (second: number): number => left + ((width - left - 10) * second) / seconds;
  const y = (amount: number): number => 10 + (height - bottom - 10) * (1 - amount / top);
  const grid = [0, 0.25, 0.5, 0.75, 1]
    .map((part) => {
      const at = y(top * part).toFixed(1);
      return `<line x1="${left}" x2="${width - 10}" y1="${at}" y2="${at}" stroke="#8884"/><text x="${left - 6}" y="${at}" dy="4" text-anchor="end">${Number((top * part).toPrecision(3))}</text>`;
    })
    .join('');
  const ticks = Array.from({ length: 7 }, (_, index) => Math.round((seconds * index) / 6))
    .map(
      (second) =>
        `<text x="${x(second).toFixed(1)}" y="${height - 6}" text-anchor="middle">${second} s</text>`,
    )
    .join('');
  const lines = series
    .map(({ slices }, index) => {
      const points = slices
        .map((slice) => `${x(slice.second).toFixed(1)},${y(value(slice)).toFixed(1)}`)
        .join(' ');
      return `<polyline points="${points}" fill="none" stroke="${colourOf(index)}" stroke-width="1.5"/>`;
    })
    .join('');
  return `<h3>${escape(title)}</h3><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">${grid}${ticks}${lines}</svg>`;
}

/** The next of 1, 2, 5 times a power of ten. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((top) => top >= value) ?? value;
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
