import { spawn } from 'node:child_process';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

/** Runs a program to its end; a program that takes too long is ended and counts as exit status 124. */
export function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(program, [...args], {
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    let stdout = '';
    let stderr = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, options.timeoutMs ?? 60_000);
    child.stdout.on('data', (piece: Buffer) => (stdout += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
    child.on('error', (error) => resolve({ code: 127, stdout, stderr: `${stderr}${error.message}` }));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: late ? 124 : (code ?? 1), stdout, stderr });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}

/** Counts checks and prints each one; a failure does not stop the tour. */
export class Checks {
  passed = 0;
  readonly failures: string[] = [];

  /** Runs `body`; it fails by throwing. Repeated until it holds or `withinMs` have passed. */
  async check(name: string, body: () => Promise<void>, withinMs = 0): Promise<boolean> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      try {
        await body();
        this.passed++;
        process.stdout.write(`ok    ${name}\n`);
        return true;
      } catch (error) {
        if (Date.now() < deadline) {
          await new Promise((resolve) => setTimeout(resolve, 250));
          continue;
        }
        this.failures.push(name);
        process.stdout.write(
          `FAIL  ${name}\n${indent(error instanceof Error ? error.message : String(error))}\n`,
        );
        return false;
      }
    }
  }

  /** The line that tells the outcome; true when nothing failed. */
  finish(): boolean {
    for (const failure of this.failures) process.stdout.write(`failed: ${failure}\n`);
    process.stdout.write(`${this.passed} passed, ${this.failures.length} failed\n`);
    return this.failures.length === 0;
  }
}

function indent(text: string): string {
  return text
    .split('\n')
    .slice(0, 40)
    .map((line) => `        ${line}`)
    .join('\n');
}

/** Throws with the command's output when it did not end as wanted. */
export function expectResult(
  what: string,
  result: CommandResult,
  wanted: { code?: number; matches?: readonly RegExp[]; lacks?: readonly RegExp[] },
): void {
  const text = `${result.stdout}${result.stderr}`;
  const code = wanted.code ?? 0;
  const problems: string[] = [];
  if (result.code !== code) problems.push(`exit status ${result.code}, wanted ${code}`);
  for (const pattern of wanted.matches ?? [])
    if (!pattern.test(text)) problems.push(`no match for ${pattern}`);
  for (const pattern of wanted.lacks ?? [])
    if (pattern.test(text)) problems.push(`unwanted match for ${pattern}`);
  if (problems.length > 0) throw new Error(`${what}\n${problems.join('\n')}\n--- output\n${text}`);
}
