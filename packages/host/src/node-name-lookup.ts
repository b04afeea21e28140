import dns from 'node:dns';
import type { NameLookup } from '@pilothouse/base';

/** DNS and the system's own names (`/etc/hosts`). `servers`: addresses with port of name servers for SRV records; default the system's. */
export function nodeNameLookup(servers?: readonly string[]): NameLookup {
  const resolver = new dns.promises.Resolver({ timeout: 3000, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  return {
    async services(name) {
      const records = await resolver.resolveSrv(name);
      return records.map(({ name: host, port, priority, weight }) => ({
        host: host.replace(/\.$/, ''),
        port,
        priority,
        weight,
      }));
    },
    async addresses(host) {
      const found = await dns.promises.lookup(host, { all: true });
      return found.map(({ address }) => address);
    },
  };
}
