import { isJsonObject } from '@pilothouse/apimachinery';

/** One step of a simple JSON path. */
type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'wildcard' }
  | { readonly kind: 'descent' }
  | {
      readonly kind: 'filter';
      readonly path: readonly Step[];
      readonly operator: string;
      readonly literal: unknown;
    };

/**
 * A JSON path as printer columns and subresources write it: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`, `.a[0]`,
 * `.a['b.c']`, `.a[*].b`. Throws Error for other text.
 */
export class JsonPath {
  readonly #steps: readonly Step[];

  constructor(text: string) {
    this.#steps = parse(text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text);
  }

  /** All values the path leads to; none when a member is missing. */
  find(root: unknown): unknown[] {
    return follow([root], this.#steps);
  }
}

function follow(values: unknown[], steps: readonly Step[]): unknown[] {
  let current = values;
  for (const step of steps) {
    const next: unknown[] = [];
    for (const value of current) stepInto(value, step, next);
    current = next;
  }
  return current;
}

function stepInto(value: unknown, step: Step, out: unknown[]): void {
  switch (step.kind) {
    case 'field':
      if (isJsonObject(value) && Object.hasOwn(value, step.name)) out.push(value[step.name]);
      return;
    case 'index':
      if (Array.isArray(value)) {
        const index = step.index < 0 ? value.length + step.index : step.index;
        if (index in value) out.push(value[index]);
      }
      return;
    case 'wildcard':
      if (Array.isArray(value)) out.push(...(value as unknown[]));
      else if (isJsonObject(value))
        out.push(
          ...Object.keys(value)
            .sort()
            .map((key) => value[key]),
        );
      return;
    case 'descent':
      out.push(value);
      if (Array.isArray(value)) for (const item of value) stepInto(item, step, out);
      else if (isJsonObject(value))
        for (const key of Object.keys(value).sort()) stepInto(value[key], step, out);
      return;
    case 'filter': {
      const items = Array.isArray(value)
        ? (value as unknown[])
        : isJsonObject(value)
          ? Object.values(value)
          : [];
      for (const item of items) {
        const found = follow([item], step.path);
        if (found.length > 0 && compare(found[0], step.operator, step.literal)) out.push(item);
      }
    }
  }
}

function compare(left: unknown, operator: string, right: unknown): boolean {
  switch (operator) {
    case '':
      return true;
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    default: {
      if (typeof left !== typeof right) return false;
      const [a, b] = [left as number, right as number];
      if (operator === '<') return a < b;
      if (operator === '<=') return a <= b;
      return operator === '>' ? a > b : a >= b;
    }
  }
}

function parse(text: string): Step[] {
  const steps: Step[] = [];
  let at = 0;
  const fail = (): never => {
    throw new Error(`unexpected text at position ${at} of JSON path ${JSON.stringify(text)}`);
  };
  if (text.startsWith('$') || text.startsWith('@')) at = 1;
  while (at < text.length) {
    if (text[at] === '.') {
      at++;
      if (text[at] === '.') {
        steps.push({ kind: 'descent' });
        at++;
      }
      if (at >= text.length) break;
      if (text[at] === '[') continue;
      const match = /^(?:\\.|[^.[\]\\\s])+/.exec(text.slice(at));
      if (match === null) fail();
      const raw = (match as RegExpExecArray)[0];
      at += raw.length;
      steps.push(raw === '*' ? { kind: 'wildcard' } : { kind: 'field', name: raw.replace(/\\(.)/g, '$1') });
    } else if (text[at] === '[') {
      const end = closing(text, at);
      if (end < 0) fail();
      steps.push(bracket(text.slice(at + 1, end).trim(), fail));
      at = end + 1;
    } else fail();
  }
  return steps;
}

/** Position of the bracket that closes the one at `start`; quotes hide brackets. */
function closing(text: string, start: number): number {
  let depth = 0;
  let quote = '';
  for (let at = start; at < text.length; at++) {
    const character = text[at] as string;
    if (quote !== '') {
      if (character === '\\') at++;
      else if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '[') depth++;
    else if (character === ']' && --depth === 0) return at;
  }
  return -1;
}

function bracket(inner: string, fail: () => never): Step {
  if (inner === '*') return { kind: 'wildcard' };
  if (/^-?\d+$/.test(inner)) return { kind: 'index', index: Number(inner) };
  const quoted = /^(['"])(.*)\1$/s.exec(inner);
  if (quoted !== null) return { kind: 'field', name: (quoted[2] as string).replace(/\\(.)/g, '$1') };
  const filter = /^\?\(\s*@([^=!<>]*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)$/s.exec(inner);
  if (filter === null) return fail();
  return {
    kind: 'filter',
    path: parse(filter[1] as string),
    operator: filter[2] ?? '',
    literal: filter[3] === undefined ? undefined : literal(filter[3]),
  };
}

function literal(text: string): unknown {
  const quoted = /^(['"])(.*)\1$/s.exec(text);
  if (quoted !== null) return (quoted[2] as string).replace(/\\(.)/g, '$1');
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
