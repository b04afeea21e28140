import type { DrillResult, Operation } from './model.ts';

const width = 900;
const height = 170;
const left = 52;
const binMs = 100;

const escape = (text: string): string =>
  text.replaceAll(
    /[&<>"]/g,
    (each) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[each] as string,
  );

interface Bin {
  ok: number;
  failed: number;
  slowestMs: number;
}

function bins(operations: readonly Operation[], kind: Operation['kind'], durationMs: number): Bin[] {
  const result = Array.from({ length: Math.ceil(durationMs / binMs) + 1 }, (): Bin => ({
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

/** One time line: answers per tenth of a second as bars (failures below), the slowest of each as a line on a logarithmic scale. */
function timeline(result: DrillResult, kind: Operation['kind']): string {
  const { durationMs, marks } = result;
  const found = bins(result.operations, kind, durationMs);
  const most = Math.max(1, ...found.map((each) => each.ok + each.failed));
  const x = (ms: number): number => left + ((width - left - 8) * ms) / Math.max(1, durationMs);
  const base = height - 24;
  const barWidth = Math.max(1, x(binMs) - x(0) - 0.4);
  const level = (ms: number): number => base - (Math.min(4, Math.log10(Math.max(1, ms))) / 4) * (base - 12);
  const shapes: string[] = [];
  for (const mark of marks) {
    const end = mark.untilMs ?? mark.atMs;
    shapes.push(
      `<rect class="fault" x="${x(mark.atMs).toFixed(1)}" y="8" width="${Math.max(1.5, x(end) - x(mark.atMs)).toFixed(1)}" height="${base - 8}"><title>${escape(mark.text)}</title></rect>`,
    );
  }
  const points: string[] = [];
  for (const [index, bin] of found.entries()) {
    const at = x(index * binMs);
    const ok = (bin.ok / most) * (base - 12);
    const failed = (bin.failed / most) * (base - 12);
    if (ok > 0)
      shapes.push(
        `<rect class="ok" x="${at.toFixed(1)}" y="${(base - ok).toFixed(1)}" width="${barWidth.toFixed(1)}" height="${ok.toFixed(1)}"/>`,
      );
    if (failed > 0)
      shapes.push(
        `<rect class="failed" x="${at.toFixed(1)}" y="${(base - ok - failed).toFixed(1)}" width="${barWidth.toFixed(1)}" height="${Math.max(2, failed).toFixed(1)}"/>`,
      );
    if (bin.ok > 0) points.push(`${(at + barWidth / 2).toFixed(1)},${level(bin.slowestMs).toFixed(1)}`);
  }
  const scale = [1, 10, 100, 1000, 10_000].map(
    (ms) =>
      `<text x="${left - 6}" y="${level(ms) + 3}" text-anchor="end">${ms < 1000 ? `${ms} ms` : `${ms / 1000} s`}</text>`,
  );
  const seconds = Array.from({ length: Math.floor(durationMs / 1000 / step(durationMs)) + 1 }, (_, index) => {
    const at = index * step(durationMs);
    return `<text x="${x(at * 1000).toFixed(1)}" y="${height - 8}" text-anchor="middle">${at} s</text>`;
  });
  return `<figure><figcaption>${kind === 'write' ? 'Writes' : 'Reads'}: bars are answers per ${binMs} ms (at most ${most}), red ones failed; the line is the slowest answer</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${kind}s over time">${shapes.join('')}<polyline points="${points.join(' ')}"/><line x1="${left}" x2="${width - 8}" y1="${base}" y2="${base}"/>${scale.join('')}${seconds.join('')}</svg></figure>`;
}

const step = (durationMs: number): number => (durationMs > 60_000 ? 10 : durationMs > 20_000 ? 5 : 1);

function section(result: DrillResult): string {
  const { verdict, problems, marks } = result;
  const head = `<h2 id="${result.name}"><span class="${verdict}">${verdict}</span> ${escape(result.title)}</h2>`;
  if (verdict === 'skip') return `<section>${head}<p>Skipped: ${escape(problems.join('; '))}</p></section>`;
  const rows: [string, string][] = [
    ['Longest write gap', `${result.writeGapMs} ms`],
    ['Longest read gap', `${result.readGapMs} ms`],
    ['Slowest answer before the fault', `${result.calmSlowestMs} ms`],
    ['Acknowledged writes', `${result.writes}, ${result.lostAcknowledgedWrites} lost`],
    ['Answered reads', `${result.reads}, ${result.staleReads} stale`],
    [
      'Failed during the fault',
      `${result.failedWrites} writes; ${result.failedReads} reads, ${result.failedAfterRetry} of them again after one retry`,
    ],
    ['Watch guarantees broken', String(result.watchViolations)],
    ['Pods bound twice', String(result.doubleBinds)],
  ];
  return `<section>${head}
<table>${rows.map(([name, value]) => `<tr><th scope="row">${name}</th><td>${escape(value)}</td></tr>`).join('')}</table>
${timeline(result, 'write')}${timeline(result, 'read')}
<ol>${marks.map((mark) => `<li>${(mark.atMs / 1000).toFixed(1)} s: ${escape(mark.text)}${mark.untilMs === undefined ? '' : `, until ${(mark.untilMs / 1000).toFixed(1)} s`}</li>`).join('')}</ol>
${problems.length === 0 ? '' : `<ul class="problems">${problems.map((each) => `<li>${escape(each)}</li>`).join('')}</ul>`}
<p>Again: <code>${escape(result.command)}</code></p></section>`;
}

/** One page for one drill or many; needs nothing besides itself. */
export function renderReport(results: readonly DrillResult[], where: string, when: Date): string {
  const count = (verdict: string): number => results.filter((each) => each.verdict === verdict).length;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Pilothouse drills</title><style>
:root{color-scheme:light dark;--ok:#4a8f5b;--failed:#c8372d;--fault:#e0a03055;--line:#3566b0;--text:#1c1e21;--back:#fff}
@media(prefers-color-scheme:dark){:root{--ok:#5fae73;--failed:#ef6a5f;--fault:#e0a03044;--line:#86aef0;--text:#e6e6e6;--back:#16181b}}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:var(--text);background:var(--back)}
table{border-collapse:collapse;margin:.5rem 0}th,td{text-align:left;padding:.15rem 1rem .15rem 0;font-weight:normal;vertical-align:top}
svg{width:100%;height:auto}svg text{font-size:9px;fill:currentColor}svg line{stroke:currentColor;stroke-width:.5}
.ok{fill:var(--ok)}.failed{fill:var(--failed)}.fault{fill:var(--fault)}polyline{fill:none;stroke:var(--line);stroke-width:1}
h2 span{font-size:.7em;padding:.1em .5em;border-radius:.3em;color:#fff}span.pass,span.skip{background:#47704f}span.skip{background:#777}span.fail{background:#b3261e}
figure{margin:.5rem 0}figcaption{font-size:.85em;opacity:.8}code{overflow-wrap:anywhere}.problems{color:var(--failed)}
</style></head><body><h1>Failover drills</h1>
<p>${escape(where)}, ${escape(when.toISOString())}: ${count('pass')} passed, ${count('fail')} failed, ${count('skip')} skipped.</p>
<table><tr><th>Drill</th><th>Verdict</th><th>Write gap</th><th>Read gap</th><th>Lost</th><th>Stale</th></tr>
${results.map((each) => `<tr><td><a href="#${each.name}">${each.name}</a></td><td>${each.verdict}</td><td>${each.verdict === 'skip' ? '' : `${each.writeGapMs} ms`}</td><td>${each.verdict === 'skip' ? '' : `${each.readGapMs} ms`}</td><td>${each.lostAcknowledgedWrites}</td><td>${each.staleReads}</td></tr>`).join('\n')}
</table>${results.map(section).join('\n')}</body></html>
`;
}

/** What `-o json` prints: these fields and no others. A drill that was skipped is not among them. */
export function resultJson(results: readonly DrillResult[]): unknown {
  return {
    drills: results
      .filter((each) => each.verdict !== 'skip')
      .map((each) => ({
        name: each.name,
        verdict: each.verdict,
        lostAcknowledgedWrites: each.lostAcknowledgedWrites,
        staleReads: each.staleReads,
        writeGapMs: each.writeGapMs,
        readGapMs: each.readGapMs,
        seed: each.seed,
        command: each.command,
      })),
  };
}

/** Of drills that ran more than once, how their gaps are spread, milliseconds. */
export function gapSpread(
  results: readonly DrillResult[],
): { name: string; runs: number; write: Spread; read: Spread }[] {
  const names = [...new Set(results.map((each) => each.name))];
  return names
    .map((name) => ({ name, all: results.filter((each) => each.name === name && each.verdict !== 'skip') }))
    .filter(({ all }) => all.length > 1)
    .map(({ name, all }) => ({
      name,
      runs: all.length,
      write: spread(all.map((each) => each.writeGapMs)),
      read: spread(all.map((each) => each.readGapMs)),
    }));
}

interface Spread {
  readonly p50: number;
  readonly p99: number;
}

/** By nearest rank: of fewer than a hundred, p99 is the largest. */
function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}
