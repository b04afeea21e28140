import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { FlagSpecs } from '@pilothouse/host';
import { nodeClock, nodeRandom, parseFlags } from '@pilothouse/host';
import { composeTarget } from '../drill/compose-target.ts';
import { drills, selectDrills } from '../drill/drills.ts';
import { localTarget } from '../drill/local-target.ts';
import type { DrillResult } from '../drill/model.ts';
import { gapSpread, renderReport, resultJson } from '../drill/report.ts';
import { hasQuorum, runDrill } from '../drill/runner.ts';
import { CommandError } from '../errors.ts';
import { defaultDataDirectory } from './shared.ts';

export const drillFlags: FlagSpecs = {
  'data-dir': {
    type: 'string',
    default: '',
    help: 'The directory of a running plane (default: data in the current directory)',
  },
  compose: { type: 'string', default: '', help: 'The compose file of a running project, instead of a plane' },
  next: {
    type: 'string',
    default: '',
    help: 'For rolling-upgrade: the next version’s pilothouse program, or with --compose its image',
  },
  seed: { type: 'integer', default: -1, help: 'What chance decides follows from it (default: a new one)' },
  report: { type: 'string', default: '', help: 'Where the report goes (default: drills/ in --data-dir)' },
  repeat: { type: 'integer', default: 1, help: 'How often each drill runs, each time with the next seed' },
  force: { type: 'boolean', default: false, help: 'Go on although the store has no majority' },
  output: { type: 'string', default: '', help: 'json, or a table (-o json)' },
};

const usage = `pilothouse drill list             what there is
pilothouse drill NAME|all         breaks a running plane on purpose, under its own load, and tells what clients noticed
`;

/** `pilothouse drill <name>|all|list`. Exit status 1 when a drill failed. */
export async function drill(argv: readonly string[]): Promise<void> {
  const { values, positional } = parseFlags(
    drillFlags,
    argv.map((each) => (each === '-o' ? '--output' : each.replace(/^-o=?(?=\w)/, '--output='))),
  );
  const text = (name: string): string => values[name] as string;
  const output = text('output');
  if (output !== '' && output !== 'json')
    throw new CommandError(`Unknown output format "${output}": want json, or nothing for a table`);
  const [name, ...rest] = positional;
  if (name === undefined || rest.length > 0) throw new CommandError(`Want one drill:\n${usage.trimEnd()}`);
  if (name === 'list') {
    for (const each of drills) process.stdout.write(`${each.name.padEnd(26)}${each.title}\n`);
    return;
  }
  const selected = selectDrills(name);
  const repeat = values['repeat'] as number;
  if (repeat < 1 || repeat > 1000)
    throw new CommandError(`Invalid value ${repeat} for --repeat: want 1 to 1000`);
  const dataDir = path.resolve(text('data-dir') || defaultDataDirectory());
  const target =
    text('compose') === ''
      ? localTarget(dataDir, text('next'))
      : await composeTarget(path.resolve(text('compose')), text('next'));
  if (!(await hasQuorum(target, nodeClock)) && values['force'] !== true)
    throw new CommandError(
      'The store has no majority or no leader: a drill would only make that worse. Heal it first (pilothouse status), or pass --force',
    );
  const given = values['seed'] as number;
  const seed = given >= 0 ? given : nodeRandom.integer(2 ** 31);
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const results: DrillResult[] = [];
  for (const each of selected)
    for (let turn = 0; turn < repeat; turn++) {
      const result = await runDrill(each, target, { seed: seed + turn, clock: nodeClock, say });
      if (result.verdict !== 'skip')
        say(
          `${result.verdict === 'pass' ? 'ok   ' : 'FAIL '} ${each.name}: write gap ${result.writeGapMs} ms, read gap ${result.readGapMs} ms, ${result.lostAcknowledgedWrites} lost, ${result.staleReads} stale`,
        );
      for (const problem of result.verdict === 'fail' ? result.problems.slice(0, 5) : [])
        say(`      ${problem}`);
      results.push(result);
      if (result.verdict === 'skip') break;
    }
  const folder = text('compose') === '' ? path.join(dataDir, 'drills') : process.cwd();
  const file =
    text('report') === '' ? path.join(folder, `drill-${name}-${seed}.html`) : path.resolve(text('report'));
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, renderReport(results, target.flag, new Date(nodeClock.now())));
  for (const { name: which, runs, write, read } of gapSpread(results))
    say(
      `${which}, ${runs} runs: write gap p50 ${write.p50} ms, p99 ${write.p99} ms; read gap p50 ${read.p50} ms, p99 ${read.p99} ms`,
    );
  for (const each of results.filter(({ verdict }) => verdict === 'skip'))
    say(`SKIPPED, neither passed nor failed: ${each.name}: ${each.problems.join('; ')}`);
  say(`Report: ${file}`);
  if (output === 'json') process.stdout.write(`${JSON.stringify(resultJson(results), null, 2)}\n`);
  else printTable(results);
  const hasPassed = results.some((each) => each.verdict === 'pass');
  // What was asked for and could not be done is not a success either.
  process.exitCode = results.some((each) => each.verdict === 'fail') || !hasPassed ? 1 : 0;
  // Connections of watches that hang on paused processes must not keep the command.
  process.exit();
}

function printTable(results: readonly DrillResult[]): void {
  const rows = [
    ['DRILL', 'VERDICT', 'WRITE GAP', 'READ GAP', 'LOST', 'STALE', 'WATCH', 'SEED'],
    ...results.map((each) =>
      each.verdict === 'skip'
        ? [each.name, 'skip', '', '', '', '', '', each.problems.join('; ')]
        : [
            each.name,
            each.verdict,
            `${each.writeGapMs} ms`,
            `${each.readGapMs} ms`,
            String(each.lostAcknowledgedWrites),
            String(each.staleReads),
            String(each.watchViolations),
            String(each.seed),
          ],
    ),
  ];
  const widths =
    rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length))) ?? [];
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('   ')
        .trimEnd()}\n`,
    );
}
