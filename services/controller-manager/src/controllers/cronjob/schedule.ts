import { Cron } from 'croner';

/** Times of a cron schedule in a time zone. Croner follows crontab(5) as upstream's parser does: day of month OR day of week. */
export class Schedule {
  readonly #cron: Cron;
  readonly #everyMs: number | undefined;

  /** Throws when the schedule or the zone cannot be understood. `@every 1h30m` counts from the earliest time asked for. */
  constructor(text: string, timeZone: string | undefined) {
    const every = /^@every\s+((?:\d+(?:\.\d+)?(?:h|m|s))+)$/.exec(text);
    this.#everyMs = every ? durationMs(every[1] as string) : undefined;
    this.#cron = new Cron(every ? '0 0 1 1 *' : text, { timezone: timeZone ?? 'Etc/UTC', paused: true });
  }

  /** The first time after `afterMs`, wall milliseconds; undefined when there is none. */
  next(afterMs: number): number | undefined {
    if (this.#everyMs !== undefined) return Math.floor(afterMs / 1000) * 1000 + this.#everyMs;
    return this.#cron.nextRun(new Date(afterMs))?.getTime();
  }

  /**
   * The last time in (earliestMs, nowMs] and how many there were, counted up to `countMax`: a schedule that was asleep for a year
   * must not be walked minute by minute.
   */
  lastMissed(
    earliestMs: number,
    nowMs: number,
    countMax = 100,
  ): { lastMs: number | undefined; count: number } {
    let lastMs: number | undefined;
    let count = 0;
    let at = this.next(earliestMs);
    while (at !== undefined && at <= nowMs) {
      lastMs = at;
      count++;
      if (count > countMax) {
        // Far behind: look back from now in growing steps until a step holds a time, then walk only that stretch.
        for (let back = 60_000; ; back *= 2) {
          const from = Math.max(earliestMs, nowMs - back);
          const first = this.next(from);
          if (first !== undefined && first <= nowMs) {
            for (
              let step: number | undefined = first;
              step !== undefined && step <= nowMs;
              step = this.next(step)
            )
              lastMs = step;
            return { lastMs, count };
          }
          if (from === earliestMs) return { lastMs, count };
        }
      }
      at = this.next(at);
    }
    return { lastMs, count };
  }
}

function durationMs(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|m|s)/g))
    total += Number(amount) * ({ h: 3_600_000, m: 60_000, s: 1000 }[unit as 'h' | 'm' | 's'] ?? 0);
  return total;
}
