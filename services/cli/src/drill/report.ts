import type { DrillResult } from './model.ts';
import { escapeHtml as escape, timeline } from './timeline.ts';

function section(result: DrillResult): string {
  const { verdict, problems, marks } = result;
  const head = `<h2 id="${result.name}"><span class="verdict ${verdict}">${verdict}</span> ${escape(result.title)}</h2>`;
  if (verdict === 'skip') return `<section>${head}<p>Skipped: ${escape(problems.join('; '))}</p></section>`;
  const facts: [string, string][] = [
    ['Longest write gap', `${result.writeGapMs} ms`],
    ['Longest read gap', `${result.readGapMs} ms`],
    ['Slowest answer before the fault', `${result.calmSlowestMs} ms`],
    ['Acknowledged writes', `${result.writes}, ${result.lostAcknowledgedWrites} lost`],
    ['Answered reads', `${result.reads}, ${result.staleReads} stale`],
    ['Failed writes during the fault', String(result.failedWrites)],
    ['Failed reads', `${result.failedReads}, again after one retry ${result.failedAfterRetry}`],
    ['Watch guarantees broken', String(result.watchViolations)],
    ['Pods bound twice', String(result.doubleBinds)],
    ['Seed', String(result.seed)],
  ];
  const at = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return `<section>${head}
${problems.length === 0 ? '' : `<ul class="problems">${problems.map((each) => `<li>${escape(each)}</li>`).join('')}</ul>`}
<dl>${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escape(value)}</dd></div>`).join('')}</dl>
${timeline(result, 'write')}${timeline(result, 'read')}
<ol>${marks.map((mark) => `<li>${at(mark.atMs)}${mark.untilMs === undefined ? '' : ` to ${at(mark.untilMs)}`}: ${escape(mark.text)}</li>`).join('')}</ol>
<p>Again: <code>${escape(result.command)}</code></p></section>`;
}

function overviewRow(each: DrillResult): string {
  const cells =
    each.verdict === 'skip'
      ? ['', '', '', '']
      : [
          `${each.writeGapMs} ms`,
          `${each.readGapMs} ms`,
          String(each.lostAcknowledgedWrites),
          String(each.staleReads),
        ];
  return `<tr><td><a href="#${each.name}">${each.name}</a></td><td><span class="verdict ${each.verdict}">${each.verdict}</span></td>${cells.map((cell) => `<td class="number">${cell}</td>`).join('')}<td>${escape(each.problems[0] ?? '')}</td></tr>`;
}

/** One page for one drill or many; needs nothing besides itself. */
export function renderReport(results: readonly DrillResult[], where: string, when: Date): string {
  const count = (verdict: string): number => results.filter((each) => each.verdict === verdict).length;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Pilothouse drills</title><style>
:root{color-scheme:light dark;--ok:#5a9e6c;--failed:#c8372d;--fault:#e0a03066;--gap:#c8372d2b;--line:#3566b0;--text:#1c1e21;--back:#fff;--soft:#8883;--card:#f6f7f9}
@media(prefers-color-scheme:dark){:root{--ok:#4f9a63;--failed:#ef6a5f;--fault:#e0a03055;--gap:#ef6a5f33;--line:#86aef0;--text:#e6e6e6;--back:#16181b;--card:#1f2226}}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:var(--text);background:var(--back)}
a{color:var(--line)}table{border-collapse:collapse;margin:.5rem 0}th,td{text-align:left;padding:.15rem 1.2rem .15rem 0;font-weight:normal;vertical-align:top}
thead th{font-weight:600;border-bottom:1px solid var(--soft)}td.number{text-align:right;font-variant-numeric:tabular-nums}
section{background:var(--card);border-radius:.6rem;padding:.2rem 1.2rem .8rem;margin:1.5rem 0}h2{font-size:1.2rem}
svg{width:100%;height:auto}svg text{font-size:10px;fill:currentColor}svg line{stroke:currentColor;stroke-width:.6}svg line.grid{stroke:var(--soft)}
rect.ok{fill:var(--ok)}rect.failed{fill:var(--failed)}rect.fault{fill:var(--fault)}rect.gap{fill:var(--gap)}text.gap{fill:var(--failed);font-weight:600}
text.number{font-weight:600}polyline{fill:none;stroke:var(--line);stroke-width:1.3}
.verdict{font-size:.75em;padding:.1em .55em;border-radius:.3em;color:#fff;text-transform:uppercase;letter-spacing:.03em}
.pass{background:#47704f}.skip{background:#777}.fail{background:#b3261e}
dl{display:flex;flex-wrap:wrap;gap:.3rem 2rem;margin:.3rem 0 1rem}dl div{min-width:7rem}dt{font-size:.8em;opacity:.75}dd{margin:0;font-weight:600}
figure{margin:.7rem 0}figcaption{font-size:.85em}span.failed{color:var(--failed)}code{overflow-wrap:anywhere}.problems{color:var(--failed)}
</style></head><body><h1>Failover drills</h1>
<p><code>${escape(where)}</code>, ${escape(when.toISOString())}: ${count('pass')} passed, ${count('fail')} failed, ${count('skip')} skipped.</p>
<table><thead><tr><th>Drill</th><th>Verdict</th><th>Write gap</th><th>Read gap</th><th>Lost</th><th>Stale</th><th>What was wrong</th></tr></thead><tbody>
${results.map(overviewRow).join('\n')}
</tbody></table>${results.map(section).join('\n')}</body></html>
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
