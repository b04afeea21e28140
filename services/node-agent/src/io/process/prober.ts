import type { Clock, Timer } from '@pilothouse/base';
import type { Probe } from '../../core/pod-shape.ts';
import type { ProbeKind } from '../../core/process/probe-state.ts';
import { probeDelayMs, probePeriodMs, probeTimeoutMs, ProbeState } from '../../core/process/probe-state.ts';
import type { HandlerContext } from './handler-run.ts';
import { runHandler } from './handler-run.ts';

export interface ProberEvents {
  /** The startup probe passed, or there is none. */
  onStarted(): void;
  onReady(ready: boolean): void;
  /** Liveness or startup failed for good: the container is to be restarted. */
  onFailed(kind: ProbeKind, message: string): void;
  /** Each failure, for an event. */
  onUnhealthy(kind: ProbeKind, message: string): void;
}

/** Runs the probes of one container for as long as it runs. Liveness and readiness wait for startup. */
export class Prober {
  readonly #clock: Clock;
  readonly #context: HandlerContext;
  readonly #events: ProberEvents;
  readonly #timers = new Set<Timer>();
  #stopped = false;

  constructor(context: HandlerContext, events: ProberEvents) {
    this.#clock = context.clock;
    this.#context = context;
    this.#events = events;
  }

  start(): void {
    const { startupProbe, livenessProbe, readinessProbe } = this.#context.container;
    const rest = (): void => {
      this.#events.onStarted();
      if (readinessProbe) this.#run('readiness', readinessProbe);
      else this.#events.onReady(true);
      if (livenessProbe) this.#run('liveness', livenessProbe);
    };
    if (startupProbe) this.#run('startup', startupProbe, rest);
    else rest();
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #run(kind: ProbeKind, probe: Probe, passed?: () => void): void {
    const state = new ProbeState(kind, probe);
    const once = async (): Promise<void> => {
      const result = await runHandler(probe, this.#context, probeTimeoutMs(probe));
      if (this.#stopped) return;
      const what = `${kind.charAt(0).toUpperCase()}${kind.slice(1)} probe failed: ${result.message}`;
      if (!result.ok) this.#events.onUnhealthy(kind, what);
      const changed = state.record(result.ok);
      if (changed && kind === 'readiness') this.#events.onReady(result.ok);
      if (changed && !result.ok && kind !== 'readiness') {
        this.#events.onFailed(kind, what);
        return;
      }
      if (changed && result.ok && kind === 'startup') {
        passed?.();
        return;
      }
      this.#later(probePeriodMs(probe), once);
    };
    this.#later(probeDelayMs(probe), once);
  }

  #later(delayMs: number, then: () => Promise<void>): void {
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#stopped) void then();
    }, delayMs);
    this.#timers.add(timer);
  }
}
