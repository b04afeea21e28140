import { DecodeError } from './errors.ts';

const timeLayout = '2006-01-02T15:04:05Z07:00';
const microTimeLayout = '2006-01-02T15:04:05.000000Z07:00';
/** Year 1 in seconds before 1970: Go's zero time. */
const zeroSeconds = -62135596800;

const pad = (value: number, width = 2): string => String(value).padStart(width, '0');

/** Years 0 to 9999, which RFC 3339 can say. */
const secondsMin = -62167219200;
const secondsMax = 253402300799;

function formatSeconds(seconds: number): string {
  if (seconds < secondsMin || seconds > secondsMax)
    throw new DecodeError('Value', `Cannot write time ${String(seconds)} s: year outside of range [0,9999]`);
  return new Date(seconds * 1000).toISOString().slice(0, 19);
}

/** Text of a Time; undefined for Go's zero time. */
export function formatTime(seconds: number): string | undefined {
  return seconds === zeroSeconds ? undefined : `${formatSeconds(seconds)}Z`;
}

/** Text of a MicroTime; undefined for Go's zero time. Nanoseconds below a microsecond are cut. */
export function formatMicroTime(seconds: number, nanos: number): string | undefined {
  if (seconds === zeroSeconds && nanos === 0) return undefined;
  return `${formatSeconds(seconds)}.${pad(Math.floor(nanos / 1000), 6)}Z`;
}

const shape = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/;
const daysInMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

export interface ParsedTime {
  /** Since 1970, may be negative. */
  readonly seconds: number;
  readonly nanos: number;
}

function parse(text: string, layout: string, micro: boolean): ParsedTime {
  const match = shape.exec(text);
  const fraction = match?.[7];
  if (!match || (micro && fraction?.length !== 6)) throw syntaxError(text, layout, micro);
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const range = (what: string): DecodeError =>
    new DecodeError('Value', `parsing time ${JSON.stringify(text)}: ${what} out of range`);
  if (month < 1 || month > 12) throw range('month');
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (day < 1 || day > (month === 2 && leap ? 29 : (daysInMonth[month - 1] as number))) throw range('day');
  if (hour > 23) throw range('hour');
  if (minute > 59) throw range('minute');
  if (second > 59) throw range('second');
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  let seconds = date.getTime() / 1000;
  const zone = match[8] as string;
  if (zone !== 'Z') {
    const zoneHours = Number(zone.slice(1, 3));
    const zoneMinutes = Number(zone.slice(4, 6));
    if (zoneHours > 24) throw range('time zone offset hour');
    if (zoneMinutes > 60) throw range('time zone offset minute');
    seconds -= (zone.startsWith('-') ? -1 : 1) * (zoneHours * 3600 + zoneMinutes * 60);
  }
  return { seconds, nanos: fraction === undefined ? 0 : Number(fraction.slice(0, 9).padEnd(9, '0')) };
}

/** Pieces of the layout in order, with what each accepts: the first that does not match names the error. */
const pieces: readonly (readonly [layout: string, accept: RegExp])[] = [
  ['2006', /^\d{4}/],
  ['-', /^-/],
  ['01', /^\d\d/],
  ['-', /^-/],
  ['02', /^\d\d/],
  ['T', /^T/],
  ['15', /^\d\d/],
  [':', /^:/],
  ['04', /^\d\d/],
  [':', /^:/],
  ['05', /^\d\d/],
];

function syntaxError(text: string, layout: string, micro: boolean): DecodeError {
  const cannot = (rest: string, element: string): DecodeError =>
    new DecodeError(
      'Value',
      `parsing time ${JSON.stringify(text)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(element)}`,
    );
  let rest = text;
  for (const [element, accept] of pieces) {
    const match = accept.exec(rest);
    if (!match) return cannot(rest, element);
    rest = rest.slice(match[0].length);
  }
  if (micro) {
    if (!/^[.,]\d{6}/.test(rest)) return cannot(rest, '.000000');
    rest = rest.slice(7);
  } else rest = rest.replace(/^[.,]\d+/, '');
  const zone = /^(Z|[+-]\d\d:\d\d)/.exec(rest);
  if (!zone) return cannot(rest, 'Z07:00');
  return new DecodeError(
    'Value',
    `parsing time ${JSON.stringify(text)}: extra text: ${JSON.stringify(rest.slice(zone[0].length))}`,
  );
}

const canonicalTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** Parses an RFC 3339 text as Go does; throws DecodeError with Go's message. */
export function parseTime(text: string): ParsedTime {
  return parse(text, timeLayout, false);
}

/** Parses a MicroTime: exactly six fraction digits. */
export function parseMicroTime(text: string): ParsedTime {
  return parse(text, microTimeLayout, true);
}

/** RFC 3339 in UTC with whole seconds; undefined for Go's zero time. */
export function canonicalizeTime(text: string): string | undefined {
  const { seconds } = parseTime(text);
  if (canonicalTime.test(text) && seconds !== zeroSeconds) return text;
  return formatTime(seconds);
}

/** RFC 3339 in UTC with six fraction digits; undefined for Go's zero time. */
export function canonicalizeMicroTime(text: string): string | undefined {
  const { seconds, nanos } = parseMicroTime(text);
  return formatMicroTime(seconds, nanos);
}
