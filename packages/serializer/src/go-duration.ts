import { DecodeError } from './errors.ts';

const unitNanos: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 6e10,
  h: 3.6e12,
};

/** Nanoseconds of a Go duration text such as `1h0m30s`; throws DecodeError with Go's message. */
export function parseDuration(text: string): number {
  const invalid = (): DecodeError =>
    new DecodeError('Value', `time: invalid duration ${JSON.stringify(text)}`);
  const sign = text.startsWith('-') ? -1 : 1;
  let rest = text.replace(/^[+-]/, '');
  if (rest === '0') return 0;
  if (rest === '') throw invalid();
  let total = 0;
  while (rest !== '') {
    const number = /^(\d*)(?:\.(\d*))?/.exec(rest) as RegExpExecArray;
    if (!number[1] && !number[2]) throw invalid();
    rest = rest.slice(number[0].length);
    const unit = (/^[^\d.]+/.exec(rest) ?? [''])[0];
    if (unit === '') throw new DecodeError('Value', `time: missing unit in duration ${JSON.stringify(text)}`);
    if (!Object.hasOwn(unitNanos, unit))
      throw new DecodeError(
        'Value',
        `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`,
      );
    rest = rest.slice(unit.length);
    const nanos = unitNanos[unit] as number;
    total += Number(number[1] || '0') * nanos + Math.floor(Number(`0.${number[2] || '0'}`) * nanos);
  }
  return sign * total;
}

/** The text of Go's Duration.String: `1h0m30s`, `1.5s`, `250ms`, `0s`. */
export function formatDuration(nanos: number): string {
  if (nanos === 0) return '0s';
  const sign = nanos < 0 ? '-' : '';
  const amount = Math.abs(nanos);
  const decimal = (value: number, unitSize: number): string => {
    const whole = Math.floor(value / unitSize);
    const fraction = String(Math.round(value % unitSize)).padStart(String(unitSize).length - 1, '0');
    const trimmed = unitSize === 1 ? '' : fraction.replace(/0+$/, '');
    return trimmed === '' ? String(whole) : `${String(whole)}.${trimmed}`;
  };
  if (amount < 1e3) return `${sign}${String(amount)}ns`;
  if (amount < 1e6) return `${sign}${decimal(amount, 1e3)}µs`;
  if (amount < 1e9) return `${sign}${decimal(amount, 1e6)}ms`;
  const hours = Math.floor(amount / 3.6e12);
  const minutes = Math.floor((amount % 3.6e12) / 6e10);
  const seconds = `${decimal(amount % 6e10, 1e9)}s`;
  if (hours > 0) return `${sign}${String(hours)}h${String(minutes)}m${seconds}`;
  return minutes > 0 ? `${sign}${String(minutes)}m${seconds}` : `${sign}${seconds}`;
}
