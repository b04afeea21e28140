// A tour of an etcd v3 server with the npm client etcd3: node tour.mjs ENDPOINT…
import { Etcd3, EtcdLockFailedError } from 'etcd3';

const client = new Etcd3({ hosts: process.argv.slice(2) });
let failures = 0;
const check = (name, condition) => {
  process.stdout.write(`${condition ? 'ok    ' : 'FAIL  '}node: ${name}\n`);
  if (!condition) failures++;
};
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const within = (promise, ms) => Promise.race([promise, pause(ms).then(() => undefined)]);

await client.delete().prefix('js/');
await client.put('js/a').value('1');
check('put and get', (await client.get('js/a').string()) === '1');
check('absent key', (await client.get('js/none')) === null);
await client.put('js/b').value('2');
check('prefix', JSON.stringify(await client.getAll().prefix('js/').strings()) === '{"js/a":"1","js/b":"2"}');
check(
  'keys, sorted',
  (await client.getAll().prefix('js/').sort('Key', 'Descend').keys()).join() === 'js/b,js/a',
);
check(
  'count and limit',
  (await client.getAll().prefix('js/').count()) === 2 &&
    (await client.getAll().prefix('js/').limit(1).keys()).length === 1,
);
const txn = await client
  .if('js/a', 'Value', '==', '1')
  .and('js/none', 'Version', '==', 0)
  .then(client.put('js/t').value('won'), client.get('js/a'))
  .else(client.delete().key('js/a'))
  .commit();
check('transaction', txn.succeeded && txn.responses.length === 2);
const watcher = await client.watch().prefix('js/w/').withPreviousKV().create();
const events = [];
watcher.on('put', (kv, previous) => events.push(`put ${kv.key} ${kv.value} ${previous?.value ?? ''}`));
watcher.on('delete', (kv, previous) => events.push(`delete ${kv.key} ${previous?.value ?? ''}`));
await client.put('js/w/1').value('one');
await client.put('js/w/1').value('two');
await client.delete().key('js/w/1');
for (let tries = 0; events.length < 3 && tries < 100; tries++) await pause(50);
check('watch', events.join(';') === 'put js/w/1 one ;put js/w/1 two one;delete js/w/1 two');
await watcher.cancel();
const lease = client.lease(10);
await lease.put('js/l').value('leased');
check(
  'lease',
  (await client.get('js/l').string()) === 'leased' && (await lease.keepaliveOnce()).TTL === '10',
);
await lease.revoke();
check('revoked lease', (await client.get('js/l').string()) === null);
const lock = await client.lock('js-lock').ttl(10).acquire();
const second = await client
  .lock('js-lock')
  .ttl(10)
  .acquire()
  .catch((error) => error);
check('lock', second instanceof EtcdLockFailedError);
await lock.release();
check('lock is free again', (await client.lock('js-lock').do(() => 'inside')) === 'inside');
const election = client.election('js-election', 5);
const observer = await election.observe();
const campaign = election.campaign('one');
await within(new Promise((resolve) => campaign.on('elected', resolve)), 5000);
check('election', (await within(election.leader(), 5000)) === 'one');
await campaign.proclaim('uno');
check('proclaim', (await election.leader()) === 'uno');
await observer.cancel();
await campaign.resign();
await client.stm().transact(async (tx) => {
  const value = Number((await tx.get('js/counter').string()) ?? '0');
  await tx.put('js/counter').value(value + 1);
});
check('software transactional memory', (await client.get('js/counter').string()) === '1');
const namespace = client.namespace('js/ns/');
await namespace.put('x').value('y');
check('namespace', (await client.get('js/ns/x').string()) === 'y');
const status = await client.maintenance.status();
check('status', Number(status.dbSize) > 0 && Number(status.raftTerm) > 0);
check('members', (await client.cluster.memberList({})).members.length >= 1);
await client.auth.roleAdd({ name: 'js-role' });
check(
  'roles',
  (await client.getRoles()).some(({ name }) => name === 'js-role'),
);
await client.role('js-role').delete();
await client.delete().prefix('js/');
client.close();
process.exit(failures === 0 ? 0 : 1);
