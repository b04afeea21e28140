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

/**
 * The policy that a namespace's labels state, and what is wrong with them. As upstream, a level that cannot be read is
 * privileged for audit and warn, and restricted for enforce.
 */
export function namespacePolicy(labels: Readonly<Record<string, string>> | undefined): {
  readonly policy: NamespacePolicy;
  readonly errors: FieldError[];
} {
  const errors: FieldError[] = [];
  const read = (mode: PodSecurityMode, fallback: LevelVersion): LevelVersion => {
    const levelLabel = labels?.[`${prefix}${mode}`];
    const versionLabel = labels?.[`${prefix}${mode}-version`];
    let { level, version } = fallback;
    if (levelLabel !== undefined) {
      if (levels.includes(levelLabel)) level = levelLabel as PodSecurityLevel;
      else {
        level = mode === 'enforce' ? 'restricted' : 'privileged';
        errors.push(fieldError.invalid(labelPath(mode), levelLabel, `must be one of ${levels.join(', ')}`));
      }
      version = 'latest';
    }
    if (versionLabel !== undefined) {
      if (versionLabel === 'latest' || versionPattern.test(versionLabel)) version = versionLabel;
      else {
        version = 'latest';
        errors.push(
          fieldError.invalid(labelPath(`${mode}-version`), versionLabel, 'must be "latest" or "v1.x"'),
        );
      }
    }
    return { level, version };
  };
  const open: LevelVersion = { level: 'privileged', version: 'latest' };
  const enforce = read('enforce', open);
  // Who enforces a level wants to hear about controllers that would break it.
  const told = labels?.[`${prefix}enforce`] === undefined ? open : enforce;
  return { policy: { enforce, audit: read('audit', told), warn: read('warn', told) }, errors };
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
