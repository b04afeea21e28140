import type { FieldError } from '@pilothouse/apimachinery';
import { FieldPath, fieldError } from '@pilothouse/apimachinery';
import type { PodSecurityLevel } from './restricted.ts';

export type PodSecurityMode = 'enforce' | 'audit' | 'warn';

/** A level as of a minor version; `latest` for the newest. */
export interface LevelVersion {
  readonly level: PodSecurityLevel;
  readonly version: string;
}

export type NamespacePolicy = Readonly<Record<PodSecurityMode, LevelVersion>>;

const prefix = 'pod-security.kubernetes.io/';
const levels: readonly string[] = ['privileged', 'baseline', 'restricted'];
const versionPattern = /^v1\.([0-9]|[1-9][0-9]*)$/;

export const levelProblem = `must be one of ${levels.join(', ')}`;
export const versionProblem = 'must be "latest" or "v1.x"';

export const isLevel = (text: string): text is PodSecurityLevel => levels.includes(text);

export const isLevelVersion = (text: string): boolean => text === 'latest' || versionPattern.test(text);

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
    const levelLabel = labels?.[`${prefix}${mode}`];
    const versionLabel = labels?.[`${prefix}${mode}-version`];
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
  const isEnforced = isLevel(labels?.[`${prefix}enforce`] ?? '');
  if (isEnforced && labels?.[`${prefix}warn`] === undefined && compareLevels(enforce.level, warn.level) > 0) {
    const hasVersion = labels?.[`${prefix}warn-version`] !== undefined;
    warn = { level: enforce.level, version: hasVersion ? warn.version : enforce.version };
  }
  return { policy: { enforce, audit, warn }, errors };
}

function labelPath(label: string): FieldPath {
  return new FieldPath('metadata.labels').key(`${prefix}${label}`);
}

/** `baseline:latest`. */
export function levelText({ level, version }: LevelVersion): string {
  return `${level}:${version}`;
}

/** Positive when `a` is stricter. */
export function compareLevels(a: PodSecurityLevel, b: PodSecurityLevel): number {
  return levels.indexOf(a) - levels.indexOf(b);
}
