/** Times in the API are RFC 3339 texts in UTC; in arithmetic they are milliseconds since 1970. No clock here. */

const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?([Zz]|[+-]\d{2}:\d{2})$/;
const daysInMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Milliseconds of an RFC 3339 text, or undefined when it is none. Fractions below a millisecond are dropped. */
export function parseTime(text: string): number | undefined {
  const match = rfc3339.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const monthNumber = Number(month);
  const dayNumber = Number(day);
  const leap = Number(year) % 4 === 0 && (Number(year) % 100 !== 0 || Number(year) % 400 === 0);
  const lastDay = monthNumber === 2 && leap ? 29 : (daysInMonth[monthNumber - 1] ?? 0);
  if (dayNumber < 1 || dayNumber > lastDay || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59)
    return undefined;
  const milliseconds = fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, '0'));
  // Years below 100 mean themselves here, not 19xx.
  const date = new Date(0);
  date.setUTCFullYear(Number(year), monthNumber - 1, dayNumber);
  date.setUTCHours(Number(hour), Number(minute), Number(second), milliseconds);
  let offset = 0;
  if (zone !== undefined && zone.toUpperCase() !== 'Z') {
    const hours = Number(zone.slice(1, 3));
    const minutes = Number(zone.slice(4, 6));
    if (hours > 23 || minutes > 59) return undefined;
    offset = (hours * 60 + minutes) * 60_000 * (zone.startsWith('-') ? -1 : 1);
  }
  return date.getTime() - offset;
}

/** `2024-05-01T10:00:00Z`: meta/v1 Time. */
export function formatTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

/** `2024-05-01T10:00:00.123456Z`: meta/v1 MicroTime. `microseconds` is the part below the millisecond, 0–999. */
export function formatMicroTime(milliseconds: number, microseconds = 0): string {
  return `${new Date(milliseconds).toISOString().slice(0, 23)}${String(microseconds).padStart(3, '0')}Z`;
}

/** Age as kubectl shows it: `5m12s`, `3h`, `2d4h`, `400d`. Negative below two seconds is `<invalid>`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const two = (high: number, highUnit: string, low: number, lowUnit: string): string =>
    low === 0 ? `${high}${highUnit}` : `${high}${highUnit}${low}${lowUnit}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  if (hours < 24 * 8) return two(Math.floor(hours / 24), 'd', hours % 24, 'h');
  const days = Math.floor(hours / 24);
  if (hours < 24 * 365 * 2) return `${days}d`;
  if (hours < 24 * 365 * 8) return two(Math.floor(days / 365), 'y', days % 365, 'd');
  return `${Math.floor(days / 365)}y`;
}

/** Age of a timestamp as tables show it; `<unknown>` without one. */
export function translateTimestampSince(timestamp: string | null | undefined, nowMs: number): string {
  const time = timestamp === null || timestamp === undefined ? undefined : parseTime(timestamp);
  return time === undefined ? '<unknown>' : humanDuration(nowMs - time);
}

const goUnits: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of Go's duration text such as `1h30m` or `1.5s`, or undefined when it is none. */
export function parseGoDuration(text: string): number | undefined {
  const match = /^([+-]?)(.+)$/.exec(text);
  if (match === null) return undefined;
  if (match[2] === '0') return 0;
  const part = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/y;
  const body = match[2] as string;
  let total = 0;
  while (part.lastIndex < body.length) {
    const piece = part.exec(body);
    if (piece === null) return undefined;
    total += Number(piece[1]) * (goUnits[piece[2] as string] as number);
  }
  return match[1] === '-' ? -total : total;
}

/** Go's text of a duration: `1h30m0s`, `1.5s`, `200ms`, `0s`. */
export function formatGoDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s';
  const sign = milliseconds < 0 ? '-' : '';
  const absolute = Math.abs(milliseconds);
  if (absolute < 1000) {
    if (absolute >= 1) return `${sign}${trim(absolute)}ms`;
    if (absolute >= 1e-3) return `${sign}${trim(absolute * 1e3)}µs`;
    return `${sign}${trim(absolute * 1e6)}ns`;
  }
  const hours = Math.floor(absolute / 3_600_000);
  const minutes = Math.floor((absolute % 3_600_000) / 60_000);
  const seconds = trim((absolute % 60_000) / 1000);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  if (minutes > 0) return `${sign}${minutes}m${seconds}s`;
  return `${sign}${seconds}s`;
}

function trim(value: number): string {
  return String(Number(value.toFixed(9)));
}
