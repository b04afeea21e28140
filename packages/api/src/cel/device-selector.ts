import type { CelProgram } from './environment.ts';
import { CelEnvironment } from './environment.ts';
import { libraryTypes } from './functions.ts';
import { quantityValue, semverValue } from './library/kubernetes.ts';
import type { CelType } from './types.ts';
import { celTypes, mapType, structType } from './types.ts';
import { fromJson, JsonMap } from './values.ts';

/** What a selector may cost, by estimate and in fact. */
export const deviceSelectorCostMax = 1_000_000;
export const deviceSelectorLengthMax = 10 * 1024;
const perDeviceMax = 32;

const sized = (type: CelType, maxElements: number): CelType => ({
  ...type,
  bounds: { maxElements, minSerializedSize: 1 },
});
const domain = sized(celTypes.string, 63);
const id = sized(celTypes.string, 32);
const bounds = { maxElements: perDeviceMax, minSerializedSize: 1 };
const byDomain = (value: CelType): CelType => mapType(domain, mapType(id, value, bounds), bounds);
const fields: Readonly<Record<string, CelType>> = {
  driver: sized(celTypes.string, 63),
  allowMultipleAllocations: celTypes.bool,
  attributes: byDomain(sized(celTypes.dyn, 64)),
  capacity: byDomain(libraryTypes.quantity),
};
const device = structType('kubernetes.DRADevice', (name) =>
  Object.hasOwn(fields, name) ? fields[name] : undefined,
);

let environment: CelEnvironment | undefined;

/** Compiles a selector of devices. Throws CelCompileError; the type of the result is for the caller to look at. */
export function compileDeviceSelector(expression: string): CelProgram {
  environment ??= new CelEnvironment({ variables: { device }, bindings: true });
  return environment.compile(expression);
}

interface DeviceLike {
  readonly attributes?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly capacity?: Readonly<Record<string, { readonly value: string | number }>>;
  readonly allowMultipleAllocations?: boolean;
}

/** Whether a device of a ResourceSlice is chosen. Throws CelEvaluationError. Names without a domain are the driver's. */
export function deviceMatches(program: CelProgram, driver: string, candidate: DeviceLike): boolean {
  const value = new JsonMap(
    {
      driver,
      allowMultipleAllocations: candidate.allowMultipleAllocations === true,
      attributes: grouped(driver, candidate.attributes ?? {}),
      capacity: grouped(driver, candidate.capacity ?? {}),
    },
    (member) => (typeof member === 'object' ? new Domains(member as Groups) : member),
  );
  return program.run((name) => (name === 'device' ? value : undefined), deviceSelectorCostMax).value === true;
}

type Groups = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

function grouped(driver: string, named: Readonly<Record<string, unknown>>): Groups {
  const out: Record<string, Record<string, unknown>> = {};
  for (const [name, value] of Object.entries(named)) {
    const slash = name.indexOf('/');
    const group = slash < 0 ? driver : name.slice(0, slash);
    out[group] = { ...out[group], [slash < 0 ? name : name.slice(slash + 1)]: value };
  }
  return out;
}

/** Domains that a device does not have are empty. */
class Domains extends JsonMap {
  constructor(groups: Groups) {
    super(groups, (group) => new JsonMap(group as Readonly<Record<string, unknown>>, attributeValue));
  }
  override get(key: unknown): unknown {
    return super.get(key) ?? new JsonMap({});
  }
}

function attributeValue(raw: unknown): unknown {
  const attribute = raw as Readonly<Record<string, unknown>>;
  if (typeof attribute['version'] === 'string') return semverValue(attribute['version']);
  if (attribute['value'] !== undefined) return quantityValue(String(attribute['value'] as string));
  return fromJson(attribute['int'] ?? attribute['bool'] ?? attribute['string']);
}
