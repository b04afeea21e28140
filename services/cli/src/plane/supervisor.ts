import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import type { Clock, Timer } from '@pilothouse/base';
import { limits } from '../limits.ts';
import type { ProcessSpec } from './layout.ts';
import type { ProcessRecord } from './state-file.ts';

interface Child {
  readonly spec: ProcessSpec;
  process: ChildProcess | undefined;
  startedMs: number;
  delayMs: number;
  restart: Timer | undefined;
}

export interface SupervisorOptions {
  /** What starts a process; its arguments are appended. Asked at each start. */
  command(spec: ProcessSpec): readonly string[];
  readonly logDirectory: string;
  readonly clock: Clock;
  /** What a child finds in its environment besides this process's. */
  environment?(spec: ProcessSpec): Readonly<Record<string, string>>;
  /** Called whenever the set of running processes changes. */
  onChange(processes: readonly ProcessRecord[]): void;
  /** Called when a child ends without being told to. */
  onExit(spec: ProcessSpec, how: string): void;
}

/** Starts children, writes their output to `<logDirectory>/<name>.log` and starts them again when they end, ever later while they keep ending. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children = new Map<string, Child>();
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  start(spec: ProcessSpec): void {
    const child: Child = {
      spec,
      process: undefined,
      startedMs: 0,
      delayMs: limits.restartDelayMinMs,
      restart: undefined,
    };
    this.#children.set(spec.name, child);
    this.#spawn(child);
  }

  processes(): ProcessRecord[] {
    const records: ProcessRecord[] = [];
    for (const { spec, process } of this.#children.values()) {
      if (process?.pid !== undefined)
        records.push({ component: spec.component, name: spec.name, pid: process.pid, address: spec.address });
    }
    return records;
  }

  /** SIGTERM to all (SIGINT to node agents), in reverse order of layers so that writers stop before the store; SIGKILL after the grace. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const layers: ProcessSpec['component'][][] = [
      ['node-agent', 'scheduler', 'controller-manager', 'console'],
      ['load-balancer', 'apiserver'],
      ['store', 'redis'],
    ];
    for (const layer of layers) {
      const members = [...this.#children.values()].filter((child) => layer.includes(child.spec.component));
      await Promise.all(members.map((child) => this.#stopChild(child)));
    }
  }

  #spawn(child: Child): void {
    const { clock, logDirectory } = this.#options;
    const log = openSync(path.join(logDirectory, `${child.spec.name}.log`), 'a', 0o600);
    const [program, ...rest] = this.#options.command(child.spec) as [string, ...string[]];
    const spawned = spawn(program, [...rest, ...child.spec.arguments], {
      stdio: ['ignore', log, log],
      env: {
        ...process.env,
        ...this.#options.environment?.(child.spec),
        PILOTHOUSE_INSTANCE: child.spec.name,
      },
    });
    closeSync(log);
    child.process = spawned;
    child.startedMs = clock.monotonic();
    const ended = (how: string): void => {
      if (child.process !== spawned) return;
      child.process = undefined;
      this.#options.onChange(this.processes());
      if (this.#stopping) return;
      this.#options.onExit(child.spec, how);
      if (clock.monotonic() - child.startedMs > limits.restartQuietMs)
        child.delayMs = limits.restartDelayMinMs;
      child.restart = clock.setTimeout(() => this.#spawn(child), child.delayMs);
      child.delayMs = Math.min(limits.restartDelayMaxMs, child.delayMs * 2);
    };
    spawned.once('error', (error) => ended(error.message));
    spawned.once('exit', (code, signal) =>
      ended(signal === null ? `exit status ${code}` : `signal ${signal}`),
    );
    this.#options.onChange(this.processes());
  }

  #stopChild(child: Child): Promise<void> {
    child.restart?.cancel();
    const { process: running } = child;
    if (!running || running.exitCode !== null || running.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      const killer = this.#options.clock.setTimeout(() => running.kill('SIGKILL'), limits.stopGraceMs);
      running.once('exit', () => {
        killer.cancel();
        resolve();
      });
      // A node agent leaves its pods' processes running on SIGTERM, for the agent after it, and ends them on SIGINT: here the plane ends.
      running.kill(child.spec.component === 'node-agent' ? 'SIGINT' : 'SIGTERM');
    });
  }
}
