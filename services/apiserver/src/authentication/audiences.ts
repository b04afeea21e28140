/** Audiences that occur in both lists, in the order of `wanted`; undefined when none does. */
export function commonAudiences(
  wanted: readonly string[],
  offered: readonly string[],
): readonly string[] | undefined {
  const common = wanted.filter((audience) => offered.includes(audience));
  return common.length === 0 ? undefined : common;
}
