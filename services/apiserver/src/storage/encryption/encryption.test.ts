import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { FakeClock } from '@pilothouse/testkit';
import { KeyValueError } from '../errors.ts';
import { MemoryKeyValueStore } from '../memory/memory-key-value-store.ts';
import { ObjectStorage } from '../object-storage.ts';
import { plainJsonCodec } from '../stored-object.ts';
import { EncryptedKeyValueStore } from './encrypted-store.ts';
import { parseEncryptionConfig } from './encryption-config.ts';
import { TransformationCounts } from './encryption-metrics.ts';
import { Encryption } from './encryption.ts';
import type { KmsService } from './kms-client.ts';

const key = (byte: number, size = 32): string => Buffer.alloc(size, byte).toString('base64');
const configText = (providers: string, resources = 'secrets'): string => `
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: ["${resources}"]
  providers:
${providers.replace(/^/gm, '  ')}`;
const aes = (type: string, names: readonly [string, number][]): string =>
  `- ${type}: {keys: [${names.map(([name, byte]) => `{name: ${name}, secret: ${key(byte)}}`).join(', ')}]}`;

/** A KMS that xors; its key id can change. */
class FakeKms implements KmsService {
  keyId = 'one';
  healthz = 'ok';
  decrypts = 0;
  status(): Promise<{ version: string; healthz: string; keyId: string }> {
    return Promise.resolve({ version: 'v2', healthz: this.healthz, keyId: this.keyId });
  }
  encrypt(_uid: string, plaintext: Uint8Array): ReturnType<KmsService['encrypt']> {
    const annotations = new Map([['kms.example.com', Uint8Array.of(7)]]);
    return Promise.resolve({
      ciphertext: plaintext.map((byte) => byte ^ 0x5a),
      keyId: this.keyId,
      annotations,
    });
  }
  decrypt(_uid: string, { ciphertext }: { ciphertext: Uint8Array }): Promise<Uint8Array> {
    this.decrypts++;
    return Promise.resolve(ciphertext.map((byte) => byte ^ 0x5a));
  }
  close(): void {}
}

async function setup(text: string, kms = new FakeKms(), clock: FakeClock | typeof nodeClock = nodeClock) {
  const file = { text };
  const encryption = await Encryption.open({
    path: 'encryption.yaml',
    reload: true,
    clock,
    random: nodeRandom,
    logger: silentLogger,
    read: () => Promise.resolve(file.text),
    connect: () => kms,
  });
  const plain = new MemoryKeyValueStore({ now: () => 0 });
  const store = new EncryptedKeyValueStore(plain, encryption, new TransformationCounts());
  store.claim('/registry/secrets/', '/registry/', '', 'secrets');
  store.claim('/registry/example.com/widgets/', '/registry/', 'example.com', 'widgets');
  const objects = new ObjectStorage({
    store,
    codec: plainJsonCodec(),
    prefix: '/registry/secrets/',
    typeMeta: { apiVersion: 'v1', kind: 'Secret' },
  });
  const raw = async (name: string): Promise<string> => {
    const { kv } = await plain.get(`/registry/secrets/${name}`);
    return Buffer.from(kv?.value ?? []).toString('latin1');
  };
  return { file, encryption, plain, store, objects, raw, kms };
}

const secret = (value: string): never =>
  ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, data: { value } }) as never;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

for (const [type, prefix] of [
  ['aesgcm', 'k8s:enc:aesgcm:v1:k:'],
  ['aescbc', 'k8s:enc:aescbc:v1:k:'],
  ['secretbox', 'k8s:enc:secretbox:v1:k:'],
] as const) {
  test(`${type}: encrypted in the store, plain outside, bound to its key where the cipher can`, async () => {
    const { encryption, store, plain, raw } = await setup(configText(aes(type, [['k', 1]])));
    for (const value of ['', '0123456789abcdef', 'hunter2'.repeat(500)]) {
      await store.putIf(
        '/registry/secrets/ns/a',
        (await plain.get('/registry/secrets/ns/a')).kv?.modRevision ?? 0,
        text(value),
      );
      const stored = await raw('ns/a');
      assert.ok(stored.startsWith(prefix), stored.slice(0, 40));
      assert.ok(!stored.includes('hunter2'));
      const { kv } = await store.get('/registry/secrets/ns/a');
      assert.equal(Buffer.from(kv?.value ?? []).toString(), value);
      assert.equal(kv?.stale, false);
    }
    const { kv } = await plain.get('/registry/secrets/ns/a');
    const moved = kv?.value ?? new Uint8Array();
    await plain.putIf('/registry/secrets/ns/b', 0, moved);
    if (type === 'aesgcm') await assert.rejects(store.get('/registry/secrets/ns/b'), KeyValueError);
    const damaged = moved.slice();
    damaged[damaged.length - 1]! ^= 1;
    await plain.putIf('/registry/secrets/ns/c', 0, damaged);
    if (type !== 'aescbc') {
      await assert.rejects(
        store.range('/registry/secrets/', '/registry/secrets0'),
        /unable to transform key/,
      );
    }
    encryption.close();
  });
}

test('keys rotate: a new first key reads the old one as stale, and an update that changes nothing rewrites', async () => {
  const { file, encryption, objects, raw } = await setup(configText(aes('aesgcm', [['old', 1]])));
  const created = await objects.create('ns/a', secret('x'), 0);
  file.text = configText(
    aes('aesgcm', [
      ['new', 2],
      ['old', 1],
    ]),
  );
  await encryption.reload();
  assert.equal(encryption.reloads.success, 1);
  const same = await objects.guaranteedUpdate(
    'ns/a',
    { mustExist: true, preconditions: undefined, cached: created },
    ({ existing }) => ({ object: structuredClone(existing?.object) as never }),
  );
  assert.equal(same.written, true);
  assert.ok((await raw('ns/a')).startsWith('k8s:enc:aesgcm:v1:new:'));
  const again = await objects.guaranteedUpdate(
    'ns/a',
    { mustExist: true, preconditions: undefined },
    ({ existing }) => ({ object: structuredClone(existing?.object) as never }),
  );
  assert.equal(again.written, false);
  encryption.close();
});

test('identity first turns encryption off; without the key, data cannot be read; plain data can', async () => {
  const { file, encryption, objects, raw, plain, store } = await setup(
    configText(`${aes('secretbox', [['k', 1]])}\n- identity: {}`),
  );
  await plain.putIf('/registry/secrets/ns/plain', 0, text('{}'));
  assert.equal((await store.get('/registry/secrets/ns/plain')).kv?.stale, true);
  await objects.create('ns/a', secret('x'), 0);
  file.text = configText(`- identity: {}\n${aes('secretbox', [['k', 1]])}`);
  await encryption.reload();
  assert.equal((await objects.get('ns/a', { resourceVersion: '' })).object['data'].value, 'x');
  await objects.create('ns/b', secret('y'), 0);
  assert.ok((await raw('ns/b')).startsWith('{"kind"'));
  file.text = configText('- identity: {}');
  await encryption.reload();
  await assert.rejects(objects.get('ns/a', { resourceVersion: '' }), /no matching prefix found/);
  file.text = 'kind: Nonsense';
  await encryption.reload();
  assert.equal(encryption.reloads.failure, 1);
  assert.equal((await objects.get('ns/b', { resourceVersion: '' })).object['data'].value, 'y');
  encryption.close();
});

test('without a configuration encrypted data is refused, not misread', async () => {
  const plain = new MemoryKeyValueStore({ now: () => 0 });
  const objects = new ObjectStorage({
    store: plain,
    codec: plainJsonCodec(),
    prefix: '/registry/secrets/',
    typeMeta: { apiVersion: 'v1', kind: 'Secret' },
  });
  await plain.putIf('/registry/secrets/ns/a', 0, text('k8s:enc:aesgcm:v1:k:xx'));
  await assert.rejects(
    objects.get('ns/a', { resourceVersion: '' }),
    /identity transformer tried to read encrypted data/,
  );
});

test('kms: one data key for many values, stale after the key id changed, watches stay in order', async () => {
  const kms = new FakeKms();
  const provider = '- kms: {apiVersion: v2, name: vault, endpoint: "unix:///run/kms.sock"}';
  const first = await setup(configText(provider), kms);
  await first.store.putIf('/registry/secrets/ns/a', 0, text('one'));
  await first.store.putIf('/registry/secrets/ns/b', 0, text('two'));
  assert.ok((await first.raw('ns/a')).startsWith('k8s:enc:kms:v2:vault:'));
  // Another server does not know the seed: it asks once for both.
  const second = await setup(configText(provider), kms);
  for (const name of ['a', 'b']) {
    const { kv } = await first.plain.get(`/registry/secrets/ns/${name}`);
    await second.plain.putIf(`/registry/secrets/ns/${name}`, 0, kv?.value ?? text(''));
  }
  const seen: string[] = [];
  const done = new Promise<void>((resolve) => {
    second.store.watch('/registry/', 0, {
      onEvents(events, revision) {
        for (const event of events)
          if (event.type === 'put') seen.push(`${revision}:${Buffer.from(event.kv.value).toString()}`);
        if (seen.length === 3) resolve();
      },
      onProgress: () => undefined,
      onCompacted: () => undefined,
    });
  });
  await second.plain.putIf('/registry/other', 0, text('plain'));
  await done;
  assert.deepEqual(
    seen.map((line) => line.split(':')[1]),
    ['one', 'two', 'plain'],
  );
  assert.equal(kms.decrypts, 1);
  kms.keyId = 'two';
  second.file.text = `${configText(provider.replace('vault', 'vault2'))}\n  - kms: {apiVersion: v2, name: vault, endpoint: "unix:///run/kms.sock"}`;
  await second.encryption.reload();
  const { kv } = await second.store.get('/registry/secrets/ns/a');
  assert.equal(Buffer.from(kv?.value ?? []).toString(), 'one');
  assert.equal(kv?.stale, true);
  first.encryption.close();
  second.encryption.close();
});

test('kms: writes end three minutes after the last good answer, reads go on', async () => {
  const clock = new FakeClock();
  const kms = new FakeKms();
  const provider = '- kms: {apiVersion: v2, name: vault, endpoint: "unix:///run/kms.sock"}';
  const { encryption, store } = await setup(configText(provider), kms, clock);
  await store.putIf('/registry/secrets/ns/a', 0, text('one'));
  kms.healthz = 'sealed';
  kms.status = () => Promise.reject(new Error('gone'));
  for (let second = 0; second < 190; second += 10) {
    clock.advance(10_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await assert.rejects(store.putIf('/registry/secrets/ns/b', 0, text('two')), /expired/);
  assert.equal(Buffer.from((await store.get('/registry/secrets/ns/a')).kv?.value ?? []).toString(), 'one');
  await assert.rejects(encryption.check(), /kmsv2 Provider vault is not healthy/);
  encryption.close();
});

test('resources are matched exactly, then by group, then all', async () => {
  const rule = (name: string, byte: number): string =>
    `- resources: ["${name}"]\n  providers:\n  ${aes('aesgcm', [[`k${byte}`, byte]])}`;
  const { encryption, store, plain } = await setup(
    `apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n${rule('secrets', 1)}\n${rule('*.example.com', 2)}\n${rule('*.*', 3)}\n`,
  );
  store.claim('/registry/configmaps/', '/registry/', '', 'configmaps');
  for (const [path, name] of [
    ['/registry/secrets/a', 'k1'],
    ['/registry/example.com/widgets/a', 'k2'],
    ['/registry/configmaps/a', 'k3'],
  ] as const) {
    await store.putIf(path, 0, text('x'));
    const stored = Buffer.from((await plain.get(path)).kv?.value ?? []).toString('latin1');
    assert.ok(stored.startsWith(`k8s:enc:aesgcm:v1:${name}:`), stored.slice(0, 30));
  }
  await store.putIf('/registry/ranges/servicenodeports', 0, text('x'));
  assert.equal(
    Buffer.from((await plain.get('/registry/ranges/servicenodeports')).kv?.value ?? []).toString(),
    'x',
  );
  encryption.close();
});

test('a wrong configuration is refused with every reason, and no secret', () => {
  const cases: readonly [string, RegExp][] = [
    [configText('- kms: {name: a, endpoint: "unix:///x"}'), /KMS v1 is not supported/],
    [configText('- kms: {apiVersion: v2, name: "a:b", endpoint: "unix:///x"}'), /must not contain ':'/],
    [configText('- kms: {apiVersion: v2, name: a, endpoint: "tcp://x"}'), /unsupported scheme "tcp"/],
    [configText('- {}'), /provider does not contain any of the expected providers/],
    [configText('- aesgcm: {keys: [{name: a, secret: c2hvcnQ=}]}'), /got 5, expected one of \[16 24 32\]/],
    [configText('- aesgcm: {keys: [{name: a, secret: "###"}]}'), /secrets must be base64 encoded/],
    [configText('- identity: {}', '*'), /use '\*\.' to encrypt all/],
    [configText('- identity: {}', 'Secrets'), /should not contain capital letters/],
    [configText('- identity: {}', 'events.events.k8s.io'), /Use 'events' instead/],
    [configText('- identity: {}', 'secrets", "*.'), /overlapping resources/],
    [configText('- identity: {}', 'secrets", "secrets'), /multiple times/],
    [configText('- identity: {}\n  sekrit: {}'), /unknown field "resources\[0\]\.providers\[0\]\.sekrit"/],
    ['kind: Pod', /want kind EncryptionConfiguration/],
  ];
  for (const [config, reason] of cases) {
    assert.throws(
      () => parseEncryptionConfig(config),
      (error: Error) => {
        assert.match(error.message, reason);
        assert.ok(!error.message.includes('c2hvcnQ'));
        return true;
      },
    );
  }
  const masked = `${configText('- identity: {}', '*.*')}\n- resources: [secrets]\n  providers: [{identity: {}}]\n`;
  assert.throws(() => parseEncryptionConfig(masked), /"secrets" is masked by earlier rule "\*\.\*"/);
});
