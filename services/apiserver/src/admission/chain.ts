import type { Clock } from '@pilothouse/base';
import type { AdmissionAttributes, AdmissionChain, AdmissionPlugin, AdmissionTimes } from './interface.ts';

type Phase = 'admit' | 'validate';
type Observe = (seconds: number, rejected: boolean) => void;

/** Tells times of phases and plugins. Where they go is looked up once for each name, phase and operation. */
class Meter {
  readonly #times: AdmissionTimes;
  readonly #clock: Clock;
  readonly #known = new Map<string, Observe>();

  constructor(times: AdmissionTimes, clock: Clock) {
    this.#times = times;
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.monotonic();
  }

  /** An empty name is the whole phase. */
  tell(name: string, phase: Phase, operation: string, startedMs: number, rejected: boolean): void {
    const key = `${name} ${phase} ${operation}`;
    let observe = this.#known.get(key);
    if (observe === undefined) {
      const family = name === '' ? this.#times.steps : this.#times.controllers;
      const labels = name === '' ? [phase, operation] : [name, phase, operation];
      const passed = family.series(...labels, 'false');
      observe = (seconds, wasRejected) =>
        (wasRejected ? family.series(...labels, 'true') : passed).observe(seconds);
      this.#known.set(key, observe);
    }
    observe((this.#clock.monotonic() - startedMs) / 1000, rejected);
  }
}

/** Runs plugins in order: all mutating ones before the object is validated, all validating ones after. */
export function admissionChain(plugins: readonly AdmissionPlugin[]): AdmissionChain {
  let meter: Meter | undefined;

  const run = async (
    name: string,
    phase: Phase,
    attributes: AdmissionAttributes,
    work: (attributes: AdmissionAttributes) => Promise<void>,
  ): Promise<void> => {
    const startedMs = meter?.now() ?? 0;
    let rejected = true;
    try {
      await work(attributes);
      rejected = false;
    } finally {
      meter?.tell(name, phase, attributes.operation, startedMs, rejected);
    }
  };

  const admit = async (attributes: AdmissionAttributes): Promise<void> => {
    const concerned = plugins.filter((plugin) => plugin.handles(attributes.operation));
    for (const plugin of concerned) {
      if (plugin.admit !== undefined)
        await run(plugin.name, 'admit', attributes, (each) => plugin.admit?.(each) ?? done);
    }
    // Webhooks and policies come last, so the others look once more at what they made of the object.
    if (!concerned.some((plugin) => plugin.wantsReadmission?.(attributes) === true)) return;
    for (const plugin of concerned) {
      if (plugin.readmit !== undefined) await plugin.readmit(attributes);
      else await plugin.admit?.(attributes);
    }
  };

  const validate = async (attributes: AdmissionAttributes): Promise<void> => {
    for (const plugin of plugins) {
      if (plugin.validate !== undefined && plugin.handles(attributes.operation))
        await run(plugin.name, 'validate', attributes, (each) => plugin.validate?.(each) ?? done);
    }
  };

  return {
    measure: (times, clock) => {
      meter = new Meter(times, clock);
    },
    handles: (operation) => plugins.some((plugin) => plugin.handles(operation)),
    admit: (attributes) => run('', 'admit', attributes, admit),
    validate: (attributes) => run('', 'validate', attributes, validate),
  };
}

const done = Promise.resolve();
