import type { FeatureGate } from '@pilothouse/api';
import { earlierGateStates, featureGates } from '@pilothouse/api';
import { FlagError } from '@pilothouse/host';

/** A minor release of Kubernetes 1. */
export type Minor = number;

export const binaryMinor: Minor = 36;
/** Emulation reaches three releases back, as upstream's. */
const minorFloor: Minor = 33;

/** Which release the API server is to look like, and which ones it has to get on with. */
export interface EmulatedRelease {
  readonly minor: Minor;
  readonly minCompatibility: Minor;
  /** Resources that --runtime-config names are served though the emulated release does not know them. */
  readonly servesNamed: boolean;
}

export interface EmulationFlags {
  readonly emulated: readonly string[];
  readonly minCompatibility: readonly string[];
  readonly forwardCompatible: boolean;
  readonly runtimeConfigForwardCompatible: boolean;
}

const shown = (minor: Minor): string => `1.${minor}`;

/** `1.35` or `kube=1.35`; undefined: not given. Throws FlagError with upstream's texts. */
function minorOf(values: readonly string[]): Minor | undefined {
  let found: { readonly major: number; readonly minor: number } | undefined;
  for (const value of values) {
    const equals = value.indexOf('=');
    const component = equals < 0 ? 'kube' : value.slice(0, equals).trim();
    const text = equals < 0 ? value : value.slice(equals + 1).trim();
    const match = /^\s*v?(\d+)\.(\d+)(?:\.(\d+))?(?:\.\d+)*$/.exec(text);
    if (match === null) throw new FlagError(`could not parse "${text}" as version`);
    const [major, minor, patch] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
    if (patch !== 0) throw new FlagError(`patch version not allowed, got: ${component}=${text}`);
    if (component !== 'kube') throw new FlagError(`component not registered: ${component}`);
    if (found !== undefined)
      throw new FlagError(
        `duplicate version flag, kube=${found.major}.${found.minor} and kube=${major}.${minor}`,
      );
    found = { major, minor };
  }
  if (found === undefined) return undefined;
  // Another major release is as far away as can be.
  return found.major === 1 ? found.minor : found.major === 0 ? 0 : Infinity;
}

/** What --emulated-version and its companions ask for. Throws FlagError. */
export function emulatedRelease(flags: EmulationFlags): EmulatedRelease {
  const minor = minorOf(flags.emulated) ?? binaryMinor;
  const usual = Math.max(minor - 1, minorFloor);
  const minCompatibility = minorOf(flags.minCompatibility) ?? usual;
  const problems: string[] = [];
  if (minor > binaryMinor || minor < minorFloor)
    problems.push(
      `emulation version ${shown(minor)} is not between [${shown(minorFloor)}, ${shown(binaryMinor)}.0]`,
    );
  if (minCompatibility > minor || minCompatibility < minorFloor)
    problems.push(
      `minCompatibilityVersion version ${shown(minCompatibility)} is not between [${shown(minorFloor)}, ${shown(minor)}]`,
    );
  if (problems.length > 0)
    throw new FlagError(problems.length === 1 ? (problems[0] as string) : `[${problems.join(', ')}]`);
  if (minCompatibility !== usual)
    throw new FlagError(
      `--min-compatibility-version=${shown(minCompatibility)} is not supported: with release ${shown(minor)} it is ${shown(usual)}`,
    );
  for (const [name, given] of [
    ['EmulationForwardCompatible', flags.forwardCompatible],
    ['RuntimeConfigEmulationForwardCompatible', flags.runtimeConfigForwardCompatible],
  ] as const)
    if (given && minor === binaryMinor)
      throw new FlagError(
        `ServerRunOptions.${name} cannot be set to true if the emulation version is the same as the binary version`,
      );
  if (flags.forwardCompatible)
    throw new FlagError(
      '--emulation-forward-compatible is not supported: name the versions in --runtime-config and set --runtime-config-emulation-forward-compatible',
    );
  return { minor, minCompatibility, servesNamed: flags.runtimeConfigForwardCompatible };
}

export const minorOfRelease = (release: string): Minor => Number(release.split('.')[1]);

/** The gate as it was in that release; undefined: it was not there yet. */
export function gateAt(gate: string, minor: Minor): FeatureGate | undefined {
  const now = Object.hasOwn(featureGates, gate) ? featureGates[gate] : undefined;
  if (now === undefined || minorOfRelease(now.since) <= minor) return now;
  const state = (earlierGateStates[gate] ?? '')
    .split(', ')
    .filter((each) => each !== '' && minorOfRelease(each.split(' ')[0] as string) <= minor)
    .at(-1);
  if (state === undefined) return undefined;
  const [since = '', stage, setting, locked] = state.split(' ');
  return {
    stage: stage as FeatureGate['stage'],
    default: setting === 'on',
    since,
    ...(locked === undefined ? {} : { locked: true }),
  };
}
