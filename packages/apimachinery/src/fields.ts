import { SelectorError } from './labels.ts';
import { goQuote } from './field-error.ts';

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** A conjunction of equalities and inequalities on fields. Immutable. */
export class FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  constructor(requirements: readonly FieldRequirement[]) {
    this.requirements = requirements;
  }
  get isEmpty(): boolean {
    return this.requirements.length === 0;
  }
  /** `valueOf` gives the value of a field; a field the object lacks is the empty text. */
  matches(valueOf: (field: string) => string | undefined): boolean {
    for (const { field, operator, value } of this.requirements) {
      if (((valueOf(field) ?? '') === value) !== (operator === '=')) return false;
    }
    return true;
  }
  /** The value when the selector asks for this field to equal one value. */
  requiresExactMatch(field: string): string | undefined {
    return this.requirements.find(
      (requirement) => requirement.field === field && requirement.operator === '=',
    )?.value;
  }
  toString(): string {
    return this.requirements
      .map(({ field, operator, value }) => `${field}${operator}${escapeFieldValue(value)}`)
      .join(',');
  }
}

export function escapeFieldValue(value: string): string {
  return value.replace(/[\\,=]/g, (character) => `\\${character}`);
}

function unescapeFieldValue(value: string): string {
  let out = '';
  let escaped = false;
  for (const character of value) {
    if (escaped) {
      if (character !== '\\' && character !== ',' && character !== '=') {
        throw new SelectorError(
          'Selector',
          `invalid field selector: invalid escape sequence: \\${character}`,
        );
      }
      out += character;
      escaped = false;
    } else if (character === '\\') escaped = true;
    else if (character === ',' || character === '=') {
      throw new SelectorError(
        'Selector',
        `invalid field selector: unescaped character in value: ${character.codePointAt(0)}`,
      );
    } else out += character;
  }
  if (escaped) throw new SelectorError('Selector', 'invalid field selector: invalid escape sequence: \\');
  return out;
}

function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  let escaped = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (escaped) escaped = false;
    else if (character === '\\') escaped = true;
    else if (character === ',') {
      terms.push(text.slice(start, index));
      start = index + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

/** Parses `metadata.name=a,spec.nodeName!=b`. Which fields a kind has is not checked. @throws SelectorError */
export function parseFieldSelector(text: string): FieldSelector {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text)) {
    if (term === '') continue;
    const match = /!=|==|=/.exec(term);
    if (match === null)
      throw new SelectorError('Selector', `invalid selector: '${text}'; can't understand '${term}'`);
    const value = unescapeFieldValue(term.slice(match.index + match[0].length));
    // A term without both says nothing.
    if (match.index === 0 && value === '') continue;
    requirements.push({ field: term.slice(0, match.index), operator: match[0] === '!=' ? '!=' : '=', value });
  }
  return new FieldSelector(requirements);
}

/** What a kind with conversion functions of its own (`own`), or one with the default ones, says of an unknown field. */
export function unsupportedFieldMessage(field: string, own: boolean): string {
  return own
    ? `field label not supported: ${field}`
    : `${goQuote(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
}
