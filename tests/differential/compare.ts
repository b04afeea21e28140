import { jsonText, parseExact } from '@pilothouse/apimachinery';
import type { Answer } from './client.ts';

/** What must be equal of two answers. */
interface Comparable {
  readonly status: number;
  readonly warnings: readonly string[];
  readonly contentType: string | undefined;
  readonly body: unknown;
}

export interface Difference {
  readonly path: string;
  readonly stock: unknown;
  readonly ours: unknown;
}

const uid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** Times of this run; those in the objects lie in other years. */
const hourPattern = (year: number): RegExp =>
  new RegExp(`${year}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?Z`, 'g');

function normaliseText(text: string, now: RegExp): string {
  return (
    text
      .replaceAll(uid, '<uid>')
      .replaceAll(now, '<now>')
      // Go takes the name from the place where it was built: releases say the first, programs built from modules the second.
      .replaceAll(/pkg\/api\/legacyscheme\/scheme\.go:30|pkg\/runtime\/scheme\.go:111/g, '<scheme>')
      .replaceAll(/(\\?"resourceVersion\\?":\\?"|resourceVersion: "|resourceVersion:)\d+/g, '$1<revision>')
      .replaceAll(/\b10\.0\.\d+\.\d+\b(?!\/)/g, (ip) => (ip === '10.0.0.1' ? ip : '<ip>'))
      .replaceAll(/([nN]odePort\\*"?: ?)3\d{4}\b/g, '$1<port>')
      .replaceAll(/:3[0-2]\d{3}\/(TCP|UDP|SCTP)/g, ':<port>/$1')
      .replaceAll(/in record \(\d+\)/g, 'in record (<revision>)')
      .replaceAll(/ResourceVersion in object meta: \d+/g, 'ResourceVersion in object meta: <revision>')
      .replaceAll(/, current: \d+/g, ', current: <revision>')
      .replaceAll(/kube-api-access-[a-z0-9]{5}/g, 'kube-api-access-<suffix>')
  );
}

/** Values that the two servers choose freely: allocated addresses and ports, revisions. */
function normalise(value: unknown, now: RegExp, path: readonly string[] = []): unknown {
  const name = path.at(-1);
  if (typeof value === 'string') {
    if (path.at(-2) === 'cells' && /^(?:\d+[smhd])+$/.test(value)) return '<age>';
    if (name === 'resourceVersion') return '<revision>';
    if (name === 'continue' && value !== '') return '<token>';
    if ((name === 'clusterIP' || path.at(-2) === 'clusterIPs') && value.startsWith('10.')) return '<ip>';
    return normaliseText(value, now);
  }
  if (typeof value === 'number' && (name === 'nodePort' || name === 'healthCheckNodePort') && value >= 30000)
    return '<port>';
  if (Array.isArray(value)) return value.map((each, index) => normalise(each, now, [...path, String(index)]));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, each]) => [key, normalise(each, now, [...path, key])]),
    );
  return value;
}

interface Cause {
  readonly field?: string;
  readonly reason?: string;
  readonly message?: string;
}

/**
 * How often the same cause is told depends on how many layers check it; it counts once. Upstream walks Go maps while it validates: the order of causes, and with it the message, is not fixed. Causes are sorted, and a
 * message that lists several is compared as its sorted words.
 */
function sortCauses(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || (body as { kind?: unknown }).kind !== 'Status')
    return body;
  const status = body as { message?: string; details?: { causes?: Cause[] } };
  const causes = status.details?.causes;
  if (!causes || causes.length < 2) return status;
  const key = (cause: Cause): string => `${cause.field}\0${cause.reason}\0${cause.message}`;
  const told = new Map(causes.map((cause) => [key(cause), cause]));
  return {
    ...status,
    ...(told.size > 1 && {
      message: (status.message ?? '')
        .split(/[\s,[\]]+/)
        .sort()
        .join(' '),
    }),
    details: {
      ...status.details,
      causes: [...told.entries()].sort(([one], [two]) => (one < two ? -1 : 1)).map(([, cause]) => cause),
    },
  };
}

function comparable(answer: Answer, now: RegExp): Comparable {
  let body: unknown = answer.text;
  try {
    body = parseExact(answer.text);
  } catch {
    // Texts are compared as they are.
  }
  return {
    status: answer.status,
    contentType: answer.contentType,
    warnings: answer.warnings.map((warning) => normaliseText(warning, now)).sort(),
    body: sortCauses(normalise(body, now)),
  };
}

/** Paths at which the answers differ. */
export function differences(stock: Answer, ours: Answer): Difference[] {
  const now = hourPattern(new Date().getUTCFullYear());
  const found: Difference[] = [];
  walk('', comparable(stock, now), comparable(ours, now), found);
  return found;
}

function walk(path: string, stock: unknown, ours: unknown, found: Difference[]): void {
  if (Object.is(stock, ours)) return;
  if (
    typeof stock === 'object' &&
    typeof ours === 'object' &&
    stock !== null &&
    ours !== null &&
    Array.isArray(stock) === Array.isArray(ours)
  ) {
    if (Array.isArray(stock) && path.endsWith('.causes'))
      return walkCauses(path, stock as Cause[], ours as Cause[], found);
    for (const key of new Set([...Object.keys(stock), ...Object.keys(ours)]))
      walk(
        `${path}.${key}`,
        (stock as Record<string, unknown>)[key],
        (ours as Record<string, unknown>)[key],
        found,
      );
    return;
  }
  found.push({ path, stock, ours });
}

/** Causes are told apart by what they say, so that one that is missing does not shift the others. */
function walkCauses(
  path: string,
  stock: readonly Cause[],
  ours: readonly Cause[],
  found: Difference[],
): void {
  const rest = ours.map((cause) => JSON.stringify(cause));
  for (const cause of stock) {
    const at = rest.indexOf(JSON.stringify(cause));
    if (at >= 0) rest.splice(at, 1);
    else found.push({ path: `${path}[${cause.field}]`, stock: cause, ours: undefined });
  }
  for (const cause of rest) {
    const parsed = JSON.parse(cause) as Cause;
    found.push({ path: `${path}[${parsed.field}]`, stock: undefined, ours: parsed });
  }
}

/** One line that stands for all differences of the same cause. */
export function signature(kind: string, found: readonly Difference[]): string {
  const causes = found.filter((each) => each.path.includes('.causes['));
  const first = causes[0] ?? found.find((each) => each.path === '.body.message') ?? found[0];
  if (!first) return kind;
  const short = (value: unknown): string =>
    (value === undefined ? '-' : jsonText(value)).replaceAll(/\d+/g, '#').slice(0, 260);
  return `${kind} ${first.path.replaceAll(/\d+/g, '#')}\n      stock ${short(first.stock)}\n      ours  ${short(first.ours)}`;
}
