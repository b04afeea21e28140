import { binaryMinor } from '../../emulated-release.ts';
import { baselineChecks } from './baseline.ts';
import type { Check, Finding, PodSecurityCheck, PodView, VersionedCheck } from './finding.ts';
import type { LevelVersion } from './namespace-policy.ts';
import { restrictedChecks } from './restricted.ts';

/** What a level as of a release holds against a pod, in upstream's order. */
export type Evaluate = (policy: LevelVersion, pod: PodView) => Finding[];

/**
 * Judges pods by the checks as they were in the release that a policy names. `newest`: the minor release that is emulated; what a policy
 * asks of later ones (and `latest`) is judged as of it.
 */
export function openEvaluator(newest: number = binaryMinor): Evaluate {
  const byRelease = new Map<string, readonly Check[]>();
  return ({ level, version }, pod) => {
    if (level === 'privileged') return [];
    const asked = version === 'latest' ? newest : Number(version.slice('v1.'.length));
    const minor = Math.min(asked, newest);
    const key = `${level}:${minor}`;
    let checks = byRelease.get(key);
    if (checks === undefined) {
      checks = checksOf(level, minor);
      byRelease.set(key, checks);
    }
    return checks.map((check) => check(pod)).filter((finding): finding is Finding => finding !== undefined);
  };
}

/** The checks of a level as of a release. */
function checksOf(level: 'baseline' | 'restricted', minor: number): Check[] {
  const ofBaseline = inForce(baselineChecks, minor);
  if (level === 'baseline') return [...ofBaseline.values()].map(({ check }) => check);
  const ofRestricted = inForce(restrictedChecks, minor);
  const replaced = new Set([...ofRestricted.values()].flatMap(({ replaces }) => replaces ?? []));
  const kept = [...ofBaseline].filter(([id]) => !replaced.has(id)).map(([, versioned]) => versioned);
  return [...kept, ...ofRestricted.values()].map(({ check }) => check);
}

function inForce(checks: readonly PodSecurityCheck[], minor: number): Map<string, VersionedCheck> {
  const found = new Map<string, VersionedCheck>();
  for (const { id, versions } of checks) {
    const versioned = versions.findLast(({ from }) => from <= minor);
    if (versioned !== undefined) found.set(id, versioned);
  }
  return found;
}
