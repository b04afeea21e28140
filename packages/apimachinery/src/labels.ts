import { CodedError } from '@pilothouse/base';
import type { FieldError } from './field-error.ts';
import { fieldError, FieldPath } from './field-error.ts';
import { isQualifiedName, isValidLabelValue } from './name-validation.ts';

/** A selector that does not parse. The message is upstream's. */
export class SelectorError extends CodedError {}

export type Labels = Readonly<Record<string, string>>;

export type LabelOperator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';

/** One condition on a label. `values` are sorted and unique. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: readonly string[];
}

/** meta/v1 LabelSelector. */
export interface LabelSelectorObject {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key?: string;
    readonly operator?: string;
    readonly values?: readonly string[];
  }[];
}

const noLabels: Labels = {};

function requirementMatches(requirement: LabelRequirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.operator) {
    case '=':
    case '==':
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !requirement.values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
    case 'lt': {
      const actual = parseInteger(value);
      const wanted = parseInteger(requirement.values[0]);
      if (actual === undefined || wanted === undefined) return false;
      return requirement.operator === 'gt' ? actual > wanted : actual < wanted;
    }
  }
}

function parseInteger(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^[+-]?[0-9]+$/.test(text)) return undefined;
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return value > 9223372036854775807n || value < -9223372036854775808n ? undefined : value;
}

function requirementString(requirement: LabelRequirement): string {
  const { key, values } = requirement;
  switch (requirement.operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${requirement.operator} (${values.join(',')})`;
    case 'gt':
      return `${key}>${values[0] ?? ''}`;
    case 'lt':
      return `${key}<${values[0] ?? ''}`;
    default:
      return `${key}${requirement.operator}${values[0] ?? ''}`;
  }
}

/** A conjunction of requirements. Immutable. */
export class LabelSelector {
  readonly requirements: readonly LabelRequirement[];
  /** A selector that matches no object at all (a null LabelSelector). */
  readonly matchesNothing: boolean;
  constructor(requirements: readonly LabelRequirement[], matchesNothing = false) {
    this.requirements = [...requirements].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    this.matchesNothing = matchesNothing;
  }
  get isEmpty(): boolean {
    return !this.matchesNothing && this.requirements.length === 0;
  }
  matches(labels: Labels | undefined): boolean {
    if (this.matchesNothing) return false;
    const present = labels ?? noLabels;
    for (const requirement of this.requirements) if (!requirementMatches(requirement, present)) return false;
    return true;
  }
  /** The form that {@link parseLabelSelector} takes, sorted by key. */
  toString(): string {
    return this.requirements.map(requirementString).join(',');
  }
  /** The value when the selector asks for exactly this key to equal one value. */
  requiresExactMatch(key: string): string | undefined {
    for (const requirement of this.requirements) {
      if (requirement.key !== key || requirement.values.length !== 1) continue;
      if (requirement.operator === '=' || requirement.operator === '==' || requirement.operator === 'in')
        return requirement.values[0];
    }
    return undefined;
  }
}

export const everything = new LabelSelector([]);
export const nothing = new LabelSelector([], true);

type Token = 'identifier' | 'end' | ',' | '(' | ')' | '!' | '=' | '==' | '!=' | '>' | '<' | 'in' | 'notin';
const specials = '=!(),><';
const symbolTokens: readonly string[] = [')', ',', '!', '==', '=', '>', '<', '!=', '('];

interface Lexeme {
  readonly token: Token;
  readonly literal: string;
}

function tokenize(text: string): Lexeme[] {
  const lexemes: Lexeme[] = [];
  let index = 0;
  while (index < text.length) {
    const character = text[index] as string;
    if (' \t\r\n'.includes(character)) {
      index++;
      continue;
    }
    if (specials.includes(character)) {
      const two = text.slice(index, index + 2);
      const symbol = symbolTokens.includes(two) ? two : character;
      lexemes.push({ token: symbol as Token, literal: symbol });
      index += symbol.length;
      continue;
    }
    let end = index;
    while (
      end < text.length &&
      !specials.includes(text[end] as string) &&
      !' \t\r\n'.includes(text[end] as string)
    )
      end++;
    const literal = text.slice(index, end);
    lexemes.push({ token: literal === 'in' || literal === 'notin' ? literal : 'identifier', literal });
    index = end;
  }
  lexemes.push({ token: 'end', literal: '' });
  return lexemes;
}

class Parser {
  readonly #lexemes: readonly Lexeme[];
  #position = 0;
  constructor(text: string) {
    this.#lexemes = tokenize(text);
  }

  /** Where a value is expected, `in` and `notin` are plain words. */
  #look(values = true): Lexeme {
    const lexeme = this.#lexemes[Math.min(this.#position, this.#lexemes.length - 1)] as Lexeme;
    if (values && (lexeme.token === 'in' || lexeme.token === 'notin'))
      return { token: 'identifier', literal: lexeme.literal };
    return lexeme;
  }
  #take(values = true): Lexeme {
    const lexeme = this.#look(values);
    this.#position++;
    return lexeme;
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const next = this.#look();
      if (next.token === 'end') return requirements;
      if (next.token !== 'identifier' && next.token !== '!') {
        throw selectorError(`found '${next.literal}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(this.#wrapRequirement());
      const after = this.#take();
      if (after.token === 'end') return requirements;
      if (after.token !== ',')
        throw selectorError(`found '${after.literal}', expected: ',' or 'end of string'`);
      const following = this.#look();
      if (following.token !== 'identifier' && following.token !== '!') {
        throw selectorError(`found '${following.literal}', expected: identifier after ','`);
      }
    }
  }

  #wrapRequirement(): LabelRequirement {
    try {
      return this.#requirement();
    } catch (error) {
      throw selectorError(`unable to parse requirement: ${(error as Error).message}`);
    }
  }

  #requirement(): LabelRequirement {
    let lexeme = this.#take();
    const negated = lexeme.token === '!';
    if (negated) lexeme = this.#take();
    if (lexeme.token !== 'identifier') throw selectorError(`found '${lexeme.literal}', expected: identifier`);
    const key = lexeme.literal;
    const keyErrors = isQualifiedName(key);
    if (keyErrors.length > 0)
      throw fieldFailure([fieldError.invalid(new FieldPath(), key, keyErrors.join('; '))]);
    if (negated) return newRequirement(key, '!', []);
    const next = this.#look();
    if (next.token === 'end' || next.token === ',') return newRequirement(key, 'exists', []);
    const operator = this.#take(false);
    switch (operator.token) {
      case 'in':
      case 'notin':
        return newRequirement(key, operator.token, this.#values());
      case '=':
      case '==':
      case '!=':
        return newRequirement(key, operator.token, [this.#exactValue()]);
      case '>':
        return newRequirement(key, 'gt', [this.#exactValue()]);
      case '<':
        return newRequirement(key, 'lt', [this.#exactValue()]);
      default:
        throw selectorError(`found '${operator.literal}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  #exactValue(): string {
    const next = this.#look();
    if (next.token === 'end' || next.token === ',') return '';
    this.#take();
    if (next.token !== 'identifier') throw selectorError(`found '${next.literal}', expected: identifier`);
    return next.literal;
  }

  #values(): string[] {
    const open = this.#take();
    if (open.token !== '(') throw selectorError(`found '${open.literal}' expected: '('`);
    const next = this.#look();
    if (next.token === ')') {
      this.#take();
      // Upstream reads an empty set as the set of the empty value.
      return [''];
    }
    if (next.token !== 'identifier' && next.token !== ',') {
      throw selectorError(`found '${next.literal}', expected: ',', ')' or identifier`);
    }
    const values = this.#identifiers();
    const close = this.#take();
    if (close.token !== ')') throw selectorError(`found '${close.literal}', expected: ')'`);
    return values;
  }

  #identifiers(): string[] {
    const values: string[] = [];
    for (;;) {
      const lexeme = this.#take();
      if (lexeme.token === 'identifier') {
        values.push(lexeme.literal);
        const next = this.#look();
        if (next.token === ',') continue;
        if (next.token === ')') return values;
        throw selectorError(`found '${next.literal}', expected: ',' or ')'`);
      }
      if (lexeme.token === ',') {
        if (values.length === 0) values.push('');
        const next = this.#look();
        if (next.token === ')') {
          values.push('');
          return values;
        }
        if (next.token === ',') {
          this.#take();
          values.push('');
        }
        continue;
      }
      throw selectorError(`found '${lexeme.literal}', expected: ',', or identifier`);
    }
  }
}

function selectorError(message: string): SelectorError {
  return new SelectorError('Selector', message);
}
function fieldFailure(errors: readonly FieldError[]): SelectorError {
  const texts = errors.map((error) => `${error.field}: ${error.message}`);
  return selectorError(texts.length === 1 ? (texts[0] as string) : `[${texts.join(', ')}]`);
}

/** @throws SelectorError */
export function newRequirement(
  key: string,
  operator: LabelOperator,
  values: readonly string[],
): LabelRequirement {
  const errors: FieldError[] = [];
  const keyErrors = isQualifiedName(key);
  if (keyErrors.length > 0) errors.push(fieldError.invalid(new FieldPath('key'), key, keyErrors.join('; ')));
  const sorted = [...new Set(values)].sort();
  const path = new FieldPath('values');
  if ((operator === 'in' || operator === 'notin') && sorted.length === 0) {
    errors.push(fieldError.invalid(path, sorted, "for 'in', 'notin' operators, values set can't be empty"));
  } else if ((operator === '=' || operator === '==' || operator === '!=') && sorted.length !== 1) {
    errors.push(fieldError.invalid(path, sorted, 'exact-match compatibility requires one single value'));
  } else if ((operator === 'exists' || operator === '!') && sorted.length !== 0) {
    errors.push(fieldError.invalid(path, sorted, 'values set must be empty for exists and does not exist'));
  } else if (operator === 'gt' || operator === 'lt') {
    if (sorted.length !== 1) {
      errors.push(
        fieldError.invalid(path, sorted, "for 'Gt', 'Lt' operators, exactly one value is required"),
      );
    }
    sorted.forEach((value, index) => {
      if (parseInteger(value) === undefined) {
        errors.push(
          fieldError.invalid(
            path.index(index),
            value,
            "for 'Gt', 'Lt' operators, the value must be an integer",
          ),
        );
      }
    });
  }
  sorted.forEach((value, index) => {
    const valueErrors = isValidLabelValue(value);
    if (valueErrors.length > 0)
      errors.push(fieldError.invalid(path.index(index).key(key), value, valueErrors.join('; ')));
  });
  if (errors.length > 0) throw fieldFailure(errors);
  return { key, operator, values: sorted };
}

/** Parses `a=b,c!=d,e in (x,y),!f,g,h>1`. The empty text selects everything. @throws SelectorError */
export function parseLabelSelector(text: string): LabelSelector {
  return text === '' ? everything : new LabelSelector(new Parser(text).parse());
}

const selectorCache = new WeakMap<object, LabelSelector>();
const operatorOf: Readonly<Record<string, LabelOperator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
};

/**
 * The selector of an object field: absent selects nothing, `{}` everything. The result is kept per object, so pass frozen or
 * never-changed objects.
 * @throws SelectorError
 */
export function labelSelectorOf(object: LabelSelectorObject | null | undefined): LabelSelector {
  if (object === null || object === undefined) return nothing;
  const cached = selectorCache.get(object);
  if (cached !== undefined) return cached;
  const requirements: LabelRequirement[] = [];
  for (const [key, value] of Object.entries(object.matchLabels ?? {}))
    requirements.push(newRequirement(key, '=', [value]));
  for (const expression of object.matchExpressions ?? []) {
    const operator = operatorOf[expression.operator ?? ''];
    if (operator === undefined)
      throw selectorError(`"${expression.operator ?? ''}" is not a valid label selector operator`);
    requirements.push(newRequirement(expression.key ?? '', operator, expression.values ?? []));
  }
  const selector = requirements.length === 0 ? everything : new LabelSelector(requirements);
  if (Object.isFrozen(object)) selectorCache.set(object, selector);
  return selector;
}

/** A selector of equalities, as `spec.selector` of Services and ReplicationControllers. Absent or empty selects everything. */
export function labelSelectorFromSet(set: Labels | undefined): LabelSelector {
  return new LabelSelector(
    Object.entries(set ?? {}).map(([key, value]) => ({ key, operator: '=', values: [value] })),
  );
}

/** As kubectl shows a selector: `<none>` when empty, `<error>` when it does not parse. */
export function formatLabelSelector(object: LabelSelectorObject | null | undefined): string {
  try {
    const text = labelSelectorOf(object).toString();
    return text === '' ? '<none>' : text;
  } catch {
    return '<error>';
  }
}

/** Checks keys and values of labels; all findings are on `path` itself, as upstream. */
export function validateLabels(labels: Labels | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    errors.push(...validateLabelName(key, path));
    for (const text of isValidLabelValue(value)) errors.push(fieldError.invalid(path, value, text));
  }
  return errors;
}

export function validateLabelName(name: string, path: FieldPath): FieldError[] {
  return isQualifiedName(name).map((text) => fieldError.invalid(path, name, text));
}

/** Checks a LabelSelector field. `allowInvalidValues` keeps old objects with bad values updatable. */
export function validateLabelSelector(
  selector: LabelSelectorObject | null | undefined,
  path: FieldPath,
  options: { readonly allowInvalidValues?: boolean } = {},
): FieldError[] {
  if (selector === null || selector === undefined) return [];
  const errors = validateLabels(selector.matchLabels, path.child('matchLabels'));
  (selector.matchExpressions ?? []).forEach((expression, index) => {
    const at = path.child('matchExpressions').index(index);
    const values = expression.values ?? [];
    switch (expression.operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0) {
          errors.push(
            fieldError.required(at.child('values'), "must be specified when `operator` is 'In' or 'NotIn'"),
          );
        }
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0) {
          errors.push(
            fieldError.forbidden(
              at.child('values'),
              "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
          );
        }
        break;
      default:
        errors.push(
          fieldError.invalid(
            at.child('operator'),
            expression.operator ?? '',
            'not a valid selector operator',
          ),
        );
    }
    errors.push(...validateLabelName(expression.key ?? '', at.child('key')));
    if (options.allowInvalidValues !== true) {
      values.forEach((value, valueIndex) => {
        for (const text of isValidLabelValue(value)) {
          errors.push(fieldError.invalid(at.child('values').index(valueIndex), value, text));
        }
      });
    }
  });
  return errors;
}
