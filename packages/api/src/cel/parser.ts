import type { CelNode, ListNode } from './ast.ts';
import type { CelIssue } from './issues.ts';
import { CelCompileError } from './issues.ts';
import type { Token } from './lexer.ts';
import { tokenize } from './lexer.ts';
import { expandMacro } from './macros.ts';
import { Uint } from './values.ts';

const expectedTokens =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const reservedWords: ReadonlySet<string> = new Set(
  'as break const continue else false for function if import in let loop package namespace null return true var void while'.split(
    ' ',
  ),
);
/** Levels of binary operators, loosest first, below the ternary, `||` and `&&`. */
const levels: readonly (readonly string[])[] = [
  ['<', '<=', '>=', '>', '==', '!=', 'in'],
  ['+', '-'],
  ['*', '/', '%'],
];
const depthMax = 250;
const sourceMax = 100_000;

/** Reads an expression and expands its macros. Throws {@link CelCompileError}. */
export function parseCel(source: string, bindings = false): CelNode {
  if (source.length > sourceMax)
    throw new CelCompileError('', [
      { at: 0, text: `expression code point size exceeds limit: size: ${source.length}, limit ${sourceMax}` },
    ]);
  const { tokens, issues } = tokenize(source);
  const parser = new Parser(tokens, issues, bindings);
  let node: CelNode | undefined;
  try {
    node = parser.whole();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
  }
  if (issues.length > 0 || node === undefined)
    throw new CelCompileError(
      source,
      [...issues].sort((a, b) => a.at - b.at),
    );
  return node;
}

/** An issue was told and nothing after it can be trusted. */
class Stop extends Error {}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #issues: CelIssue[];
  readonly #bindings: boolean;
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], issues: CelIssue[], bindings: boolean) {
    this.#bindings = bindings;
    this.#tokens = tokens;
    this.#issues = issues;
  }

  whole(): CelNode {
    const node = this.#expression();
    const { kind, text, at } = this.#peek();
    if (kind !== 'end') {
      const how = this.#peek(1).kind === 'end' ? 'extraneous' : 'mismatched';
      this.#fail(at, `Syntax error: ${how} input '${text}' expecting <EOF>`);
    }
    return node;
  }

  #peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)] as Token;
  }

  #take(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') this.#next++;
    return token;
  }

  #isOp(text: string): boolean {
    const token = this.#peek();
    return token.kind === 'op' && token.text === text;
  }

  #accept(text: string): Token | undefined {
    return this.#isOp(text) ? this.#take() : undefined;
  }

  /** `isList`: elements with commas came before. */
  #expect(text: string, isList = false): Token {
    const token = this.#accept(text);
    if (token !== undefined) return token;
    const { text: found, at, kind } = this.#peek();
    if (isList) return this.#fail(at, `Syntax error: mismatched input '${found}' expecting {'${text}', ','}`);
    return this.#fail(
      at,
      kind === 'end'
        ? `Syntax error: missing '${text}' at '<EOF>'`
        : `Syntax error: mismatched input '${found}' expecting '${text}'`,
    );
  }

  #fail(at: number, text: string): never {
    this.#issues.push({ at, text });
    throw new Stop();
  }

  #expression(): CelNode {
    if (++this.#depth > depthMax) this.#fail(0, `expression recursion limit exceeded: ${depthMax}`);
    const condition = this.#logical('||');
    const mark = this.#accept('?');
    let node = condition;
    if (mark !== undefined) {
      const whenTrue = this.#logical('||');
      this.#expect(':');
      const whenFalse = this.#expression();
      node = call('_?_:_', [condition, whenTrue, whenFalse], mark.at);
    }
    this.#depth--;
    return node;
  }

  /** Chains of `&&` and `||` become balanced trees, so that long ones do not nest deep. */
  #logical(operator: '||' | '&&'): CelNode {
    const operand = (): CelNode => (operator === '||' ? this.#logical('&&') : this.#binary(0));
    const terms = [operand()];
    const marks: number[] = [];
    for (let mark = this.#accept(operator); mark !== undefined; mark = this.#accept(operator)) {
      marks.push(mark.at);
      terms.push(operand());
    }
    return balanced(operator === '||' ? '_||_' : '_&&_', terms, marks);
  }

  #binary(level: number): CelNode {
    const operators = levels[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const token = this.#peek();
      if (token.kind !== 'op' || !operators.includes(token.text)) return left;
      this.#take();
      const right = this.#binary(level + 1);
      left = call(token.text === 'in' ? '@in' : `_${token.text}_`, [left, right], token.at);
    }
  }

  #unary(): CelNode {
    const { kind, text, at } = this.#peek();
    if (kind !== 'op' || (text !== '!' && text !== '-')) return this.#member();
    let count = 0;
    while (this.#accept(text) !== undefined) count++;
    if (text === '-' && count === 1) {
      const literal = this.#peek();
      if (
        literal.kind === 'literal' &&
        (typeof literal.value === 'bigint' || typeof literal.value === 'number')
      ) {
        // A sign belongs to its number, so that the smallest int can be written.
        this.#take();
        const value = typeof literal.value === 'bigint' ? -literal.value : -literal.value;
        return this.#postfix(this.#checkedLiteral(value, literal.text, at));
      }
    }
    const operand = this.#member();
    if (count % 2 === 0) return operand;
    return call(text === '!' ? '!_' : '-_', [operand], at);
  }

  #checkedLiteral(value: unknown, text: string, at: number): CelNode {
    if (typeof value === 'bigint' && (value > 0x7fffffffffffffffn || value < -0x8000000000000000n))
      this.#fail(at, `Syntax error: invalid int literal`);
    if (value instanceof Uint && value.value > 0xffffffffffffffffn)
      this.#fail(at, `Syntax error: invalid uint literal`);
    if (typeof value === 'number' && !Number.isFinite(value))
      this.#fail(at, `Syntax error: invalid double literal: ${text}`);
    return { kind: 'literal', value, at };
  }

  #member(): CelNode {
    return this.#postfix(this.#primary());
  }

  #postfix(start: CelNode): CelNode {
    let node = start;
    for (;;) {
      const token = this.#peek();
      if (token.kind !== 'op') return node;
      if (token.text === '.' || token.text === '.?') {
        this.#take();
        const name = this.#take();
        if (name.kind !== 'ident' && name.kind !== 'quoted')
          this.#fail(
            name.at,
            name.kind === 'end'
              ? `Syntax error: no viable alternative at input '.'`
              : `Syntax error: no viable alternative at input '.${name.text}'`,
          );
        if (token.text === '.?') {
          node = call('_?._', [node, { kind: 'literal', value: name.text, at: name.at }], token.at);
        } else if (name.kind === 'ident' && this.#isOp('(')) {
          const open = this.#take();
          node = this.#called(name.text, node, this.#arguments(')'), open.at);
        } else node = { kind: 'select', operand: node, field: name.text, isTest: false, at: token.at };
      } else if (token.text === '[' || token.text === '[?') {
        this.#take();
        const index = this.#expression();
        this.#expect(']');
        node = call(token.text === '[' ? '_[_]' : '_[?_]', [node, index], token.at);
      } else return node;
    }
  }

  #arguments(end: string): CelNode[] {
    const args: CelNode[] = [];
    while (!this.#isOp(end)) {
      args.push(this.#expression());
      if (this.#accept(',') === undefined) break;
    }
    this.#expect(end, args.length > 0);
    return args;
  }

  #called(name: string, target: CelNode | undefined, args: CelNode[], at: number): CelNode {
    const expanded = expandMacro(
      name,
      target,
      args,
      at,
      (place, text) => {
        this.#issues.push({ at: place, text });
      },
      this.#bindings,
    );
    return expanded ?? { kind: 'call', name, target, args, at };
  }

  #primary(): CelNode {
    const token = this.#take();
    if (token.kind === 'literal') return this.#checkedLiteral(token.value, token.text, token.at);
    if (token.kind === 'ident') return this.#named(token, '');
    if (token.kind === 'op') {
      switch (token.text) {
        case '.': {
          const name = this.#take();
          if (name.kind === 'ident') return this.#named(name, '.');
          return this.#unexpected(name);
        }
        case '(': {
          const inner = this.#expression();
          this.#expect(')');
          return inner;
        }
        case '[':
        case '[?':
          return this.#list(token, token.text === '[?');
        case '{':
          return this.#map(token);
        default:
      }
    }
    // A token too many before something that can stand here.
    if (token.kind !== 'end' && startsPrimary(this.#peek())) {
      this.#issues.push({
        at: token.at,
        text: `Syntax error: extraneous input '${token.text}' expecting ${expectedTokens}`,
      });
      return this.#primary();
    }
    return this.#unexpected(token);
  }

  #unexpected({ text, at }: Token): never {
    return this.#fail(at, `Syntax error: mismatched input '${text}' expecting ${expectedTokens}`);
  }

  #named(name: Token, dot: string): CelNode {
    if (reservedWords.has(name.text))
      this.#issues.push({ at: name.at, text: `reserved identifier: ${name.text}` });
    if (this.#isOp('(')) {
      const open = this.#take();
      return this.#called(name.text, undefined, this.#arguments(')'), open.at);
    }
    // A.B.C{...} makes an object of that type.
    let ahead = 0;
    while (
      this.#peek(ahead).text === '.' &&
      this.#peek(ahead).kind === 'op' &&
      this.#peek(ahead + 1).kind === 'ident'
    )
      ahead += 2;
    const brace = this.#peek(ahead);
    if (brace.kind === 'op' && brace.text === '{') {
      let typeName = dot === '.' ? name.text : name.text;
      for (; ahead > 0; ahead -= 2) {
        this.#take();
        typeName += `.${this.#take().text}`;
      }
      return this.#struct(typeName);
    }
    return { kind: 'ident', name: name.text, at: name.at };
  }

  #list(open: Token, firstOptional: boolean): CelNode {
    const items: CelNode[] = [];
    const optional = new Set<number>();
    if (firstOptional) optional.add(0);
    let isFirst = true;
    while (!this.#isOp(']')) {
      if (!(isFirst && firstOptional) && this.#accept('?') !== undefined) optional.add(items.length);
      isFirst = false;
      items.push(this.#expression());
      if (this.#accept(',') === undefined) break;
    }
    this.#expect(']', items.length > 0);
    return { kind: 'list', items, optional, at: open.at } satisfies ListNode;
  }

  #map(open: Token): CelNode {
    const entries: { key: CelNode; value: CelNode; optional: boolean }[] = [];
    while (!this.#isOp('}')) {
      const optional = this.#accept('?') !== undefined;
      const key = this.#expression();
      this.#expect(':');
      entries.push({ key, value: this.#expression(), optional });
      if (this.#accept(',') === undefined) break;
    }
    this.#expect('}', entries.length > 0);
    return { kind: 'map', entries, at: open.at };
  }

  #struct(name: string): CelNode {
    const open = this.#expect('{');
    const fields: { name: string; value: CelNode; optional: boolean; at: number }[] = [];
    while (!this.#isOp('}')) {
      const optional = this.#accept('?') !== undefined;
      const field = this.#take();
      if (field.kind !== 'ident' && field.kind !== 'quoted') this.#unexpected(field);
      const colon = this.#expect(':');
      fields.push({ name: field.text, value: this.#expression(), optional, at: colon.at });
      if (this.#accept(',') === undefined) break;
    }
    this.#expect('}', fields.length > 0);
    return { kind: 'struct', name, fields, at: open.at };
  }
}

const startsPrimary = ({ kind, text }: Token): boolean =>
  kind === 'literal' || kind === 'ident' || (kind === 'op' && ['(', '[', '{', '.'].includes(text));

function call(name: string, args: readonly CelNode[], at: number): CelNode {
  return { kind: 'call', name, target: undefined, args, at };
}

function balanced(name: string, terms: readonly CelNode[], marks: readonly number[]): CelNode {
  if (terms.length === 1) return terms[0] as CelNode;
  const build = (low: number, high: number): CelNode => {
    const middle = Math.floor((low + high + 1) / 2);
    const left = middle === low ? (terms[middle] as CelNode) : build(low, middle - 1);
    const right = middle === high ? (terms[middle + 1] as CelNode) : build(middle + 1, high);
    return call(name, [left, right], marks[middle] as number);
  };
  return build(0, marks.length - 1);
}
