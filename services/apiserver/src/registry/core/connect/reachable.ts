import { parseIp, statusErrors } from '@pilothouse/apimachinery';

/**
 * Addresses that a client may have this server connect to: no multicast, link-local or unspecified ones, so that nobody reaches the metadata
 * service of a cloud or this machine's own services through it; loopback ones only where pods live there. Throws 400.
 */
export function requireReachable(address: string, loopback: boolean): void {
  if (!mayReach(address, loopback)) throw statusErrors.badRequest('address not allowed');
}

/** As {@link requireReachable}, for choosing among several. */
export function mayReach(address: string, loopback: boolean): boolean {
  const ip = parseIp(address);
  return ip !== undefined && isReachable(ip, loopback);
}

function isReachable(ip: Uint8Array, loopback: boolean): boolean {
  const mapped =
    ip.length === 16 && ip.slice(0, 10).every((byte) => byte === 0) && ip[10] === 255 && ip[11] === 255;
  const bytes = mapped ? ip.slice(12) : ip;
  const first = bytes[0] as number;
  const second = bytes[1] as number;
  if (bytes.every((byte) => byte === 0)) return false;
  if (bytes.length === 4) {
    if (first === 127) return loopback;
    if (bytes.every((byte) => byte === 255)) return false;
    return !(first === 169 && second === 254) && !(first >= 224 && first <= 239);
  }
  if (bytes.slice(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return loopback;
  return first !== 0xff && !(first === 0xfe && (second & 0xc0) === 0x80);
}
