import { test } from 'node:test';
import assert from 'node:assert/strict';
import { silentLogger, type NameLookup, type ServiceRecord } from '@pilothouse/base';
import { SeededRandom } from '@pilothouse/testkit';
import { clientsBySrv, discoverBySrv, pickRecord, srvName } from './srv-discovery.ts';

const record = (host: string, port = 2380, priority = 0, weight = 0): ServiceRecord => ({
  host,
  port,
  priority,
  weight,
});

function names(
  services: Readonly<Record<string, readonly ServiceRecord[]>>,
  hosts: Readonly<Record<string, string>> = {},
): NameLookup {
  const known = <T>(value: T | undefined, name: string): Promise<T> =>
    value === undefined ? Promise.reject(new Error(`ENOTFOUND ${name}`)) : Promise.resolve(value);
  return {
    services: (name) => known(services[name], name),
    addresses: (host) => {
      const address = /^[\d.]+$/.test(host) ? host : hosts[host];
      return known(address === undefined ? undefined : [address], host);
    },
  };
}

const domain = { domain: 'example.com', suffix: '' };
const hosts = { 'm1.example.com': '10.0.0.1', 'm2.example.com': '10.0.0.2', 'm3.example.com': '10.0.0.3' };
const three = Object.keys(hosts).map((host) => record(host));

test('members find themselves among the records by address, and all agree on the URLs', async () => {
  const lookup = names({ '_etcd-server._tcp.example.com': three }, hosts);
  for (const [at, host] of Object.keys(hosts).entries()) {
    // One by its name, others by address.
    const url = at === 0 ? `http://${host}:2380` : `http://10.0.0.${at + 1}:2380`;
    const found = await discoverBySrv(
      domain,
      { name: '1', peerUrls: [url] },
      { lookup, logger: silentLogger },
    );
    assert.deepEqual(found.get('1'), [`http://${host}:2380`]);
    assert.deepEqual(
      [...found.values()].flat().sort(),
      Object.keys(hosts).map((each) => `http://${each}:2380`),
    );
    assert.equal(found.size, 3);
  }
});

test('secure records and a suffix; another scheme, no records and an unknown host are refused in words', async () => {
  const self = { name: 'a', peerUrls: ['https://10.0.0.1:2380'] };
  const suffixed = { domain: 'example.com', suffix: 'east' };
  assert.equal(srvName('etcd-server', true, suffixed), '_etcd-server-ssl-east._tcp.example.com');
  const secure = names({ '_etcd-server-ssl-east._tcp.example.com': three }, hosts);
  const found = await discoverBySrv(suffixed, self, { lookup: secure, logger: silentLogger });
  assert.deepEqual(found.get('a'), ['https://m1.example.com:2380']);
  const refused = (lookup: NameLookup, peerUrls = self.peerUrls): Promise<string> =>
    discoverBySrv(domain, { name: 'a', peerUrls }, { lookup, logger: silentLogger }).then(
      () => 'no error',
      (error: Error) => error.message,
    );
  assert.match(await refused(names({ '_etcd-server._tcp.example.com': three }, hosts)), /the same scheme/);
  assert.match(await refused(names({}, hosts)), /error querying DNS SRV records .*_etcd-server\._tcp/);
  assert.match(await refused(names({}), ['http://nowhere:1']), /Cannot resolve "nowhere"/);
});

test('endpoints: those without TLS only when that is asked for', async () => {
  const lookup = names({ '_etcd-client._tcp.example.com': [record('m1.example.com', 2379)] }, hosts);
  assert.equal((await clientsBySrv(domain, true, lookup)).length, 1);
  await assert.rejects(clientsBySrv(domain, false, lookup), /error querying DNS SRV records for endpoints/);
});

test('of records the lowest priority is taken, by weight', () => {
  const random = new SeededRandom(1);
  const records = [record('a', 1, 1, 0), record('b', 1, 0, 1), record('c', 1, 0, 3), record('d', 1, 0, 0)];
  const counts = new Map<string, number>();
  for (let round = 0; round < 4000; round++) {
    const { host } = pickRecord(records, random) as ServiceRecord;
    counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  assert.equal(counts.get('a'), undefined);
  assert.ok((counts.get('c') ?? 0) > 2 * (counts.get('b') ?? 0));
  assert.ok((counts.get('d') ?? 0) < 40);
  assert.equal(pickRecord([], random), undefined);
});
