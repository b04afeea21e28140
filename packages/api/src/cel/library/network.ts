import type { Cidr } from '@pilothouse/apimachinery';
import { cidrContains, formatIp, parseCidr, parseIp } from '@pilothouse/apimachinery';
import type { FunctionTable } from '../functions.ts';
import { libraryTypes } from '../functions.ts';
import { CelEvaluationError } from '../issues.ts';
import { CelOpaque } from '../values.ts';

class IpAddress extends CelOpaque {
  readonly type = libraryTypes.ip;
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    super();
    this.bytes = bytes;
  }
  override get size(): number {
    return this.bytes.length;
  }
  equals(other: IpAddress): boolean {
    return formatIp(this.bytes) === formatIp(other.bytes);
  }
}

class IpNetwork extends CelOpaque {
  readonly type = libraryTypes.cidr;
  readonly cidr: Cidr;
  readonly text: string;
  constructor(cidr: Cidr, text: string) {
    super();
    this.cidr = cidr;
    this.text = text;
  }
  get prefixLength(): number {
    return Number(this.text.slice(this.text.lastIndexOf('/') + 1));
  }
  get address(): Uint8Array {
    return parseIp(this.text.slice(0, this.text.lastIndexOf('/'))) as Uint8Array;
  }
  override get size(): number {
    return Math.ceil(this.prefixLength / 8);
  }
  equals(other: IpNetwork): boolean {
    return this.text === other.text;
  }
}

/** Addresses without zones and without IPv4 in IPv6 clothes. */
const isPlain = (text: string): boolean => !/%|^::ffff:\d+\./i.test(text);

function readIp(text: string): IpAddress | undefined {
  const bytes = isPlain(text) ? parseIp(text) : undefined;
  return bytes === undefined ? undefined : new IpAddress(bytes);
}

function ip(text: string): IpAddress {
  const found = readIp(text);
  if (found === undefined)
    throw new CelEvaluationError(
      `IP Address ${JSON.stringify(text)} parse error during conversion from string: ParseAddr(${JSON.stringify(text)}): unable to parse IP`,
    );
  return found;
}

function readCidr(text: string): IpNetwork | undefined {
  const parsed = isPlain(text) ? parseCidr(text) : undefined;
  return parsed === undefined ? undefined : new IpNetwork(parsed, text);
}

function cidr(text: string): IpNetwork {
  const found = readCidr(text);
  if (found === undefined)
    throw new CelEvaluationError(
      `network address parse error during conversion from string: netip.ParsePrefix(${JSON.stringify(text)}): no '/'`,
    );
  return found;
}

const startsWith = (bytes: Uint8Array, ...head: number[]): boolean =>
  head.every((byte, index) => bytes[index] === byte);
const isV4 = ({ bytes }: IpAddress): boolean => bytes.length === 4;
const isLoopback = (address: IpAddress): boolean =>
  isV4(address)
    ? address.bytes[0] === 127
    : address.bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
const isMulticast = (address: IpAddress): boolean =>
  isV4(address) ? ((address.bytes[0] as number) & 0xf0) === 0xe0 : address.bytes[0] === 0xff;
const isLinkLocal = (address: IpAddress): boolean =>
  isV4(address)
    ? startsWith(address.bytes, 169, 254)
    : address.bytes[0] === 0xfe && ((address.bytes[1] as number) & 0xc0) === 0x80;
const isUnspecified = ({ bytes }: IpAddress): boolean => bytes.every((byte) => byte === 0);
const isLinkLocalMulticast = (address: IpAddress): boolean =>
  isV4(address)
    ? startsWith(address.bytes, 224, 0, 0)
    : address.bytes[0] === 0xff && ((address.bytes[1] as number) & 0x0f) === 2;

/** `ip('10.0.0.1')`, `cidr('10.0.0.0/8')` and what can be asked of them. */
export function addNetwork(table: FunctionTable): void {
  table.add('ip(string): ip', ip);
  table.add('ip::isCanonical(string): bool', (text: string) => formatIp(ip(text).bytes) === text);
  table.add('isIP(string): bool', (text: string) => readIp(text) !== undefined);
  table.add('string(ip): string', (value: IpAddress) => formatIp(value.bytes));
  table.add('ip.family(): int', (value: IpAddress) => (isV4(value) ? 4n : 6n));
  table.add('ip.isLoopback(): bool', isLoopback);
  table.add('ip.isUnspecified(): bool', isUnspecified);
  table.add('ip.isLinkLocalUnicast(): bool', isLinkLocal);
  table.add('ip.isLinkLocalMulticast(): bool', isLinkLocalMulticast);
  table.add(
    'ip.isGlobalUnicast(): bool',
    (value: IpAddress) =>
      !isLoopback(value) &&
      !isMulticast(value) &&
      !isLinkLocal(value) &&
      !isUnspecified(value) &&
      !(isV4(value) && value.bytes.every((byte) => byte === 255)),
  );
  table.add('cidr(string): cidr', cidr);
  table.add('isCIDR(string): bool', (text: string) => readCidr(text) !== undefined);
  table.add('string(cidr): string', (value: IpNetwork) => value.text);
  table.add('cidr.ip(): ip', (value: IpNetwork) => new IpAddress(value.address), 'cidr_ip');
  table.add('cidr.prefixLength(): int', (value: IpNetwork) => BigInt(value.prefixLength));
  table.add('cidr.masked(): cidr', (value: IpNetwork) => {
    const bytes = Uint8Array.from(value.address, (byte, index) => {
      const kept = Math.min(8, Math.max(0, value.prefixLength - index * 8));
      return byte & (0xff << (8 - kept));
    });
    return cidr(`${formatIp(bytes)}/${value.prefixLength}`);
  });
  const contains = (network: IpNetwork, address: Uint8Array): boolean =>
    network.address.length === address.length && cidrContains(network.cidr, address);
  table.add(
    'cidr.containsIP(string): bool',
    (value: IpNetwork, text: string) => contains(value, ip(text).bytes),
    'cidr_contains_ip_string',
  );
  table.add('cidr.containsIP(ip): bool', (value: IpNetwork, other: IpAddress) =>
    contains(value, other.bytes),
  );
  const containsCidr = (value: IpNetwork, other: IpNetwork): boolean =>
    contains(value, other.address) && value.prefixLength <= other.prefixLength;
  table.add(
    'cidr.containsCIDR(string): bool',
    (value: IpNetwork, text: string) => containsCidr(value, cidr(text)),
    'cidr_contains_cidr_string',
  );
  table.add('cidr.containsCIDR(cidr): bool', containsCidr);
}
