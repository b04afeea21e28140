import type { Environment } from '@marcbachmann/cel-js';
import type { Cidr } from '@pilothouse/apimachinery';
import { cidrContains, formatIp, parseCidr, parseIp } from '@pilothouse/apimachinery';

class IpAddress {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

class IpNetwork {
  readonly cidr: Cidr;
  readonly text: string;
  constructor(cidr: Cidr, text: string) {
    this.cidr = cidr;
    this.text = text;
  }
  get prefixLength(): number {
    return Number(this.text.slice(this.text.lastIndexOf('/') + 1));
  }
  get address(): Uint8Array {
    return parseIp(this.text.slice(0, this.text.lastIndexOf('/'))) as Uint8Array;
  }
}

function ip(text: string): IpAddress {
  const bytes = parseIp(text);
  if (bytes === undefined)
    throw new Error(`IP Address ${JSON.stringify(text)} parse error during conversion from string`);
  return new IpAddress(bytes);
}

function cidr(text: string): IpNetwork {
  const parsed = parseCidr(text);
  if (parsed === undefined)
    throw new Error(`network address parse error during conversion from string: ${JSON.stringify(text)}`);
  return new IpNetwork(parsed, text);
}

const startsWith = (bytes: Uint8Array, ...head: number[]): boolean =>
  head.every((byte, index) => bytes[index] === byte);

/** `ip('10.0.0.1')`, `cidr('10.0.0.0/8')` and what can be asked of them. */
export function registerNetwork(env: Environment): void {
  const ipType = 'net.IP';
  const cidrType = 'net.CIDR';
  env.registerType(ipType, IpAddress);
  env.registerType(cidrType, IpNetwork);
  env.registerOperator(
    `${ipType} == ${ipType}`,
    (a: IpAddress, b: IpAddress) => formatIp(a.bytes) === formatIp(b.bytes),
  );
  env.registerOperator(`${cidrType} == ${cidrType}`, (a: IpNetwork, b: IpNetwork) => a.text === b.text);
  env.registerFunction(`ip(string): ${ipType}`, ip);
  env.registerFunction('isIP(string): bool', (text: string) => parseIp(text) !== undefined);
  env.registerFunction(`string(${ipType}): string`, (value: IpAddress) => formatIp(value.bytes));
  env.registerFunction(`${ipType}.family(): int`, (value: IpAddress) => (value.bytes.length === 4 ? 4n : 6n));
  const isLoopback = ({ bytes }: IpAddress): boolean =>
    bytes.length === 4 ? bytes[0] === 127 : bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
  const isMulticast = ({ bytes }: IpAddress): boolean =>
    bytes.length === 4 ? ((bytes[0] as number) & 0xf0) === 0xe0 : bytes[0] === 0xff;
  const isLinkLocal = ({ bytes }: IpAddress): boolean =>
    bytes.length === 4
      ? startsWith(bytes, 169, 254)
      : bytes[0] === 0xfe && ((bytes[1] as number) & 0xc0) === 0x80;
  const isUnspecified = ({ bytes }: IpAddress): boolean => bytes.every((byte) => byte === 0);
  const isLinkLocalMulticast = ({ bytes }: IpAddress): boolean =>
    bytes.length === 4
      ? startsWith(bytes, 224, 0, 0)
      : bytes[0] === 0xff && ((bytes[1] as number) & 0x0f) === 2;
  env.registerFunction(`${ipType}.isLoopback(): bool`, isLoopback);
  env.registerFunction(`${ipType}.isUnspecified(): bool`, isUnspecified);
  env.registerFunction(`${ipType}.isLinkLocalUnicast(): bool`, isLinkLocal);
  env.registerFunction(`${ipType}.isLinkLocalMulticast(): bool`, isLinkLocalMulticast);
  env.registerFunction(
    `${ipType}.isGlobalUnicast(): bool`,
    (value: IpAddress) =>
      !isLoopback(value) &&
      !isMulticast(value) &&
      !isLinkLocal(value) &&
      !isUnspecified(value) &&
      !(value.bytes.length === 4 && value.bytes.every((byte) => byte === 255)),
  );
  env.registerFunction(`cidr(string): ${cidrType}`, cidr);
  env.registerFunction('isCIDR(string): bool', (text: string) => parseCidr(text) !== undefined);
  env.registerFunction(`string(${cidrType}): string`, (value: IpNetwork) => value.text);
  env.registerFunction(`${cidrType}.ip(): ${ipType}`, (value: IpNetwork) => new IpAddress(value.address));
  env.registerFunction(`${cidrType}.prefixLength(): int`, (value: IpNetwork) => BigInt(value.prefixLength));
  env.registerFunction(`${cidrType}.masked(): ${cidrType}`, (value: IpNetwork) => {
    const bytes = Uint8Array.from(value.address, (byte, index) => {
      const kept = Math.min(8, Math.max(0, value.prefixLength - index * 8));
      return byte & (0xff << (8 - kept));
    });
    return cidr(`${formatIp(bytes)}/${value.prefixLength}`);
  });
  const contains = (network: IpNetwork, address: Uint8Array): boolean =>
    network.address.length === address.length && cidrContains(network.cidr, address);
  env.registerFunction(`${cidrType}.containsIP(string): bool`, (value: IpNetwork, text: string) =>
    contains(value, ip(text).bytes),
  );
  env.registerFunction(`${cidrType}.containsIP(${ipType}): bool`, (value: IpNetwork, other: IpAddress) =>
    contains(value, other.bytes),
  );
  const containsCidr = (value: IpNetwork, other: IpNetwork): boolean =>
    contains(value, other.address) && value.prefixLength <= other.prefixLength;
  env.registerFunction(`${cidrType}.containsCIDR(string): bool`, (value: IpNetwork, text: string) =>
    containsCidr(value, cidr(text)),
  );
  env.registerFunction(`${cidrType}.containsCIDR(${cidrType}): bool`, containsCidr);
}
