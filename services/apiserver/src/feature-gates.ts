import { featureGates } from '@pilothouse/api';
import { FlagError } from '@pilothouse/host';
import type { EmulatedRelease } from './emulated-release.ts';
import { binaryMinor, gateAt } from './emulated-release.ts';

const stages: Readonly<Record<string, string>> = { AllAlpha: 'Alpha', AllBeta: 'Beta' };

/**
 * What --feature-gates and an emulated release change, with AllAlpha and AllBeta spelled out; what is named by itself wins over them.
 * `own`: gates of this project, which upstream does not have. Throws FlagError for unknown and for locked gates, and for those that the
 * emulated release does not have.
 */
export function featureGateOverrides(
  given: Readonly<Record<string, boolean>>,
  own: ReadonlySet<string>,
  release?: EmulatedRelease,
): Readonly<Record<string, boolean>> {
  const minor = release?.minor ?? binaryMinor;
  const result: Record<string, boolean> = {};
  if (minor !== binaryMinor)
    for (const [gate, now] of Object.entries(featureGates)) {
      const then = gateAt(gate, minor)?.default ?? false;
      if (then !== now.default) result[gate] = then;
    }
  for (const [all, stage] of Object.entries(stages)) {
    const value = given[all];
    if (value === undefined) continue;
    for (const gate of Object.keys(featureGates)) {
      const known = gateAt(gate, minor);
      if (known?.stage === stage && known.locked !== true) result[gate] = value;
    }
  }
  for (const [gate, value] of Object.entries(given)) {
    if (gate in stages) continue;
    if (!Object.hasOwn(featureGates, gate) && !own.has(gate))
      throw new FlagError(`unrecognized feature gate: ${gate}`);
    const known = gateAt(gate, minor);
    if (known === undefined && !own.has(gate))
      throw new FlagError(
        `cannot set feature gate ${gate} to ${value}, feature is PreAlpha at emulated version 1.${minor}, min compatibility version 1.${release?.minCompatibility ?? minor}`,
      );
    if (known?.locked === true && value !== known.default) {
      throw new FlagError(
        `cannot set feature gate ${gate} to ${value}, feature is locked to ${known.default}`,
      );
    }
    result[gate] = value;
  }
  return result;
}
