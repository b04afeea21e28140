import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, sign as signBytes } from 'node:crypto';
import { test } from 'node:test';
import { silentLogger } from '@pilothouse/base';
import { nodeRandom } from '@pilothouse/host';
import { FakeClock } from '@pilothouse/testkit';
import { MemoryObjectAccess } from '../security/memory-object-access.ts';
import { resources } from '../security/object-access.ts';
import { createAuthentication } from './authentication.ts';
import type { SignerKey, SignerService } from './external-signer.ts';
import { ExternalSigner } from './external-signer.ts';

/** A signer in this process, with as many keys as it was told to make. */
class FakeSigner implements SignerService {
  readonly keys: (SignerKey & { readonly privatePem: string })[] = [];
  readonly header: Record<string, unknown> = {};
  fetched = 0;
  refreshSeconds = 60;
  maxSeconds = 3600;
  failing = false;

  add(keyId: string, excluded = false): void {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const der = publicKey.export({ type: 'spki', format: 'der' });
    const privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    this.keys.push({ keyId, der, excluded, privatePem });
  }

  async sign(claims: string): Promise<{ header: string; signature: string }> {
    if (this.failing) throw new Error('gone');
    const { keyId, privatePem } = this.keys.at(-1) as (typeof this.keys)[number];
    const header = Buffer.from(
      JSON.stringify({ alg: 'ES256', kid: keyId, typ: 'JWT', ...this.header }),
    ).toString('base64url');
    const key = { key: createPrivateKey(privatePem), dsaEncoding: 'ieee-p1363' as const };
    return {
      header,
      signature: signBytes('sha256', Buffer.from(`${header}.${claims}`), key).toString('base64url'),
    };
  }

  async fetchKeys(): ReturnType<SignerService['fetchKeys']> {
    this.fetched++;
    if (this.failing) throw new Error('gone');
    return { keys: [...this.keys], dataMs: this.keys.length, refreshSeconds: this.refreshSeconds };
  }

  metadata = async (): Promise<number> => this.maxSeconds;
  close = (): void => undefined;
}

const issuer = 'https://issuer.example';

async function plane(service = new FakeSigner()) {
  if (service.keys.length === 0) service.add('first');
  const clock = new FakeClock();
  const objects = new MemoryObjectAccess();
  const account = objects.put(resources.serviceAccounts, { metadata: { name: 'a', namespace: 'ns' } });
  const signer = await ExternalSigner.open(service, { clock, logger: silentLogger });
  const authentication = createAuthentication(
    { serviceAccounts: { issuers: [issuer], keyPems: [] } },
    { clock, random: nodeRandom, objects, logger: silentLogger, signer },
  );
  const issue = async (): Promise<string> => {
    const request = { metadata: {}, spec: { expirationSeconds: 600 } };
    return ((await authentication.issueToken(account, request))['status'] as { token: string }).token;
  };
  const userOf = async (token: string): Promise<string | undefined> =>
    (
      await authentication.authenticator.authenticate({
        headers: { authorization: `Bearer ${token}` },
        path: '/',
      })
    )?.user.name;
  const keyIds = (): string[] =>
    (JSON.parse(authentication.jsonWebKeySet()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
  return { service, clock, authentication, issue, userOf, keyIds };
}

test('a signer outside signs; its keys verify and are told to others, but for those of old tokens', async () => {
  const service = new FakeSigner();
  service.add('old', true);
  service.add('new');
  const { issue, userOf, keyIds } = await plane(service);
  assert.equal(await userOf(await issue()), 'system:serviceaccount:ns:a');
  assert.deepEqual(keyIds(), ['new']);
  service.add('older', true);
  await assert.rejects(
    issue(),
    /failed to generate token: while validating header: key used for signing JWT \(kid: older\) is excluded/,
  );
});

test('a key that is not known is asked for, one that is known is not', async () => {
  const { service, issue, userOf, keyIds } = await plane();
  const before = await issue();
  service.add('second');
  const after = await issue();
  assert.equal(await userOf(after), 'system:serviceaccount:ns:a');
  assert.deepEqual(keyIds(), ['first', 'second']);
  service.keys.shift();
  const asked = service.fetched;
  await assert.rejects(userOf(`${before.slice(0, -4)}AAAA`));
  assert.equal(service.fetched, asked, 'a known key is not asked for again');
});

test('keys are asked for as often as the signer wants, soon again after a failure', async () => {
  const { service, clock } = await plane();
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  const asked = service.fetched;
  clock.advance(59_000);
  await settle();
  assert.equal(service.fetched, asked);
  clock.advance(1000);
  await settle();
  assert.equal(service.fetched, asked + 1);
  service.failing = true;
  clock.advance(60_000);
  await settle();
  assert.equal(service.fetched, asked + 2);
  clock.advance(10_000);
  await settle();
  assert.equal(service.fetched, asked + 3);
});

test('a signer that answers wrongly is told by what is wrong', async () => {
  const { service, issue } = await plane();
  const wrong: readonly [Record<string, unknown>, RegExp][] = [
    [{ alg: 'none' }, /bad signing algorithm "none"/],
    [{ kid: '' }, /key id missing/],
    [{ typ: 'JWS' }, /bad type/],
    [{ jku: 'https://x' }, /unknown field "jku"/],
  ];
  for (const [header, text] of wrong) {
    Object.assign(service.header, header);
    await assert.rejects(issue(), text);
    for (const name of Object.keys(header)) delete service.header[name];
  }
  service.failing = true;
  await assert.rejects(issue(), /while signing jwt: gone/);
  const short = new FakeSigner();
  short.maxSeconds = 599;
  await assert.rejects(plane(short), /\(599s\) is less than acceptable \(min 600s\)/);
});
