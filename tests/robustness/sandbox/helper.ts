import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A program that takes a command a line and answers each with one line beginning with "ok". */
export class Helper {
  readonly #child: ChildProcess;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  #ended: Error | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(file: string, args: readonly string[]): Promise<Helper> {
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const helper = new Helper(child);
    const ready = helper.#answer();
    child.on('error', (error) => helper.#end(error));
    child.on('exit', (code) => helper.#end(new Error(`${file} ended with status ${code}`)));
    child.stdin?.on('error', () => {});
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const next = helper.#waiting.shift();
      if (line.startsWith('error')) next?.reject(new Error(`${file}: ${line}`));
      else next?.resolve(line);
    });
    await ready;
    return helper;
  }

  #answer(): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#ended) reject(this.#ended);
      else this.#waiting.push({ resolve, reject });
    });
  }

  #end(error: Error): void {
    this.#ended = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  command(line: string): Promise<string> {
    const answer = this.#answer();
    this.#child.stdin?.write(`${line}\n`);
    return answer;
  }

  /** The helper ends when its input does. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3000);
    await ended;
    clearTimeout(timer);
  }
}

/** Runs a program to its end; returns its output. Throws with its error output. */
export function run(file: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr.trim() || `status ${status}`}`);
  return stdout;
}
