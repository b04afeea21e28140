import { isJsonObject, sortedKeys } from '../json-shape.ts';

/**
 * YAML of a JSON value as sigs.k8s.io/yaml writes it: keys sorted as go-yaml sorts them, lists not indented, literal blocks for
 * texts with line breaks, quotes only where a plain scalar would be read as something else. Ends with a newline.
 */
export function encodeYaml(value: unknown): string {
  return `${block(value, 0, false)}\n`.replace(/^\n/, '');
}

/** Text of a value in block context. `afterKey`: it follows `key:` on the same line; `column`: where a scalar's text begins. */
function block(value: unknown, indent: number, afterKey: boolean, column = 0): string {
  const pad = ' '.repeat(indent);
  if (Array.isArray(value)) {
    if (value.length === 0) return afterKey ? ' []' : '[]';
    const lines = (value as unknown[]).map((item) => `${pad}- ${element(item, indent + 2)}`);
    return (afterKey ? '\n' : '') + lines.join('\n');
  }
  if (isJsonObject(value)) {
    const keys = naturalKeys(value);
    if (keys.length === 0) return afterKey ? ' {}' : '{}';
    const lines = keys.map((key) => `${pad}${member(key, value[key], indent)}`);
    return (afterKey ? '\n' : '') + lines.join('\n');
  }
  const text = scalar(value, indent, column);
  return afterKey ? ` ${text}` : text;
}

/** Lists stay at the indentation of their key, everything else goes two deeper. */
function member(key: string, value: unknown, indent: number): string {
  const inner = Array.isArray(value) ? indent : indent + 2;
  const name = stringScalar(key, 0, true);
  return `${name}:${block(value, inner, true, indent + name.length + 2)}`;
}

/** What follows `- `: the first line of the value shares the line. */
function element(value: unknown, indent: number): string {
  if (typeof value !== 'object' || value === null) return scalar(value, indent, indent);
  return block(value, indent, false).slice(
    Array.isArray(value) && value.length > 0
      ? indent
      : isJsonObject(value) && Object.keys(value).length > 0
        ? indent
        : 0,
  );
}

function scalar(value: unknown, indent: number, column: number): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'string') {
    const text = stringScalar(value, indent, false);
    return column + text.length > widthMax && value.includes(' ') && !text.startsWith('|')
      ? folded(value, text.charAt(0), indent, column)
      : text;
  }
  if (typeof value === 'number') return numberScalar(value);
  return String(value);
}

function numberScalar(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return BigInt(value).toString();
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}

/** Plain scalars that YAML 1.1 reads as something other than a string. */
const resolvesElsewhere =
  /^(?:|~|null|Null|NULL|<<|y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE|n|N|no|No|NO|off|Off|OFF|false|False|FALSE|\.nan|\.NaN|\.NAN|[-+]?\.(?:inf|Inf|INF)|[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[0-9][0-9_]*)|[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]+)\d\d?:\d\d(?::\d\d(?:[.,]\d*)?)?(?:[ \t]*(?:Z|[-+]\d\d?(?::?\d\d)?))?)?)$/;

// eslint-disable-next-line no-control-regex -- YAML's printable characters
const unprintable =
  /[^\n\x20-\x7e\x85\xa0-\u2027\u202a-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]|[\ud800-\udfff](?![\udc00-\udfff])/u;

function stringScalar(text: string, indent: number, isKey: boolean): string {
  if (text.includes('\n') && !isKey && literalAllowed(text)) return literal(text, indent);
  if (resolvesElsewhere.test(text)) return doubleQuoted(text);
  if (unprintable.test(text) || text.includes('\n') || / \n|\n /.test(text)) return doubleQuoted(text);
  return plainAllowed(text) ? text : `'${text.replaceAll("'", "''")}'`;
}

function plainAllowed(text: string): boolean {
  if (/^\s|\s$/.test(text)) return false;
  if (/^[#,[\]{}&*!|>'"%@`]/.test(text)) return false;
  if (/^[-?:](?:\s|$)/.test(text)) return false;
  if (/^(?:---|\.\.\.)/.test(text)) return false;
  return !/:(?:\s|$)/.test(text) && !/\s#/.test(text);
}

function literalAllowed(text: string): boolean {
  return (
    !unprintable.test(text.replaceAll('\t', ' ')) && !/ \n|(?<=\n) +$| $/.test(text) && !text.includes('\r')
  );
}

function literal(text: string, indent: number): string {
  const pad = ' '.repeat(Math.max(indent, 2));
  const trailing = /\n*$/.exec(text)?.[0].length ?? 0;
  const chomp = trailing === 0 ? '-' : trailing === 1 ? '' : '+';
  const hint = /^[ \n]/.test(text) ? '2' : '';
  const body = trailing === 0 ? text : text.slice(0, -1);
  const lines = body.split('\n').map((line) => (line === '' ? '' : pad + line));
  return `|${hint}${chomp}\n${lines.join('\n')}`;
}

/** Columns after which a text goes on in the next line, at its next space. */
const widthMax = 80;

/** The scalar in several lines, as its first quote (or another character for none) says. `column`: where it begins. */
function folded(text: string, quote: string, indent: number, column: number): string {
  const isQuoted = quote === "'" || quote === '"';
  const characters = [...text];
  const lineBreak = `\n${' '.repeat(Math.max(indent, 2))}`;
  let out = isQuoted ? quote : '';
  let at = column + out.length;
  let afterSpace = false;
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] as string;
    if (character !== ' ') {
      const written =
        quote === '"' ? escaped(character) : quote === "'" && character === "'" ? "''" : character;
      out += written;
      at += quote === '"' ? written.length : [...written].length;
      afterSpace = false;
      continue;
    }
    const isInside = !isQuoted || (index > 0 && index < characters.length - 1);
    const isNextSpace = characters[index + 1] === ' ';
    if (!afterSpace && at > widthMax && isInside && (quote === '"' || !isNextSpace)) {
      // A line may not begin with a space that counts, unless it is escaped.
      out += isNextSpace ? `${lineBreak}\\` : lineBreak;
      at = lineBreak.length - 1 + (isNextSpace ? 1 : 0);
    } else {
      out += ' ';
      at++;
    }
    afterSpace = true;
  }
  return isQuoted ? out + quote : out;
}

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '\0': '\\0',
  '\b': '\\b',
  '\x07': '\\a',
  '\v': '\\v',
  '\f': '\\f',
  '\x1b': '\\e',
  '\x85': '\\N',
  '\xa0': '\\_',
  '\u2028': '\\L',
  '\u2029': '\\P',
};

function doubleQuoted(text: string): string {
  let out = '';
  for (const character of text) out += escaped(character);
  return `"${out}"`;
}

function escaped(character: string): string {
  const short = shortEscapes[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) as number;
  if (code < 0x20 || (code >= 0x7f && code < 0xa0))
    return `\\x${code.toString(16).toUpperCase().padStart(2, '0')}`;
  return code === 0xfeff ? '\\uFEFF' : character;
}

/** go-yaml sorts digits inside keys by number and letters before other characters. */
function naturalKeys(value: object): string[] {
  return sortedKeys(value).sort(compareNatural);
}

function compareNatural(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  let digits = false;
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    const x = left[at] as string;
    const y = right[at] as string;
    if (x === y) {
      digits = isDigit(x);
      continue;
    }
    const xLetter = isLetter(x);
    const yLetter = isLetter(y);
    if (xLetter && yLetter) return x < y ? -1 : 1;
    if (xLetter || yLetter) {
      if (digits) return xLetter ? -1 : 1;
      return xLetter ? 1 : -1;
    }
    const byNumber = isDigit(x) || isDigit(y) ? compareNumbers(left, right, at) : 0;
    if (byNumber !== 0) return byNumber;
    return x < y ? -1 : 1;
  }
  return left.length - right.length;
}

function compareNumbers(left: readonly string[], right: readonly string[], from: number): number {
  const x = left[from] as string;
  const y = right[from] as string;
  if (x === '0' || y === '0') {
    for (let at = from - 1; at >= 0 && isDigit(left[at] as string); at--) {
      if (left[at] !== '0') return isDigit(x) && !isDigit(y) ? 1 : isDigit(y) && !isDigit(x) ? -1 : 0;
    }
  }
  const leftDigits = digitsFrom(left, from);
  const rightDigits = digitsFrom(right, from);
  const difference = Number(leftDigits || '0') - Number(rightDigits || '0');
  if (difference !== 0) return difference;
  return leftDigits.length - rightDigits.length;
}

function digitsFrom(characters: readonly string[], from: number): string {
  let out = '';
  for (let at = from; at < characters.length && isDigit(characters[at] as string); at++)
    out += characters[at] as string;
  return out;
}

const isDigit = (character: string): boolean => /^\d$/.test(character);
const isLetter = (character: string): boolean => /^\p{L}$/u.test(character);
