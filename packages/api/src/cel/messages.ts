/** What is known of an error of the CEL library. */
interface LibraryError {
  readonly code?: string;
  readonly summary?: string;
  readonly message: string;
  readonly range?: { readonly start: number; readonly end: number };
  readonly node?: { readonly op?: string; readonly args?: unknown };
}

const expectedTokens =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/** Names of declared object types are internal. */
function typeName(name: string): string {
  const trimmed = name.trim();
  return /^Schema\d+$/.test(trimmed)
    ? 'object'
    : trimmed.replace(/\bSchema\d+\b/g, 'object').replaceAll('google.protobuf.', '');
}

/** A compilation error in the words of upstream's CEL: `ERROR: <input>:1:5: undefined field 'b'` and the place of it. */
export function compilationMessage(expression: string, error: unknown): string {
  const { text, offset } = described(expression, error as LibraryError);
  const before = expression.slice(0, offset).split('\n');
  const column = (before.at(-1) as string).length;
  const line = expression.split('\n')[before.length - 1] ?? '';
  return `ERROR: <input>:${before.length}:${column + 1}: ${text}\n | ${line}\n | ${'.'.repeat(column)}^`;
}

function described(expression: string, error: LibraryError): { text: string; offset: number } {
  const summary = error.summary ?? error.message;
  const start = error.range?.start ?? 0;
  const dotBefore = Math.max(0, expression.lastIndexOf('.', start));
  switch (error.code) {
    case 'no_such_key':
      return { text: `undefined field '${summary.replace(/^No such key: /, '')}'`, offset: dotBefore };
    case 'cannot_index_type': {
      const type = typeName(/'(.*)'$/.exec(summary)?.[1] ?? '');
      return { text: `type '${type}' does not support field selection`, offset: dotBefore };
    }
    case 'unknown_variable':
      return {
        text: `undeclared reference to '${summary.replace(/^Unknown variable: /, '')}' (in container '')`,
        offset: start,
      };
    case 'no_such_overload': {
      const binary = /^no such overload: (.+) (==|!=|<=|>=|<|>|\+|-|\*|\/|%|in|&&|\|\|) (.+)$/.exec(summary);
      if (binary !== null) {
        const [, left = '', operator = '', right = ''] = binary;
        const args = error.node?.args as readonly { readonly end?: number }[] | undefined;
        const offset = expression.indexOf(operator, args?.[0]?.end ?? start);
        const name = operator === 'in' ? '@in' : `_${operator}_`;
        return {
          text: `found no matching overload for '${name}' applied to '(${typeName(left)}, ${typeName(right)})'`,
          offset: Math.max(0, offset),
        };
      }
      return {
        text: `found no matching overload: ${summary.replace(/^no such overload: /, '')}`,
        offset: start,
      };
    }
    case 'no_matching_overload': {
      const call = /'(?:(.*)\.)?([A-Za-z_][\w]*)\((.*)\)'$/.exec(summary);
      if (call === null) break;
      const [, target, name = '', parameters = ''] = call;
      const isKnown = knownFunctions.has(name);
      const offset = expression.indexOf('(', expression.indexOf(name, start));
      if (!isKnown) return { text: `undeclared reference to '${name}' (in container '')`, offset };
      const types = parameters === '' ? '' : parameters.split(', ').map(typeName).join(', ');
      const applied = target === undefined ? `(${types})` : `${typeName(target)}.(${types})`;
      return { text: `found no matching overload for '${name}' applied to '${applied}'`, offset };
    }
    case 'unexpected_token':
      if (/EOF$/.test(summary)) {
        return {
          text: `Syntax error: mismatched input '<EOF>' expecting ${expectedTokens}`,
          offset: expression.length,
        };
      }
      break;
    default:
  }
  return { text: error.code === undefined ? summary : `Syntax error: ${summary}`, offset: start };
}

/** Functions that exist with other parameters. */
const knownFunctions: ReadonlySet<string> = new Set(
  (
    'size has all exists exists_one map filter matches contains startsWith endsWith indexOf lastIndexOf charAt join lowerAscii upperAscii replace split substring trim reverse find findAll format ' +
    'int uint double string bool bytes type dyn duration timestamp quantity isQuantity url isURL ip isIP cidr isCIDR sum min max isSorted distinct flatten sort slice'
  ).split(' '),
);

/** An evaluation error in upstream's words. */
export function evaluationMessage(error: unknown): string {
  const { code, summary, message } = error as LibraryError;
  const text = summary ?? message.split('\n')[0] ?? '';
  if (code === 'no_such_key') return `no such key: ${text.replace(/^No such key: /, '')}`;
  if (code === 'index_out_of_bounds')
    return text.replace(/^No such key: index out of bounds, index (\d+).*$/, 'index out of bounds: $1');
  if (code === 'division_by_zero') return 'division by zero';
  return text;
}
