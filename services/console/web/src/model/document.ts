import { parse, YAMLParseError } from 'yaml';

/**
 * YAML of an object as the server writes it, without the record of who owns which field: it is longer than the rest and written by nobody. Only
 * the block `managedFields` directly below `metadata` goes; an update without it leaves it as it is.
 */
export function withoutManagedFields(yaml: string): string {
  const lines: string[] = [];
  let inMetadata = false;
  let skipping = false;
  for (const line of yaml.split('\n')) {
    if (/^\S/.test(line)) inMetadata = line === 'metadata:';
    if (skipping && (/^ {0,2}[^\s-]/.test(line) || line === '')) skipping = false;
    if (inMetadata && line === '  managedFields:') skipping = true;
    if (!skipping) lines.push(line);
  }
  return lines.join('\n');
}

/** Why a text is no object that could be sent, or undefined. */
export function problemOf(yaml: string): string | undefined {
  try {
    const value: unknown = parse(yaml, { maxAliasCount: 100 });
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'That is no object';
    const { apiVersion, kind, metadata } = value as Record<string, unknown>;
    if (typeof apiVersion !== 'string' || typeof kind !== 'string') return 'apiVersion and kind are missing';
    if (typeof metadata !== 'object' || metadata === null) return 'metadata is missing';
    return undefined;
  } catch (error) {
    if (error instanceof YAMLParseError) {
      const [start] = error.linePos ?? [];
      return `${start === undefined ? '' : `Line ${start.line}, column ${start.col}: `}${error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '')}`;
    }
    return error instanceof Error ? error.message : String(error);
  }
}

/** What a server-side apply sends: the text without what only the server writes, so that the console does not come to own that. */
export function applyBody(yaml: string): string {
  const object = parse(yaml) as Record<string, unknown>;
  const metadata = { ...(object['metadata'] as Record<string, unknown>) };
  for (const name of [
    'managedFields',
    'resourceVersion',
    'uid',
    'creationTimestamp',
    'generation',
    'selfLink',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ])
    delete metadata[name];
  const { status: _status, ...rest } = object;
  return JSON.stringify({ ...rest, metadata });
}

/** The text with another resourceVersion, so that it is written over that one. */
export function onVersion(yaml: string, resourceVersion: string): string {
  const lines = yaml.split('\n');
  let inMetadata = false;
  for (const [index, line] of lines.entries()) {
    if (/^\S/.test(line)) inMetadata = line.startsWith('metadata:');
    if (inMetadata && /^ {2}resourceVersion:/.test(line)) {
      lines[index] = `  resourceVersion: ${JSON.stringify(resourceVersion)}`;
      return lines.join('\n');
    }
  }
  return yaml.replace(/^metadata:$/m, `metadata:\n  resourceVersion: ${JSON.stringify(resourceVersion)}`);
}

/** metadata.resourceVersion of a text, without reading all of it. */
export const versionOf = (yaml: string): string =>
  /^ {2}resourceVersion: ["']?(\w+)["']?$/m.exec(yaml)?.[1] ?? '';
