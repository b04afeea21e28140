import { spawn } from 'node:child_process';
import { expectResult, run } from '../checks.ts';
import type { Checks, CommandResult } from '../checks.ts';

/** How a step of the tour is told: a kubectl command, what goes in, what must come out. */
export interface Step {
  readonly name?: string;
  readonly args: string;
  readonly input?: string;
  readonly code?: number;
  readonly matches?: readonly RegExp[];
  readonly lacks?: readonly RegExp[];
  /** Repeated until it holds, at most this long. */
  readonly withinMs?: number;
}

/** kubectl against one plane. Arguments are split at blanks outside quotes. */
export class Kubectl {
  readonly program: string;
  readonly kubeconfig: string;

  constructor(program: string, kubeconfig: string) {
    this.program = program;
    this.kubeconfig = kubeconfig;
  }

  run(args: string, input?: string): Promise<CommandResult> {
    return run(this.program, splitWords(args), {
      env: { KUBECONFIG: this.kubeconfig },
      ...(input === undefined ? {} : { input }),
    });
  }

  async steps(checks: Checks, steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      await checks.check(
        `kubectl ${step.name ?? step.args}`,
        async () => {
          const result = await this.run(step.args, step.input);
          expectResult(`kubectl ${step.args}`, result, {
            code: step.code ?? 0,
            ...(step.matches ? { matches: step.matches } : {}),
            ...(step.lacks ? { lacks: step.lacks } : {}),
          });
        },
        step.withinMs ?? 0,
      );
    }
  }

  /** Starts a command that runs on, e.g. a watch or a proxy; `until` resolves with its output once the pattern shows. */
  background(args: string): { until(pattern: RegExp, withinMs: number): Promise<string>; stop(): void } {
    const child = spawn(this.program, splitWords(args), {
      env: { ...process.env, KUBECONFIG: this.kubeconfig },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (output += piece.toString()));
    return {
      async until(pattern, withinMs) {
        const deadline = Date.now() + withinMs;
        while (!pattern.test(output)) {
          if (Date.now() > deadline)
            throw new Error(`kubectl ${args}: no match for ${pattern} in\n${output}`);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        return output;
      },
      stop: () => void child.kill('SIGTERM'),
    };
  }
}

export function splitWords(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+?=)'([^']*)'|(\S+)/g)].map(
    (match) =>
      match[1] ??
      match[2] ??
      (match[3] === undefined ? undefined : match[3] + (match[4] ?? '')) ??
      match[5] ??
      '',
  );
}
