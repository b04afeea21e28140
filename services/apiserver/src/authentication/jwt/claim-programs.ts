import { compileTo } from '@pilothouse/api/admissionregistration';
import type { CelProgram, CelType } from '@pilothouse/api/cel';
import {
  CelEnvironment,
  celTypes,
  fromJson,
  listType,
  mapType,
  structType,
  toJson,
} from '@pilothouse/api/cel';
import { errorMessage } from '@pilothouse/base';
import type { UserInfo } from '../interface.ts';

const { string, dyn, bool } = celTypes;
const userFields: Readonly<Record<string, CelType>> = {
  username: string,
  uid: string,
  groups: listType(string),
  extra: mapType(string, listType(string)),
};
const claimsEnvironment = new CelEnvironment({ variables: { claims: mapType(string, dyn) } });
const userEnvironment = new CelEnvironment({
  variables: {
    user: structType('kubernetes.UserInfo', (name) =>
      Object.hasOwn(userFields, name) ? userFields[name] : undefined,
    ),
  },
});

export interface Rule {
  readonly program: CelProgram;
  readonly message: string;
}

/** The compiled expressions of one issuer. */
export interface ClaimPrograms {
  readonly username?: CelProgram;
  readonly groups?: CelProgram;
  readonly uid?: CelProgram;
  readonly extra: readonly { readonly key: string; readonly program: CelProgram }[];
  readonly claimRules: readonly Rule[];
  readonly userRules: readonly Rule[];
}

/** Compiles an expression over `claims`. Throws an Error in upstream's words. */
export function compileClaims(source: string, isRule: boolean): CelProgram {
  return compiled(claimsEnvironment, source, isRule ? [bool] : []);
}

/** Compiles a rule over `user`. */
export function compileUser(source: string): CelProgram {
  return compiled(userEnvironment, source, [bool]);
}

function compiled(environment: CelEnvironment, source: string, types: readonly CelType[]): CelProgram {
  try {
    return compileTo(environment, source, types);
  } catch (error) {
    const text = errorMessage(error);
    const mismatch = /^must evaluate to \S+/.exec(text);
    throw new Error(mismatch ? mismatch[0] : `compilation failed: ${text}`, { cause: error });
  }
}

/** The value of an expression over the claims of a token, as JSON. Throws when there is none. */
export function claimValue(program: CelProgram, claims: Readonly<Record<string, unknown>>): unknown {
  return toJson(program.run((name) => (name === 'claims' ? fromJson(claims) : undefined)).value);
}

/** Texts of an expression that gives a text, a list of texts or null; empty ones are left out. */
export function claimTexts(program: CelProgram, claims: Readonly<Record<string, unknown>>): string[] {
  const value = claimValue(program, claims);
  if (value === null) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (!list.every((each): each is string => typeof each === 'string'))
    throw new Error('expression must return a string or a list of strings');
  return list.filter((each) => each !== '');
}

/** Throws with the message of the first rule that is false, or that cannot be evaluated. */
export function checkClaimRules(rules: readonly Rule[], claims: Readonly<Record<string, unknown>>): void {
  checkRules(rules, (program) => claimValue(program, claims));
}

/** The same for rules over the user. */
export function checkUserRules(rules: readonly Rule[], user: UserInfo): void {
  if (rules.length === 0) return;
  const value = fromJson({
    username: user.name,
    uid: user.uid ?? '',
    groups: user.groups,
    extra: user.extra ?? {},
  });
  checkRules(rules, (program) => program.run((name) => (name === 'user' ? value : undefined)).value);
}

function checkRules(rules: readonly Rule[], valueOf: (program: CelProgram) => unknown): void {
  for (const { program, message } of rules) {
    const value = valueOf(program);
    if (typeof value !== 'boolean') throw new Error('validation expression must return a boolean');
    if (!value) throw new Error(`validation expression '${program.source}' failed: ${message}`);
  }
}
