import net from 'node:net';
import type { Logger, NameLookup, Random, ServiceRecord } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { StartupError } from './startup-error.ts';

/** Where the first members stand in DNS. */
export interface SrvDiscovery {
  readonly domain: string;
  /** Ends the services' names, after a hyphen; empty: nothing. */
  readonly suffix: string;
}

/** The name of etcd's SRV records: `role` is `etcd-server` for members, `etcd-client` for their clients. */
export function srvName(role: string, isSecure: boolean, { domain, suffix }: SrvDiscovery): string {
  return `_${role}${isSecure ? '-ssl' : ''}${suffix === '' ? '' : `-${suffix}`}._tcp.${domain}`;
}

const hostPort = (host: string, port: number): string => `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;

/**
 * The first members by their SRV records, secure ones and others, by name with their peer URLs. Which of them this member is shows by the addresses
 * that a record and one of its own peer URLs lead to; others get numbers for names, as they tell their own later. Throws StartupError
 * when there are no records, or this member's has the other scheme.
 */
export async function discoverBySrv(
  discovery: SrvDiscovery,
  self: { readonly name: string; readonly peerUrls: readonly string[] },
  ports: { readonly lookup: NameLookup; readonly logger: Logger },
): Promise<Map<string, string[]>> {
  const { lookup, logger } = ports;
  const own = new Map<string, string>();
  for (const peerUrl of self.peerUrls) {
    const { hostname, port, protocol } = new URL(peerUrl);
    const host = hostname.replace(/^\[|\]$/g, '');
    const number = Number(port || (protocol === 'https:' ? 443 : 80));
    let addresses: readonly string[];
    try {
      addresses = await lookup.addresses(host);
    } catch (error) {
      throw new StartupError(
        `Cannot resolve "${host}" of --initial-advertise-peer-urls: ${errorMessage(error)}`,
        { cause: error },
      );
    }
    for (const address of addresses) own.set(hostPort(address, number), protocol);
  }
  const cluster = new Map<string, string[]>();
  const failures: string[] = [];
  let numbered = 0;
  for (const scheme of ['https', 'http']) {
    const service = srvName('etcd-server', scheme === 'https', discovery);
    let records: readonly ServiceRecord[] = [];
    try {
      records = await lookup.services(service);
    } catch (error) {
      failures.push(`${service}: ${errorMessage(error)}`);
    }
    for (const { host, port } of records) {
      let addresses: readonly string[] = [];
      try {
        addresses = await lookup.addresses(host);
      } catch (error) {
        failures.push(`${host}: ${errorMessage(error)}`);
        continue;
      }
      const protocol = addresses.map((address) => own.get(hostPort(address, port))).find(Boolean);
      const url = `${scheme}://${hostPort(host, port)}`;
      if (protocol !== undefined && protocol !== `${scheme}:`)
        throw new StartupError(
          `${service} has this member as ${url}, but --initial-advertise-peer-urls is ${self.peerUrls.join(',')}. Give both the same scheme`,
        );
      if (protocol === undefined && String(numbered) === self.name) numbered++;
      const name = protocol === undefined ? String(numbered++) : self.name;
      cluster.set(name, [...(cluster.get(name) ?? []), url]);
    }
    logger.info('looked for members by SRV records', { 'service-name': service, found: records.length });
  }
  if (cluster.size === 0)
    throw new StartupError(`error querying DNS SRV records for the first members: ${failures.join('; ')}`);
  return cluster;
}

/** Client endpoints by SRV records: secure ones, and with `isInsecureAllowed` others. Rejects when there are none. */
export async function clientsBySrv(
  discovery: SrvDiscovery,
  isInsecureAllowed: boolean,
  lookup: NameLookup,
): Promise<readonly ServiceRecord[]> {
  const found: ServiceRecord[] = [];
  const failures: string[] = [];
  for (const isSecure of isInsecureAllowed ? [true, false] : [true]) {
    const service = srvName('etcd-client', isSecure, discovery);
    try {
      found.push(...(await lookup.services(service)));
    } catch (error) {
      failures.push(`${service}: ${errorMessage(error)}`);
    }
  }
  if (found.length === 0)
    throw new StartupError(`error querying DNS SRV records for endpoints: ${failures.join('; ')}`);
  return found;
}

/** One of the records that can be used, by RFC 2782: the lowest priority, and among those by weight. Undefined: none of them can. */
export function pickRecord<T extends ServiceRecord>(records: readonly T[], random: Random): T | undefined {
  const least = Math.min(...records.map(({ priority }) => priority));
  const best = records.filter(({ priority }) => priority === least);
  // Those of weight 0 are to have a small chance beside others.
  const weightOf = ({ weight }: T): number => weight * 100 + 1;
  let left = best.length === 0 ? 0 : random.integer(best.reduce((sum, each) => sum + weightOf(each), 0));
  for (const each of best) {
    if (left < weightOf(each)) return each;
    left -= weightOf(each);
  }
  return undefined;
}
