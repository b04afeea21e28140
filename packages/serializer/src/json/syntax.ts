/** Finds what is wrong with a JSON text and says it as Go's encoding/json does. For texts that JSON.parse refused. */
export function goSyntaxMessage(text: string): string {
  return new Scanner(text).message();
}

const endOfInput = 'unexpected end of JSON input';

/** Thrown inside the scanner only, to leave the recursion. */
class Found extends Error {}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  message(): string {
    try {
      this.#space();
      this.#value('looking for beginning of value');
      this.#space();
      if (this.#at < this.#text.length) this.#fail('after top-level value');
    } catch (error) {
      if (error instanceof Found) return error.message;
      if (error instanceof RangeError) return 'exceeded max depth';
      throw error;
    }
    return endOfInput;
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #fail(context: string): never {
    if (this.#at >= this.#text.length) throw new Found(endOfInput);
    const character = String.fromCodePoint(this.#text.codePointAt(this.#at) as number);
    throw new Found(`invalid character ${quoteCharacter(character)} ${context}`);
  }

  #value(context: string): void {
    const character = this.#text[this.#at];
    if (character === '{') this.#object();
    else if (character === '[') this.#array();
    else if (character === '"') this.#string();
    else if (character === 't') this.#literal('true');
    else if (character === 'f') this.#literal('false');
    else if (character === 'n') this.#literal('null');
    else if (character !== undefined && /[-0-9]/.test(character)) this.#number();
    else this.#fail(context);
  }

  #object(): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === '}') {
      this.#at++;
      return;
    }
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail('looking for beginning of object key string');
      this.#string();
      this.#space();
      if (this.#text[this.#at] !== ':') this.#fail('after object key');
      this.#at++;
      this.#space();
      this.#value('looking for beginning of value');
      this.#space();
      const next = this.#text[this.#at];
      if (next !== ',' && next !== '}') this.#fail('after object key:value pair');
      this.#at++;
      if (next === '}') return;
    }
  }

  #array(): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === ']') {
      this.#at++;
      return;
    }
    for (;;) {
      this.#space();
      this.#value('looking for beginning of value');
      this.#space();
      const next = this.#text[this.#at];
      if (next !== ',' && next !== ']') this.#fail('after array element');
      this.#at++;
      if (next === ']') return;
    }
  }

  #string(): void {
    this.#at++;
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined || character < ' ') this.#fail('in string literal');
      this.#at++;
      if (character === '"') return;
      if (character !== '\\') continue;
      const escape = this.#text[this.#at];
      if (escape === undefined || !'"\\/bfnrtu'.includes(escape)) this.#fail('in string escape code');
      this.#at++;
      if (escape !== 'u') continue;
      for (let index = 0; index < 4; index++) {
        if (!/[0-9a-fA-F]/.test(this.#text[this.#at] ?? ''))
          this.#fail('in \\u hexadecimal character escape');
        this.#at++;
      }
    }
  }

  #literal(word: string): void {
    for (let index = 1; index < word.length; index++) {
      this.#at++;
      if (this.#text[this.#at] !== word[index])
        this.#fail(`in literal ${word} (expecting ${quoteCharacter(word[index] as string)})`);
    }
    this.#at++;
  }

  #digits(context: string): void {
    if (!/[0-9]/.test(this.#text[this.#at] ?? '')) this.#fail(context);
    while (/[0-9]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #number(): void {
    if (this.#text[this.#at] === '-') this.#at++;
    if (this.#text[this.#at] === '0') this.#at++;
    else this.#digits('in numeric literal');
    if (this.#text[this.#at] === '.') {
      this.#at++;
      this.#digits('after decimal point in numeric literal');
    }
    if (/[eE]/.test(this.#text[this.#at] ?? '')) {
      this.#at++;
      if (/[-+]/.test(this.#text[this.#at] ?? '')) this.#at++;
      this.#digits('in exponent of numeric literal');
    }
  }
}

function quoteCharacter(character: string): string {
  if (character === "'") return "'\\''";
  if (character === '"') return `'"'`;
  const quoted = JSON.stringify(character).slice(1, -1);
  return `'${quoted.replace(/^\\u00/, '\\x')}'`;
}
