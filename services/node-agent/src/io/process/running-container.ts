import type { Clock, Timer } from '@pilothouse/base';
import type { Container } from '../../core/pod-shape.ts';
import type { ContainerProcess } from './container-process.ts';
import type { Surroundings } from './container-runner.ts';
import { runHandler } from './handler-run.ts';
import type { ProberEvents } from './prober.ts';
import { Prober } from './prober.ts';

export interface RunningEvents extends ProberEvents {
  /** The postStart hook failed: the container is to end. */
  onPostStartFailed(message: string): void;
  onPreStopFailed(message: string): void;
}

/** Longest a postStart hook may take; kubelet has no limit of its own, the process has. */
const postStartMs = 600_000;

/** A process with what belongs to it while it runs: probes, hooks, and its end by the rules of a graceful stop. */
export class RunningContainer {
  readonly process: ContainerProcess;
  readonly container: Container;
  readonly surroundings: Surroundings;
  readonly #clock: Clock;
  readonly #events: RunningEvents;
  readonly #podIp: string;
  readonly #prober: Prober;
  #stopping: Promise<void> | undefined;
  #killer: Timer | undefined;
  #killAtMs = Number.POSITIVE_INFINITY;
  #over = false;

  constructor(options: {
    process: ContainerProcess;
    container: Container;
    surroundings: Surroundings;
    podIp: string;
    clock: Clock;
    events: RunningEvents;
  }) {
    this.process = options.process;
    this.container = options.container;
    this.surroundings = options.surroundings;
    this.#podIp = options.podIp;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#prober = new Prober(this.#context, options.events);
    void this.process.exited.then(() => {
      this.#over = true;
      this.release();
    });
  }

  /** Begins the probes, after the postStart hook of a container that has just been started. */
  async begin(fresh: boolean): Promise<void> {
    const hook = this.container.lifecycle?.postStart;
    if (fresh && hook) {
      const result = await runHandler(hook, this.#context, postStartMs);
      if (!result.ok && !this.#over) {
        this.#events.onPostStartFailed(result.message);
        return;
      }
    }
    if (!this.#over) this.#prober.start();
  }

  /** preStop, SIGTERM, and SIGKILL once the grace is over. A second call can only shorten the grace. */
  stop(graceMs: number): Promise<void> {
    this.#armKiller(graceMs);
    this.#stopping ??= this.#end(graceMs);
    return this.#stopping;
  }

  /** Lets go of the probes; the process stays. */
  release(): void {
    this.#prober.stop();
    this.#killer?.cancel();
  }

  async #end(graceMs: number): Promise<void> {
    this.#prober.stop();
    const hook = this.container.lifecycle?.preStop;
    if (hook && graceMs > 0) {
      const result = await runHandler(hook, this.#context, graceMs);
      if (!result.ok) this.#events.onPreStopFailed(result.message);
    }
    if (!this.#over) this.process.signal('SIGTERM');
    await this.process.exited;
  }

  #armKiller(graceMs: number): void {
    const atMs = this.#clock.monotonic() + graceMs;
    if (this.#over || atMs >= this.#killAtMs) return;
    this.#killAtMs = atMs;
    this.#killer?.cancel();
    // SIGTERM comes first even without any grace, so that an end can be told from a kill where the program allows it.
    this.#killer = this.#clock.setTimeout(() => this.process.kill(), Math.max(graceMs, 50));
  }

  get #context(): ConstructorParameters<typeof Prober>[0] {
    return {
      container: this.container,
      env: this.surroundings.env,
      cwd: this.surroundings.cwd,
      podIp: this.#podIp,
      clock: this.#clock,
    };
  }
}
