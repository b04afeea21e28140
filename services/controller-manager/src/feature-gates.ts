import { featureGates } from '@pilothouse/api/gates';
import { FlagError } from '@pilothouse/host';

const stages: Readonly<Record<string, string>> = { AllAlpha: 'Alpha', AllBeta: 'Beta' };

/** Whether a gate is on: by its own name, else by AllAlpha or AllBeta, else as Kubernetes 1.36 has it. Throws FlagError. */
export function gateIsOn(gate: string, given: Readonly<Record<string, string>>): boolean {
  const known = featureGates[gate];
  const all = Object.keys(stages).find((name) => stages[name] === known?.stage);
  const text = given[gate] ?? (all === undefined ? undefined : given[all]);
  if (text === undefined) return known?.default ?? false;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new FlagError(`Invalid value "${text}" of feature gate ${gate}: want true or false`);
}

/** Gates that were named, but that no controller asks for. */
export function gatesWithoutEffect(
  given: Readonly<Record<string, string>>,
  controllers: readonly { readonly gate?: string }[],
): string[] {
  return Object.keys(given).filter(
    (gate) => !(gate in stages) && !controllers.some((controller) => controller.gate === gate),
  );
}
