import { allocate } from './allocation.ts';
import type { PriorityLevel } from './priority-level.ts';

/**
 * Divides the server's seats anew by what the levels needed in the period that ends: each keeps at least what it used, up to its nominal
 * seats; what is lendable and idle goes to those that want more. Gives the fair fraction, 0 when there was nothing to divide.
 */
export function adjustSeats(levels: Iterable<PriorityLevel>, nowMs: number): number {
  const limited: { level: PriorityLevel; low: number }[] = [];
  let nominalSum = 0;
  let minSum = 0;
  let lowSum = 0;
  let exemptSum = 0;
  for (const level of levels) {
    const { settings, demand } = level;
    demand.endPeriod(nowMs);
    nominalSum += settings.nominalSeats;
    if (settings.isExempt) {
      const seats = Math.max(settings.minSeats, demand.highWatermark);
      exemptSum += seats;
      level.setSeats(nowMs, seats);
      continue;
    }
    const low = Math.max(settings.minSeats, Math.min(settings.nominalSeats, demand.highWatermark));
    limited.push({ level, low });
    minSum += settings.minSeats;
    lowSum += low;
  }
  const left = nominalSum - exemptSum;
  if (left <= minSum) {
    for (const { level } of limited) level.setSeats(nowMs, level.settings.minSeats);
    return 0;
  }
  if (left <= lowSum) {
    const fraction = (left - minSum) / (lowSum - minSum);
    for (const { level, low } of limited) {
      const { minSeats } = level.settings;
      level.setSeats(nowMs, minSeats + Math.round((low - minSeats) * fraction));
    }
    return 0;
  }
  const { shares, fairFraction } = allocate(
    left,
    limited.map(({ level, low }) => ({
      low,
      high: level.settings.maxSeats,
      target: Math.max(low, level.demand.smoothed),
    })),
  );
  for (const [index, { level }] of limited.entries())
    level.setSeats(nowMs, Math.round(shares[index] as number));
  return fairFraction;
}
