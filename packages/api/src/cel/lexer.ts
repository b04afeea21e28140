import { encodeUtf8 } from '@pilothouse/base';
import type { CelIssue } from './issues.ts';
import { Uint } from './values.ts';

export interface Token {
  readonly kind: 'ident' | 'quoted' | 'literal' | 'op' | 'end';
  readonly text: string;
  readonly at: number;
  readonly value?: unknown;
}

const operators = [
  '==', '!=', '<=', '>=', '&&', '||', '.?', '[?',
  '<', '>', '+', '-', '*', '/', '%', '!', '?', ':', '.', ',', '(', ')', '[', ']', '{', '}',
]; // prettier-ignore

/** Splits a source into tokens; what cannot be one is an issue and skipped. */
export function tokenize(source: string): { tokens: Token[]; issues: CelIssue[] } {
  const tokens: Token[] = [];
  const issues: CelIssue[] = [];
  let at = 0;
  const matchAt = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  while (at < source.length) {
    const space = matchAt(/(?:[ \t\r\n\f]|\/\/[^\n]*)+/y);
    if (space !== undefined) {
      at += space.length;
      continue;
    }
    const start = at;
    const string = matchAt(/(?:[rRbB]{0,2})(?:"""(?:[^\\]|\\[^])*?"""|'''(?:[^\\]|\\[^])*?'''|"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')/y)
      ?? matchAt(/(?:[rR][bB]?|[bB][rR])(?:"[^"\n\r]*"|'[^'\n\r]*')/y); // prettier-ignore
    if (string !== undefined) {
      const raw = /^[rRbB]*[rR]/.test(string) ? matchAt(/[rRbB]{1,2}(?:"""[^]*?"""|'''[^]*?'''|"[^"\n\r]*"|'[^'\n\r]*')/y) : undefined; // prettier-ignore
      const text = raw ?? string;
      at += text.length;
      try {
        tokens.push({ kind: 'literal', text, at: start, value: stringValue(text) });
      } catch (error) {
        issues.push({ at: start, text: `Syntax error: ${(error as Error).message}` });
      }
      continue;
    }
    const number = matchAt(
      /0x[0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+[uU]?/y,
    );
    if (number !== undefined && !(number.startsWith('.') && tokens.at(-1)?.kind === 'ident')) {
      at += number.length;
      const value = numberValue(number);
      tokens.push({ kind: 'literal', text: number, at: start, value });
      continue;
    }
    const word = matchAt(/[A-Za-z_][A-Za-z0-9_]*/y);
    if (word !== undefined) {
      at += word.length;
      if (word === 'true' || word === 'false' || word === 'null')
        tokens.push({
          kind: 'literal',
          text: word,
          at: start,
          value: word === 'null' ? null : word === 'true',
        });
      else tokens.push({ kind: word === 'in' ? 'op' : 'ident', text: word, at: start });
      continue;
    }
    const quoted = matchAt(/`[A-Za-z0-9_.\-/ ]+`/y);
    if (quoted !== undefined) {
      at += quoted.length;
      tokens.push({ kind: 'quoted', text: quoted.slice(1, -1), at: start });
      continue;
    }
    const operator = operators.find((each) => source.startsWith(each, at));
    if (operator !== undefined) {
      at += operator.length;
      // `.?` and `[?` are an access and a question mark; `a ?.5 : b` does not occur in practice.
      tokens.push({ kind: 'op', text: operator, at: start });
      continue;
    }
    const bad = [...source.slice(at)][0] as string;
    // An unclosed quote takes the rest of the line with it.
    const half = bad === '=' || bad === '&' || bad === '|' ? (matchAt(/[=&|][^]?/y) ?? bad) : bad;
    const rest = bad === '"' || bad === "'" ? (matchAt(/[^\n]*/y) ?? bad) : half;
    issues.push({ at, text: `Syntax error: token recognition error at: '${rest}'` });
    at += rest.length;
  }
  tokens.push({ kind: 'end', text: '<EOF>', at: source.length });
  return { tokens, issues };
}

function numberValue(text: string): unknown {
  if (/[uU]$/.test(text)) return new Uint(BigInt(text.slice(0, -1)));
  if (/^0x/.test(text) || /^\d+$/.test(text)) return BigInt(text);
  return Number(text);
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v',
  '\\': '\\', '"': '"', "'": "'", '`': '`', '?': '?',
}; // prettier-ignore

function stringValue(text: string): string | Uint8Array {
  const [, prefix = ''] = /^([rRbB]*)/.exec(text) as RegExpExecArray;
  const isRaw = /r/i.test(prefix);
  const isBytes = /b/i.test(prefix);
  const body = text.slice(prefix.length);
  const width = body.startsWith('"""') || body.startsWith("'''") ? 3 : 1;
  const inner = body.slice(width, -width).replaceAll('\r\n', '\n');
  if (isRaw) return isBytes ? encodeUtf8(inner) : inner;
  const bytes: number[] = [];
  let out = '';
  const put = (piece: string): void => {
    if (isBytes) bytes.push(...encodeUtf8(piece));
    else out += piece;
  };
  const pattern =
    /\\(?:([0-3][0-7]{2})|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([^]))|[^\\]+/g;
  for (const match of inner.matchAll(pattern)) {
    const [whole, octal, hex, short, long, other] = match;
    if (octal !== undefined || hex !== undefined) {
      const code = octal === undefined ? Number.parseInt(hex as string, 16) : Number.parseInt(octal, 8);
      if (isBytes) bytes.push(code);
      else put(String.fromCodePoint(code));
    } else if (short !== undefined || long !== undefined) {
      if (isBytes) throw new Error('unable to unescape string');
      put(String.fromCodePoint(Number.parseInt(short ?? (long as string), 16)));
    } else if (other !== undefined) {
      const escaped = simpleEscapes[other];
      if (escaped === undefined) throw new Error(`token recognition error at: '${text}'`);
      put(escaped);
    } else put(whole);
  }
  return isBytes ? Uint8Array.from(bytes) : out;
}
