import fs from 'node:fs';
import path from 'node:path';
import assert from 'node:assert/strict';

/** One command of a golden dialogue: `verb arg key=value …`, with the lines that followed it before `----`. */
export interface GoldenCommand {
  readonly verb: string;
  readonly args: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  readonly input: string;
}

interface Step {
  readonly text: string;
  readonly command: GoldenCommand;
  readonly expected: string;
}

function parseCommand(lines: readonly string[]): GoldenCommand {
  const [verb = '', ...words] = (lines[0] ?? '').trim().split(/\s+/);
  const options = new Map<string, string>();
  const args: string[] = [];
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals > 0) options.set(word.slice(0, equals), word.slice(equals + 1));
    else args.push(word);
  }
  return { verb, args, options, input: lines.slice(1).join('\n') };
}

/**
 * Runs a dialogue file: blocks of a command, `----`, and its output, separated by empty lines; lines that start with `#`
 * are prose. `handle` returns the output. With GOLDEN=rewrite in the environment the file is rewritten instead of compared.
 */
export function runGolden(file: string, handle: (command: GoldenCommand) => string): void {
  const source = fs.readFileSync(file, 'utf8');
  const output: string[] = [];
  const steps: Step[] = [];
  const lines = source.split('\n');
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] as string;
    if (line.trim() === '' || line.startsWith('#')) {
      output.push(line);
      at++;
      continue;
    }
    const head: string[] = [];
    while (at < lines.length && lines[at] !== '----') head.push(lines[at++] as string);
    if (at >= lines.length) throw new Error(`${path.basename(file)}: command "${head[0]}" has no ---- line`);
    at++;
    const expected: string[] = [];
    while (at < lines.length && lines[at] !== '') expected.push(lines[at++] as string);
    const step = { text: head.join('\n'), command: parseCommand(head), expected: expected.join('\n') };
    steps.push(step);
    const actual = handle(step.command).trimEnd() || 'ok';
    output.push(step.text, '----', actual);
    if (process.env['GOLDEN'] !== 'rewrite') {
      assert.equal(
        actual,
        step.expected,
        `${path.basename(file)}, command ${steps.length}: ${step.text} (GOLDEN=rewrite updates the file)`,
      );
    }
  }
  if (steps.length === 0) throw new Error(`${path.basename(file)} has no commands`);
  if (process.env['GOLDEN'] === 'rewrite') {
    const text = output.join('\n');
    if (text !== source) fs.writeFileSync(file, text);
  }
}

/** The dialogue files of a directory, sorted. Fails when there is none, so that a moved directory does not pass as tested. */
export function goldenFiles(directory: string): string[] {
  const files = fs
    .readdirSync(directory)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .map((name) => path.join(directory, name));
  if (files.length === 0) throw new Error(`No golden files in ${path.basename(directory)}`);
  return files;
}
