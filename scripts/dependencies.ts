// `npm run licences`: licences, install scripts and fixed versions of everything that is installed, by package-lock.json alone; then
// what the registry knows about holes in it (`--offline` leaves that out).
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './files.ts';

/** May be part of what we ship. */
const licences = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Python-2.0',
  'Unlicense',
]);
/** May be used for development: nothing of it is shipped. */
const developmentLicences = new Set(['MPL-2.0']);

/** Who may run a program when it is installed, and what for. */
const installScripts: Readonly<Record<string, string>> = {
  esbuild: 'puts its binary in place',
  fsevents: 'macOS only, development',
  lmdb: 'looks for its prebuilt binary',
  'msgpackr-extract': 'looks for its prebuilt binary',
  protobufjs: 'compares version numbers',
};

export interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** What is wrong with a lock file, one line each. */
export function lockFindings(packages: Readonly<Record<string, LockedPackage>>): string[] {
  return Object.entries(packages).flatMap(([place, found]) => {
    const index = place.lastIndexOf('node_modules/');
    if (index < 0) return manifestFindings(place || 'package.json', found);
    if (found.link === true) return [];
    const name = place.slice(index + 'node_modules/'.length);
    const shown = `${name}@${found.version ?? '?'}`;
    const findings: string[] = [];
    if (!/^\d+\.\d+\.\d+/.test(found.version ?? '')) findings.push(`${shown} has no fixed version`);
    if (!/^sha512-/.test(found.integrity ?? ''))
      findings.push(`${shown} has no sha512 integrity: remove the lock file's entry and install again`);
    // The registry of the configuration is asked, whichever it is, and the integrity decides.
    if (found.resolved !== undefined)
      findings.push(`${shown} comes from ${found.resolved}: the lock file names no addresses`);
    if (!isAllowed(found))
      findings.push(
        `${shown} has licence ${found.license ?? 'none'}: choose another, or allow it in scripts/dependencies.ts with a reason`,
      );
    if (found.hasInstallScript === true && !Object.hasOwn(installScripts, name))
      findings.push(
        `${shown} runs a program when it is installed: name it in scripts/dependencies.ts once you have read it`,
      );
    return findings;
  });
}

function isAllowed({ license = '', dev, devOptional }: LockedPackage): boolean {
  const isDevelopment = dev === true || devOptional === true;
  const fits = (each: string): boolean =>
    licences.has(each) || (isDevelopment && developmentLicences.has(each));
  // `(MIT OR X)`: one is enough. `(MIT AND X)`: all are needed.
  const text = license.replace(/[()]/g, '');
  return text.split(' OR ').some((part) => part.split(' AND ').every((each) => fits(each.trim())));
}

/** Dependencies of our own manifests: versions of the registry only. */
function manifestFindings(place: string, found: LockedPackage): string[] {
  const all = { ...found.dependencies, ...found.devDependencies, ...found.optionalDependencies };
  return Object.entries(all).flatMap(([name, range]) =>
    /^[\^~]?\d+(\.\d+)*(\.x)?$/.test(range) ? [] : [`${place} wants ${name} as "${range}": name a version`],
  );
}

/** True unless the registry knows of a serious hole. A registry that has no answer is told loudly. */
function audit(): boolean {
  const result = spawnSync('npm', ['audit', '--json', '--omit=dev'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  interface Report {
    readonly metadata?: { readonly vulnerabilities?: Readonly<Record<string, number>> };
    readonly vulnerabilities?: Readonly<
      Record<string, { readonly severity: string; readonly range: string }>
    >;
  }
  let report: Report = {};
  try {
    report = JSON.parse(result.stdout) as Report;
  } catch {
    // No report.
  }
  const counts = report.metadata?.vulnerabilities;
  if (counts === undefined) {
    process.stdout.write('SKIP  npm audit: THE REGISTRY GAVE NO ANSWER, known holes were NOT looked for\n');
    return true;
  }
  const serious = Object.entries(report.vulnerabilities ?? {}).filter(
    ([, { severity }]) => severity === 'high' || severity === 'critical',
  );
  for (const [name, { severity, range }] of serious)
    process.stdout.write(`${name} ${range}: ${severity}, see npm audit\n`);
  process.stdout.write(`npm audit: ${JSON.stringify(counts)}\n`);
  return serious.length === 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, LockedPackage>>;
  };
  const findings = lockFindings(lock.packages);
  for (const finding of findings) process.stdout.write(`${finding}\n`);
  process.stdout.write(`${Object.keys(lock.packages).length} packages, ${findings.length} findings\n`);
  const isSound = process.argv.includes('--offline') || audit();
  process.exit(findings.length === 0 && isSound ? 0 : 1);
}
