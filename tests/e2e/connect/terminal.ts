import * as pty from '@lydell/node-pty';

/** A program behind a terminal, as a person would use it. */
export class Terminal {
  readonly #process: pty.IPty;
  readonly exit: Promise<number>;
  text = '';

  constructor(program: string, args: readonly string[], size: { cols: number; rows: number }) {
    this.#process = pty.spawn(program, [...args], { ...size, env: process.env as Record<string, string> });
    this.#process.onData((data) => (this.text += data));
    this.exit = new Promise((resolve) => this.#process.onExit(({ exitCode }) => resolve(exitCode)));
  }

  type(text: string): void {
    this.#process.write(text);
  }

  resize(cols: number, rows: number): void {
    this.#process.resize(cols, rows);
  }

  /** Waits for text that was not there yet; what came before it is forgotten. */
  async expect(pattern: RegExp, withinMs = 10_000): Promise<void> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const match = pattern.exec(this.text);
      if (match) {
        this.text = this.text.slice(match.index + match[0].length);
        return;
      }
      if (Date.now() > deadline) {
        this.#process.kill('SIGKILL');
        throw new Error(`No ${String(pattern)} on the terminal; it shows ${JSON.stringify(this.text)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
