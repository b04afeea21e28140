import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';

/** The bytes of an address: 4 for IPv4, 16 for IPv6; undefined when it is none. Leading zeros are accepted as upstream's legacy parser does. */
export function parseIp(value: string): number[] | undefined {
  if (value.includes(':')) return parseIpv6(value);
  return parseIpv4(value);
}

function parseIpv4(value: string): number[] | undefined {
  const parts = value.split('.');
  if (parts.length !== 4) return undefined;
  const bytes: number[] = [];
  for (const part of parts) {
    if (!/^[0-9]{1,3}$/.test(part)) return undefined;
    const byte = Number(part);
    if (byte > 255) return undefined;
    bytes.push(byte);
  }
  return bytes;
}

function parseIpv6(value: string): number[] | undefined {
  const halves = value.split('::');
  if (halves.length > 2) return undefined;
  const groupsOf = (half: string): number[] | undefined => {
    if (half === '') return [];
    const groups: number[] = [];
    const parts = half.split(':');
    for (const [index, part] of parts.entries()) {
      if (part.includes('.') && index === parts.length - 1) {
        const four = parseIpv4(part);
        if (four === undefined) return undefined;
        groups.push(
          (four[0] as number) * 256 + (four[1] as number),
          (four[2] as number) * 256 + (four[3] as number),
        );
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(parseInt(part, 16));
      else return undefined;
    }
    return groups;
  };
  const head = groupsOf(halves[0] as string);
  const tail = halves.length === 2 ? groupsOf(halves[1] as string) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail].flatMap((group) => [
    group >> 8,
    group & 255,
  ]);
}

/** Canonical text (RFC 5952). */
export function ipText(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join('.');
  if (isMapped(bytes)) return bytes.slice(12).join('.');
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2)
    groups.push((bytes[index] as number) * 256 + (bytes[index + 1] as number));
  let start = -1;
  let length = 1;
  for (let index = 0; index < 8; index += 1) {
    let end = index;
    while (end < 8 && groups[end] === 0) end += 1;
    if (end - index > length) {
      start = index;
      length = end - index;
    }
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

function isMapped(bytes: readonly number[]): boolean {
  return (
    bytes.length === 16 &&
    bytes.slice(0, 10).every((byte) => byte === 0) &&
    bytes[10] === 255 &&
    bytes[11] === 255
  );
}

export function isIpv6(value: string): boolean {
  const bytes = parseIp(value);
  return bytes !== undefined && bytes.length === 16 && !isMapped(bytes);
}

export function isIpv4(value: string): boolean {
  const bytes = parseIp(value);
  return bytes !== undefined && (bytes.length === 4 || isMapped(bytes));
}

export interface Cidr {
  readonly ip: readonly number[];
  readonly bits: number;
}

export function parseCidr(value: string): Cidr | undefined {
  const slash = value.indexOf('/');
  if (slash < 0) return undefined;
  const ip = parseIp(value.slice(0, slash));
  const bitsText = value.slice(slash + 1);
  if (ip === undefined || !/^[0-9]{1,3}$/.test(bitsText)) return undefined;
  const bits = Number(bitsText);
  if (bits > ip.length * 8) return undefined;
  return { ip, bits };
}

/** The first address of the block. */
export function maskedIp({ ip, bits }: Cidr): number[] {
  return ip.map((byte, index) => {
    const keep = Math.min(8, Math.max(0, bits - index * 8));
    return byte & (0xff << (8 - keep)) & 0xff;
  });
}

export function cidrContains(block: Cidr, ip: readonly number[]): boolean {
  if (ip.length !== block.ip.length) return false;
  const one = maskedIp(block);
  const two = maskedIp({ ip, bits: block.bits });
  return one.every((byte, index) => byte === two[index]);
}

const ipMessage = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const cidrMessage = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

const hasLeadingZero = (value: string): boolean =>
  /(^|\.)0[0-9]/.test(value.split('/')[0] as string) && !value.includes(':');

/** The strict rule for new values: canonical enough that every parser agrees. */
export function validateIp(path: FieldPath, value: string): FieldError[] {
  const bytes = parseIp(value);
  if (bytes === undefined) return [fieldError.invalid(path, value, ipMessage)];
  if (hasLeadingZero(value)) return [fieldError.invalid(path, value, 'must not have leading 0s')];
  if (bytes.length === 16 && isMapped(bytes))
    return [fieldError.invalid(path, value, 'must not be an IPv4-mapped IPv6 address')];
  return [];
}

/** Accepts whatever parses. */
export function validateIpLegacy(path: FieldPath, value: string): FieldError[] {
  return parseIp(value) === undefined ? [fieldError.invalid(path, value, ipMessage)] : [];
}

export function validateCidr(path: FieldPath, value: string): FieldError[] {
  const cidr = parseCidr(value);
  if (cidr === undefined) return [fieldError.invalid(path, value, cidrMessage)];
  const errors: FieldError[] = [];
  if (hasLeadingZero(value)) errors.push(fieldError.invalid(path, value, 'must not have leading 0s in IP'));
  if (cidr.ip.length === 16 && isMapped(cidr.ip))
    errors.push(fieldError.invalid(path, value, 'must not have an IPv4-mapped IPv6 address'));
  else if (maskedIp(cidr).some((byte, index) => byte !== cidr.ip[index]))
    errors.push(fieldError.invalid(path, value, 'must not have bits set beyond the prefix length'));
  else if (/\/0[0-9]/.test(value))
    errors.push(fieldError.invalid(path, value, 'must not have leading 0s in prefix length'));
  return errors;
}

/** What is told of a range that is accepted but not in its one canonical form. */
export function cidrWarnings(where: string, value: string): string[] {
  const cidr = parseCidr(value.trim());
  if (cidr === undefined) return [];
  const canonical = `${ipText(maskedIp(cidr))}/${cidr.bits}`;
  const single = `${ipText(cidr.ip)}/${cidr.ip.length * 8}`;
  const warnings: string[] = [];
  if (ipText(maskedIp(cidr)) !== ipText(cidr.ip))
    warnings.push(
      `${where}: CIDR value "${value}" is ambiguous in this context (should be "${canonical}" or "${single}"?)`,
    );
  if (hasLeadingZero(value) || /\/0[0-9]/.test(value) || (value.includes(':') && isMapped(cidr.ip)))
    warnings.push(`${where}: non-standard CIDR value "${value}" is invalid: use "${canonical}"`);
  if (warnings.length === 0 && value.includes(':') && canonical !== value)
    warnings.push(
      `${where}: IPv6 CIDR value "${value}" should be in RFC 5952 canonical format ("${canonical}")`,
    );
  return warnings;
}

export function validateCidrLegacy(path: FieldPath, value: string): FieldError[] {
  return parseCidr(value) === undefined ? [fieldError.invalid(path, value, cidrMessage)] : [];
}

/** Addresses that no endpoint or external IP may have; loopback ones are let through where pods are processes of the host. */
export function validateNonSpecialIp(path: FieldPath, value: string, allowLoopback = false): FieldError[] {
  const ip = parseIp(value);
  if (ip === undefined) return [fieldError.invalid(path, value, 'must be a valid IP address')];
  const four = ip.length === 4 ? ip : isMapped(ip) ? ip.slice(12) : undefined;
  const errors: FieldError[] = [];
  const add = (detail: string): void => {
    errors.push(fieldError.invalid(path, value, detail));
  };
  if (ip.every((byte) => byte === 0)) add('may not be unspecified (0.0.0.0 or ::)');
  const loopback =
    four !== undefined ? four[0] === 127 : ip.slice(0, 15).every((byte) => byte === 0) && ip[15] === 1;
  if (loopback && !allowLoopback) add('may not be in the loopback range (127.0.0.0/8, ::1/128)');
  if (
    four !== undefined
      ? four[0] === 169 && four[1] === 254
      : ip[0] === 0xfe && ((ip[1] as number) & 0xc0) === 0x80
  )
    add('may not be in the link-local range (169.254.0.0/16, fe80::/10)');
  if (
    four !== undefined
      ? four[0] === 224 && four[1] === 0 && four[2] === 0
      : ip[0] === 0xff && ((ip[1] as number) & 0x0f) === 2
  )
    add('may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)');
  return errors;
}
