import type { Clock } from '@pilothouse/base';
import type { AdmissionAttributes, AdmissionChain, AdmissionPlugin, AdmissionTimes } from './interface.ts';

type Phase = 'admit' | 'validate';
type Observe = (seconds: number, rejected: boolean) => void;

/** A phase of a plugin; without a plugin's name the whole phase. Knows where its times go, by operation. */
interface Step {
  readonly name: string;
  readonly phase: Phase;
  readonly told: Map<string, Observe>;
}

interface PluginStep extends Step {
  readonly plugin: AdmissionPlugin;
}

const stepOf = (name: string, phase: Phase): Step => ({ name, phase, told: new Map() });

/** Tells times of phases and plugins. */
class Meter {
  readonly #times: AdmissionTimes;
  readonly #clock: Clock;

  constructor(times: AdmissionTimes, clock: Clock) {
    this.#times = times;
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.monotonic();
  }

  tell(step: Step, operation: string, startedMs: number, rejected: boolean): void {
    let observe = step.told.get(operation);
    if (observe === undefined) {
      const { name, phase } = step;
      const family = name === '' ? this.#times.steps : this.#times.controllers;
      const labels = name === '' ? [phase, operation] : [name, phase, operation];
      const passed = family.series(...labels, 'false');
      observe = (seconds, wasRejected) =>
        (wasRejected ? family.series(...labels, 'true') : passed).observe(seconds);
      step.told.set(operation, observe);
    }
    observe((this.#clock.monotonic() - startedMs) / 1000, rejected);
  }
}

/** Runs plugins in order: all mutating ones before the object is validated, all validating ones after. */
export function admissionChain(plugins: readonly AdmissionPlugin[]): AdmissionChain {
  let meter: Meter | undefined;
  const steps = (phase: Phase): PluginStep[] =>
    plugins
      .filter((plugin) => plugin[phase] !== undefined)
      .map((plugin) => ({ ...stepOf(plugin.name, phase), plugin }));
  const phases = {
    admit: { whole: stepOf('', 'admit'), steps: steps('admit') },
    validate: { whole: stepOf('', 'validate'), steps: steps('validate') },
  };

  // Every write comes through here, twice through most plugins: no closure and no promise that need not be.
  const run = async (phase: Phase, attributes: AdmissionAttributes): Promise<void> => {
    const { operation } = attributes;
    const { whole, steps: own } = phases[phase];
    const phaseStartedMs = meter?.now() ?? 0;
    let isPhaseRejected = true;
    try {
      for (const step of own) {
        const { plugin } = step;
        if (!plugin.handles(operation)) continue;
        const startedMs = meter?.now() ?? 0;
        let isRejected = true;
        try {
          await (phase === 'admit' ? plugin.admit?.(attributes) : plugin.validate?.(attributes));
          isRejected = false;
        } finally {
          meter?.tell(step, operation, startedMs, isRejected);
        }
      }
      if (phase === 'admit') await readmit(attributes);
      isPhaseRejected = false;
    } finally {
      meter?.tell(whole, operation, phaseStartedMs, isPhaseRejected);
    }
  };

  /** Webhooks and policies come last, so the others look once more at what they made of the object. */
  const readmit = async (attributes: AdmissionAttributes): Promise<void> => {
    const { operation } = attributes;
    const isWanted = plugins.some(
      (plugin) => plugin.handles(operation) && plugin.wantsReadmission?.(attributes) === true,
    );
    if (!isWanted) return;
    for (const plugin of plugins) {
      if (!plugin.handles(operation)) continue;
      if (plugin.readmit !== undefined) await plugin.readmit(attributes);
      else await plugin.admit?.(attributes);
    }
  };

  return {
    measure: (times, clock) => {
      meter = new Meter(times, clock);
      for (const plugin of plugins) plugin.measure?.(times);
    },
    handles: (operation) => plugins.some((plugin) => plugin.handles(operation)),
    admit: (attributes) => run('admit', attributes),
    validate: (attributes) => run('validate', attributes),
  };
}
