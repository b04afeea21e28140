import { parseIp } from '@pilothouse/apimachinery';

type Check = (text: string) => boolean;

function ipFamily(text: string): 4 | 6 | undefined {
  if (parseIp(text) === undefined) return undefined;
  return text.includes(':') ? 6 : 4;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const hostname =
  /^(?=.{1,255}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\.?$/;
const uuid = (version: string): RegExp =>
  new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$`, 'i');
const matches =
  (pattern: RegExp): Check =>
  (text) =>
    pattern.test(text);

function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (match === null) return false;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return month >= 1 && month <= 12 && day >= 1 && day <= (days[month - 1] as number);
}

function isDateTime(text: string): boolean {
  const match = /^(\d{4}-\d{2}-\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})?$/.exec(text);
  if (match === null || !isDate(match[1] as string)) return false;
  return Number(match[2]) < 24 && Number(match[3]) < 60 && Number(match[4]) < 60;
}

function isUri(text: string): boolean {
  return (/^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text) || text.startsWith('/')) && !/[\s\u0000-\u001f]/.test(text);
}

function isCidr(text: string): boolean {
  const at = text.lastIndexOf('/');
  if (at < 0) return false;
  const family = ipFamily(text.slice(0, at));
  const bits = text.slice(at + 1);
  return family !== undefined && /^(0|[1-9]\d*)$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

function isDuration(text: string): boolean {
  return (
    /^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$/.test(
      text,
    ) ||
    text === '0' ||
    /^\d+\s*(milli(s|sec|second)?s?|micro\w*|nano\w*|s(ec(ond)?s?)?|m(in(ute)?s?)?|h(r|our)?s?|d(ays?)?|w(eeks?)?)$/.test(
      text,
    )
  );
}

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** Formats of strings that are checked; any other one is an annotation only. */
export const stringFormats: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['bsonobjectid', matches(/^[0-9a-f]{24}$/i)],
  ['uri', isUri],
  ['email', matches(/^[^\s@<>]+@[^\s@<>]+$/)],
  ['hostname', matches(hostname)],
  ['ipv4', (text) => ipFamily(text) === 4],
  ['ipv6', (text) => ipFamily(text) === 6],
  ['cidr', isCidr],
  [
    'mac',
    matches(
      /^([0-9a-f]{2}([:-])[0-9a-f]{2}(\2[0-9a-f]{2}){4}(\2[0-9a-f]{2}\2[0-9a-f]{2})?|([0-9a-f]{4}\.){2,3}[0-9a-f]{4})$/i,
    ),
  ],
  ['uuid', matches(uuid('[0-9a-f]'))],
  ['uuid3', matches(uuid('3'))],
  ['uuid4', matches(uuid('4'))],
  ['uuid5', matches(uuid('5'))],
  ['isbn', matches(/^(?:\d[- ]?){9}[\dXx]$|^(?:\d[- ]?){13}$/)],
  ['isbn10', matches(/^(?:\d[- ]?){9}[\dXx]$/)],
  ['isbn13', matches(/^(?:\d[- ]?){13}$/)],
  ['creditcard', matches(/^\d{13,19}$/)],
  ['ssn', matches(/^\d{3}[- ]?\d{2}[- ]?\d{4}$/)],
  ['hexcolor', matches(/^#?([0-9a-f]{3}|[0-9a-f]{6})$/i)],
  [
    'rgbcolor',
    matches(
      /^rgb\(\s*(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])\s*(,\s*(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])\s*){2}\)$/,
    ),
  ],
  ['byte', matches(base64)],
  ['date', isDate],
  ['duration', isDuration],
  ['datetime', isDateTime],
  ['date-time', isDateTime],
  ['k8s-short-name', (text) => text.length <= 63 && label.test(text)],
  ['k8s-long-name', (text) => text.length <= 253 && text.split('.').every((part) => label.test(part))],
]);
