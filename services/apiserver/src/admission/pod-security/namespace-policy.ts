import type { FieldError } from '@pilothouse/apimachinery';
import { FieldPath, fieldError } from '@pilothouse/apimachinery';
import type { PodSecurityLevel } from './finding.ts';

export type PodSecurityMode = 'enforce' | 'audit' | 'warn';

/** A level as of a minor version; `latest` for the newest. */
export interface LevelVersion {
  readonly level: PodSecurityLevel;
  readonly version: string;
}

export type NamespacePolicy = Readonly<Record<PodSecurityMode, LevelVersion>>;

/** Of the labels of a namespace, and of annotations in the audit log. */
export const labelPrefix = 'pod-security.kubernetes.io/';
const levels: readonly string[] = ['privileged', 'baseline', 'restricted'];
const versionPattern = /^v1\.([0-9]|[1-9][0-9]*)$/;

export const levelProblem = `must be one of ${levels.join(', ')}`;
export const versionProblem = 'must be "latest" or "v1.x"';

export const isLevel = (text: string): text is PodSecurityLevel => levels.includes(text);

/** Minor releases are signed numbers of 64 bits. */
const minorMax = 2n ** 63n - 1n;

export function isLevelVersion(text: string): boolean {
  if (text === 'latest') return true;
  const minor = versionPattern.exec(text)?.[1];
  return minor !== undefined && BigInt(minor) <= minorMax;
}

const open: LevelVersion = { level: 'privileged', version: 'latest' };
export const openPolicy: NamespacePolicy = { enforce: open, audit: open, warn: open };

/**
 * The policy that a namespace's labels state, over the defaults, and what is wrong with them. As upstream, a level that cannot be read
 * is privileged for audit and warn, and restricted for enforce.
 */
export function namespacePolicy(
  labels: Readonly<Record<string, string>> | undefined,
  defaults: NamespacePolicy = openPolicy,
): {
  readonly policy: NamespacePolicy;
  readonly errors: FieldError[];
} {
  const errors: FieldError[] = [];
  const read = (mode: PodSecurityMode): LevelVersion => {
    const levelLabel = labels?.[`${labelPrefix}${mode}`];
    const versionLabel = labels?.[`${labelPrefix}${mode}-version`];
    let { level, version } = defaults[mode];
    if (levelLabel !== undefined) {
      if (isLevel(levelLabel)) level = levelLabel;
      else {
        level = mode === 'enforce' ? 'restricted' : 'privileged';
        errors.push(fieldError.invalid(labelPath(mode), levelLabel, levelProblem));
      }
    }
    if (versionLabel !== undefined) {
      version = isLevelVersion(versionLabel) ? versionLabel : 'latest';
      if (!isLevelVersion(versionLabel))
        errors.push(fieldError.invalid(labelPath(`${mode}-version`), versionLabel, versionProblem));
    }
    return { level, version };
  };
  const enforce = read('enforce');
  const audit = read('audit');
  let warn = read('warn');
  // Who enforces a level wants to hear about controllers that would break it.
  const isEnforced = isLevel(labels?.[`${labelPrefix}enforce`] ?? '');
  if (
    isEnforced &&
    labels?.[`${labelPrefix}warn`] === undefined &&
    compareLevels(enforce.level, warn.level) > 0
  ) {
    const hasVersion = labels?.[`${labelPrefix}warn-version`] !== undefined;
    warn = { level: enforce.level, version: hasVersion ? warn.version : enforce.version };
  }
  return { policy: { enforce, audit, warn }, errors };
}

function labelPath(label: string): FieldPath {
  return new FieldPath('metadata.labels').key(`${labelPrefix}${label}`);
}

/** `baseline:latest`. */
export function levelText({ level, version }: LevelVersion): string {
  return `${level}:${version}`;
}

/** Positive when `a` is stricter. */
export function compareLevels(a: PodSecurityLevel, b: PodSecurityLevel): number {
  return levels.indexOf(a) - levels.indexOf(b);
}

const modes = ['enforce', 'audit', 'warn'] as const;

/** Whether no mode asks anything of pods. */
export function isPrivileged(policy: NamespacePolicy): boolean {
  return modes.every((mode) => policy[mode].level === 'privileged');
}

/** Whether both ask the same of pods. */
export function samePolicy(a: NamespacePolicy, b: NamespacePolicy): boolean {
  return modes.every(
    (mode) =>
      a[mode].level === b[mode].level &&
      (a[mode].level === 'privileged' || a[mode].version === b[mode].version),
  );
}
