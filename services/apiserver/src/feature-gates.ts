import { featureGates } from '@pilothouse/api';
import { FlagError } from '@pilothouse/host';

const stages: Readonly<Record<string, string>> = { AllAlpha: 'Alpha', AllBeta: 'Beta' };

/**
 * What --feature-gates changes, with AllAlpha and AllBeta spelled out; what is named by itself wins over them. `own`: gates of this project,
 * which upstream does not have. Throws FlagError for unknown and for locked gates.
 */
export function featureGateOverrides(
  given: Readonly<Record<string, boolean>>,
  own: ReadonlySet<string>,
): Readonly<Record<string, boolean>> {
  const result: Record<string, boolean> = {};
  for (const [all, stage] of Object.entries(stages)) {
    const value = given[all];
    if (value === undefined) continue;
    for (const [gate, known] of Object.entries(featureGates)) {
      if (known.stage === stage && known.locked !== true) result[gate] = value;
    }
  }
  for (const [gate, value] of Object.entries(given)) {
    if (gate in stages) continue;
    const known = Object.hasOwn(featureGates, gate) ? featureGates[gate] : undefined;
    if (known === undefined && !own.has(gate)) throw new FlagError(`unrecognized feature gate: ${gate}`);
    if (known?.locked === true && value !== known.default) {
      throw new FlagError(
        `cannot set feature gate ${gate} to ${value}, feature is locked to ${known.default}`,
      );
    }
    result[gate] = value;
  }
  return result;
}
