// `npm run tidy`: the repository's own rules, run as a program. Each finding names the file, the line and what to do instead.
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { globSync, root } from './files.ts';
import { corePackages, folderOf, importTable } from './import-table.ts';

const findings: string[] = [];
const find = (file: string, line: number, text: string): void =>
  void findings.push(`${file}:${line}: ${text}`);
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const isLink = (file: string): boolean =>
  lstatSync(path.join(root, file), { throwIfNoEntry: false })?.isSymbolicLink() === true;
const isTest = (file: string): boolean =>
  /\.(test|fuzz|bench)\.ts$|\/(simulation|testing|testdata)\/|conformance\.ts$/.test(file);

/** Longest file that needs no entry here; a listed file may not grow past its number. */
const linesMax = 500;
const ratchet = JSON.parse(read('scripts/tidy-ratchet.json')) as Record<string, number>;

const banned: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bDate\.now\(/, 'take a Clock and call clock.now()'],
  [/\bnew Date\(\)/, 'take a Clock and pass clock.now() to new Date()'],
  [/\bMath\.random\(/, 'take a Random'],
  [/(?<![.\w])set(Timeout|Interval)\(/, 'take a Clock and call clock.setTimeout()'],
  [/(?<![.\w])performance\.now\(/, 'take a Clock and call clock.monotonic()'],
  [/@ts-(ignore|expect-error)/, 'give the value its type'],
  [/\b(TODO|FIXME|XXX)\b/, 'do it, or say in the docs what is missing'],
];
/** May touch the real clock, timers and randomness; base only declares them. */
const clockAllowed =
  /^packages\/(host|testkit)\/|^packages\/base\/src\/clock\.ts|^scripts\/|^tests\/|^loadtest\//;
/** The one core file that waits: restoring an image that arrives in pieces. */
const awaitAllowed = 'services/store/src/core/apply/state-machine.ts';

function checkSources(): void {
  for (const name of Object.keys(importTable)) {
    const folder = folderOf(name);
    const manifest = JSON.parse(read(`${folder}/package.json`)) as { dependencies?: Record<string, string> };
    const declared = Object.keys(manifest.dependencies ?? {});
    for (const each of declared.filter((dependency) => dependency.startsWith('@pilothouse/'))) {
      const target = each.slice('@pilothouse/'.length);
      if (!importTable[name]?.includes(target))
        find(`${folder}/package.json`, 1, `${name} may not depend on ${target} (scripts/import-table.ts)`);
    }
    for (const file of globSync([`${folder}/src`], /\.ts$/)) {
      const text = read(file);
      const isCore = corePackages.includes(name) || /\/src\/core\//.test(file);
      const lines = text.split('\n');
      for (const [index, line] of lines.entries()) {
        const imported =
          /^(?:import|export)\b.*\bfrom '([^']+)'|^\} from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/
            .exec(line)
            ?.slice(1)
            .find((each) => each !== undefined);
        if (imported !== undefined) checkImport(name, file, index + 1, imported, declared, isCore);
        if (/^\s*(\/\/|\*|\/\*)/.test(line)) {
          if (/\b(TODO|FIXME|XXX)\b/.test(line))
            find(file, index + 1, 'do it, or say in the docs what is missing');
          continue;
        }
        for (const [pattern, instead] of banned) {
          if (pattern.test(line) && !isTest(file) && !clockAllowed.test(file))
            find(file, index + 1, `${pattern.source} is not allowed here: ${instead}`);
        }
        if (isCore && !isTest(file) && file !== awaitAllowed && /\bawait\b/.test(line))
          find(file, index + 1, 'core code is synchronous: return an effect and let the shell wait');
      }
    }
  }
}

function checkImport(
  name: string,
  file: string,
  line: number,
  imported: string,
  declared: readonly string[],
  isCore: boolean,
): void {
  if (imported.startsWith('@pilothouse/')) {
    const target = imported.split('/')[1] as string;
    const allowed =
      importTable[name]?.includes(target) || (target === 'testkit' && isTest(file)) || isTest(file);
    if (!allowed) find(file, line, `${name} may not import ${target} (scripts/import-table.ts)`);
    return;
  }
  if (imported.startsWith('node:')) {
    if (isCore && !isTest(file))
      find(file, line, `core code may not import ${imported}: take a port from base`);
    return;
  }
  if (imported.startsWith('.')) {
    if (isCore && !isTest(file) && /\/io\//.test(imported)) find(file, line, 'core never imports io');
    return;
  }
  const packageName = imported.startsWith('@')
    ? imported.split('/').slice(0, 2).join('/')
    : (imported.split('/')[0] as string);
  // tsx is there only when the program runs from source.
  if (!declared.includes(packageName) && packageName !== 'tsx' && !isTest(file))
    find(file, line, `${packageName} is not a dependency of ${name}`);
}

function checkLength(file: string, lines: number): void {
  const allowed = ratchet[file] ?? linesMax;
  if (lines > allowed)
    find(
      file,
      1,
      `${lines} lines, at most ${allowed}: is it still one noun? (scripts/tidy-ratchet.json may only shrink)`,
    );
}

function checkTexts(): void {
  const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' })
    .split('\n')
    // What a link leads to is looked at where it stands.
    .filter((file) => file !== '' && !isLink(file));
  const local =
    /(?<![\w.])\/(?:root|work|farm|home\/\w+)\/|registry\.npmjs|proxy\.golang\.org|files\.pythonhosted/;
  for (const file of tracked) {
    if (
      !existsSync(path.join(root, file)) ||
      /\.(png|snap|wal|lock|db)$|(^|\/)testdata\//.test(file) ||
      file.endsWith('go.sum') ||
      file === 'scripts/tidy.ts'
    )
      continue;
    const text = read(file);
    if (text.length > 1_000_000 && !file.includes('generated'))
      find(file, 1, 'is larger than 1 MB: large files do not belong into the repository');
    const lines = text.split('\n');
    if (/\.(ts|tsx|mjs)$/.test(file) && !file.includes('/generated/')) checkLength(file, lines.length);
    for (const [index, line] of lines.entries())
      if (local.test(line)) find(file, index + 1, 'names a path or a host of one machine');
  }
  for (const file of Object.keys(ratchet))
    if (!existsSync(path.join(root, file)))
      find('scripts/tidy-ratchet.json', 1, `${file} is gone: remove its entry`);
}

function checkDocuments(): void {
  const changelog = read('CHANGELOG.md');
  if (!changelog.includes('## Unreleased')) find('CHANGELOG.md', 1, 'needs a section "## Unreleased" on top');
  const numbers = new Map<string, string>();
  for (const file of globSync(['docs/adr'], /\.md$/)) {
    const number = /\/(\d{4})-[a-z0-9-]+\.md$/.exec(file)?.[1];
    if (number === undefined) find(file, 1, 'is named NNNN-words.md');
    else if (numbers.has(number)) find(file, 1, `has the number of ${numbers.get(number)}`);
    else numbers.set(number, file);
    if (!/^Status: /m.test(read(file))) find(file, 1, 'needs a line "Status: …"');
  }
}

checkSources();
checkTexts();
checkDocuments();
for (const finding of findings) process.stdout.write(`${finding}\n`);
process.stdout.write(findings.length === 0 ? 'tidy\n' : `${findings.length} findings\n`);
process.exit(findings.length === 0 ? 0 : 1);
