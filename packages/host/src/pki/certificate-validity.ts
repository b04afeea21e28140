import { X509Certificate } from 'node:crypto';

const dayMs = 86_400_000;
/** Shorter than the time in which a certificate of ours is renewed by itself: who gets this warning has no renewal. */
const soonDays = 7;

/** What is wrong with the time in which a certificate (the first of a PEM text) is valid; undefined: nothing. `nowMs` since the epoch. */
export function validityProblem(pem: string | Buffer, nowMs: number): string | undefined {
  const { validFrom, validTo } = new X509Certificate(pem);
  const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
  if (nowMs > toMs) return `expired on ${day(toMs)} UTC: clients refuse it`;
  if (nowMs < fromMs) return `is valid from ${day(fromMs)} UTC only: compare the clocks`;
  // Those that live for hours are renewed by whoever made them so.
  if (toMs - nowMs < soonDays * dayMs && toMs - fromMs > 3 * soonDays * dayMs)
    return `expires on ${day(toMs)} UTC: renew it`;
  return undefined;
}
