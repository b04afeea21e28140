/** One claim on a common sum: at least `low`, at most `high`, and as near to its `target` as is fair to the others. */
export interface Claim {
  readonly low: number;
  readonly high: number;
  readonly target: number;
}

/** Smallest target that is told apart from nothing. */
const targetMin = 0.001;

/**
 * Divides `sum` so that every claim gets the same multiple of its target, or the bound that keeps it from that. When the bounds
 * leave no such division, everybody gets the bound on the side that is nearer to it.
 */
export function allocate(sum: number, claims: readonly Claim[]): { shares: number[]; fairFraction: number } {
  const share = ({ low, high, target }: Claim, fraction: number): number =>
    Math.min(high, Math.max(low, fraction * Math.max(target, targetMin)));
  const total = (fraction: number): number => claims.reduce((all, claim) => all + share(claim, fraction), 0);
  const at = (fraction: number): { shares: number[]; fairFraction: number } => ({
    shares: claims.map((claim) => share(claim, fraction)),
    fairFraction: fraction,
  });
  // Between two neighbouring bounds the total grows in a straight line.
  const corners = claims
    .flatMap(({ low, high, target }) => [low, high].map((bound) => bound / Math.max(target, targetMin)))
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  let left = 0;
  for (const right of [...corners, Number.MAX_SAFE_INTEGER]) {
    const before = total(left);
    if (before >= sum) return at(left);
    const after = total(right);
    if (after >= sum) return at(left + ((sum - before) / (after - before)) * (right - left));
    left = right;
  }
  return at(left);
}
