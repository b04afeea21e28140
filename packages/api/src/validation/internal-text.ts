import { shownMember } from '@pilothouse/apimachinery';
import { internalLayouts } from './internal-layouts.ts';
import type { Json } from './values.ts';
import { entries, isSet, list } from './values.ts';

interface Member {
  readonly goName: string;
  readonly jsonName: string;
  readonly zero: unknown;
  readonly form: '' | '=' | '*' | '[]';
  readonly type: string;
}

const parsed = new Map<string, readonly Member[]>();

function membersOf(type: string): readonly Member[] {
  const known = parsed.get(type);
  if (known !== undefined) return known;
  const members = (internalLayouts[type] ?? '')
    .split(' ')
    .filter((word) => word !== '')
    .map(parseMember);
  parsed.set(type, members);
  return members;
}

const zeroes: Readonly<Record<string, unknown>> = { s: '', i: 0, b: false, q: '0' };

function parseMember(word: string): Member {
  const match = /^(\w+)(?:=(\w+))?(?::(.+))?$/.exec(word) as RegExpExecArray;
  const goName = match[1] as string;
  const code = match[3] ?? '';
  const form = code.startsWith('[]') ? '[]' : code.startsWith('=') ? '=' : code.startsWith('*') ? '*' : '';
  return {
    goName,
    jsonName: match[2] ?? jsonNameOf(goName),
    zero: form === '' ? (zeroes[code] ?? null) : null,
    form,
    type: code.slice(form.length),
  };
}

/** `DNSPolicy` → `dnsPolicy`, `TTY` → `tty`. */
function jsonNameOf(goName: string): string {
  const run = (/^[A-Z]+/.exec(goName) as RegExpExecArray)[0].length;
  const lower = run === 1 || run === goName.length || !/[a-z]/.test(goName[run] ?? '') ? run : run - 1;
  return goName.slice(0, lower).toLowerCase() + goName.slice(lower);
}

const podSecurityFields = ['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace', 'hostUsers'];

/** The value as upstream's internal struct of that type would be: Go names, all members, in order. */
export function internalValue(type: string, value: unknown): unknown {
  if (!isSet(value)) return null;
  let source = value as Json;
  if (type === 'PodSpec') {
    // These five live in the security context internally.
    const context: Json = { ...(source['securityContext'] as Json | null | undefined) };
    for (const name of podSecurityFields) if (isSet(source[name])) context[name] = source[name];
    source = { ...source, securityContext: context };
  }
  const out: Json = {};
  if (type === 'PersistentVolumeClaimTemplate' || type === 'ResourceClaimTemplateSpec')
    Object.assign(out, objectMetaValue(source['metadata']));
  for (const member of membersOf(type)) {
    const value: unknown = source[member.jsonName];
    // What a client gave as empty prints as such.
    const given = isSet(value) || member.form === '=' ? undefined : shownMember(source, member.jsonName);
    out[member.goName] = isSet(given) && member.form !== '*' ? given : memberValue(member, value);
  }
  return out;
}

function memberValue(member: Member, value: unknown): unknown {
  switch (member.form) {
    case '=':
      return internalValue(member.type, value ?? {});
    case '*':
      return isSet(value) ? internalValue(member.type, value) : null;
    case '[]':
      return list(value).length === 0 ? null : list(value).map((each) => internalValue(member.type, each));
    default:
      return isSet(value) && !(member.zero === null && isEmptyCollection(value))
        ? sorted(value)
        : member.zero;
  }
}

const isEmptyCollection = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/** Maps print sorted by key. Selectors keep their JSON names, which are in order already. */
function sorted(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  if ('matchExpressions' in value || 'matchLabels' in value) {
    const { matchLabels, matchExpressions } = value as Json;
    return {
      ...(entries(matchLabels).length === 0 ? {} : { matchLabels: Object.fromEntries(entries(matchLabels)) }),
      ...(list(matchExpressions).length === 0 ? {} : { matchExpressions: matchExpressions as unknown }),
    };
  }
  return Object.fromEntries(entries(value));
}

const metaOrder = [
  'name',
  'generateName',
  'namespace',
  'selfLink',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
];

function objectMetaValue(meta: unknown): Json {
  const out: Json = {};
  for (const name of metaOrder) {
    const value: unknown = (meta as Json | null | undefined)?.[name];
    if (
      isSet(value) &&
      value !== '' &&
      value !== 0 &&
      !(typeof value === 'object' && entries(value).length === 0)
    )
      out[name] = name === 'labels' || name === 'annotations' ? Object.fromEntries(entries(value)) : value;
  }
  return out;
}

/** The internal struct as compact JSON. */
export function internalText(type: string, value: unknown): string {
  return goJson(internalValue(type, value));
}

/** A pod template prints its metadata's members first, in JSON names. */
export function podTemplateText(template: Json | null | undefined): string {
  return goJson({
    ...objectMetaValue(template?.['metadata']),
    Spec: internalValue('PodSpec', template?.['spec'] ?? {}),
  });
}

/** Go's encoding/json escapes these three in texts. */
export function goJson(value: unknown, indent?: number): string {
  const long: string[] = [];
  const text = JSON.stringify(
    value,
    (_key, each: unknown) => (typeof each === 'bigint' ? `\u0001${long.push(String(each))}` : each),
    indent,
  );
  // A control character is escaped in every other text.
  const exact =
    long.length === 0 ? text : text.replaceAll(/"\\u0001(\d+)"/g, (_, at) => long[Number(at) - 1] as string);
  return exact.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A unified diff (three lines of context) of two values printed as indented JSON; empty when they are equal. */
export function internalDiff(type: string, old: unknown, current: unknown): string {
  return unifiedDiff(
    goJson(internalValue(type, old), 1).split('\n'),
    goJson(internalValue(type, current), 1).split('\n'),
  );
}

interface Edit {
  readonly sign: ' ' | '-' | '+';
  readonly line: string;
}

function editScript(before: readonly string[], after: readonly string[]): Edit[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let tail = 0;
  while (
    tail < before.length - start &&
    tail < after.length - start &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  )
    tail += 1;
  const left = before.slice(start, before.length - tail);
  const right = after.slice(start, after.length - tail);
  // The longest common subsequence of what differs; both are short.
  const lengths: number[][] = Array.from({ length: left.length + 1 }, () =>
    new Array<number>(right.length + 1).fill(0),
  );
  for (let i = left.length - 1; i >= 0; i -= 1)
    for (let j = right.length - 1; j >= 0; j -= 1) {
      const row = lengths[i] as number[];
      const below = lengths[i + 1] as number[];
      row[j] =
        left[i] === right[j]
          ? (below[j + 1] as number) + 1
          : Math.max(below[j] as number, row[j + 1] as number);
    }
  const edits: Edit[] = before.slice(0, start).map((line) => ({ sign: ' ', line }));
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      edits.push({ sign: ' ', line: left[i] as string });
      i += 1;
      j += 1;
    } else if (
      i < left.length &&
      (j >= right.length ||
        ((lengths[i + 1] as number[])[j] as number) >= ((lengths[i] as number[])[j + 1] as number))
    ) {
      edits.push({ sign: '-', line: left[i] as string });
      i += 1;
    } else {
      edits.push({ sign: '+', line: right[j] as string });
      j += 1;
    }
  }
  for (const line of before.slice(before.length - tail)) edits.push({ sign: ' ', line });
  return edits;
}

export function unifiedDiff(before: readonly string[], after: readonly string[], context = 3): string {
  const edits = editScript(before, after);
  let out = '';
  let index = 0;
  let oldLine = 1;
  let newLine = 1;
  const advance = (edit: Edit): void => {
    if (edit.sign !== '+') oldLine += 1;
    if (edit.sign !== '-') newLine += 1;
  };
  while (index < edits.length) {
    let next = index;
    while (next < edits.length && (edits[next] as Edit).sign === ' ') next += 1;
    if (next === edits.length) break;
    const from = Math.max(index, next - context);
    while (index < from) advance(edits[index++] as Edit);
    let end = next;
    let quiet = 0;
    while (end < edits.length && quiet <= 2 * context) {
      quiet = (edits[end] as Edit).sign === ' ' ? quiet + 1 : 0;
      end += 1;
    }
    end = quiet > context ? end - (quiet - context) : end;
    const hunk = edits.slice(index, end);
    const oldCount = hunk.filter((edit) => edit.sign !== '+').length;
    const newCount = hunk.filter((edit) => edit.sign !== '-').length;
    out += `@@ -${oldLine},${oldCount} +${newLine},${newCount} @@\n`;
    for (const edit of hunk) {
      out += `${edit.sign}${edit.line}\n`;
      advance(edit);
    }
    index = end;
  }
  return out;
}
