import type { AuthenticationResult } from './interface.ts';

/** Audiences that occur in both lists, in the order of `wanted`; undefined when none does. */
export function commonAudiences(
  wanted: readonly string[],
  offered: readonly string[],
): readonly string[] | undefined {
  const common = wanted.filter((audience) => offered.includes(audience));
  return common.length === 0 ? undefined : common;
}

/** A result of a method that knows no audiences: it is good for those of the API server. Undefined: for none of the asked ones. */
export function withApiAudiences(
  result: AuthenticationResult,
  wanted: readonly string[],
  apiAudiences: readonly string[],
): AuthenticationResult | undefined {
  // A server without issuers has no audiences to ask for.
  if (wanted.length === 0 && apiAudiences.length === 0) return result;
  const common = commonAudiences(wanted, apiAudiences);
  return common === undefined ? undefined : { ...result, audiences: common };
}
