import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createAuthority, issueCertificate } from './certificate.ts';
import { createRevocationList, loadSignedRevocationReader, readRevocationList } from './revocation-list.ts';

const nowMs = Date.now();
const life = { notBefore: nowMs - 60_000, notAfter: nowMs + 3_600_000 };

test('a list counts when an authority of the bundle signed it, for certificates of that name', async () => {
  const read = await loadSignedRevocationReader();
  const authority = await createAuthority('kubernetes', life.notBefore, life.notAfter);
  const next = await createAuthority('kubernetes', life.notBefore, life.notAfter);
  const other = await createAuthority('other', life.notBefore, life.notAfter);
  const issue = async (commonName: string): Promise<X509Certificate> =>
    new X509Certificate(
      (await issueCertificate(authority, { commonName, usage: 'client', ...life })).certPem,
    );
  const [bad, good] = [await issue('bad'), await issue('good')];
  const revoked = [{ serial: bad.serialNumber, revokedMs: nowMs }];
  const options = { nowMs, lifetimeMs: 86_400_000 };
  const list = await createRevocationList(authority, revoked, options);
  const lists = read(list, `${other.certPem}${authority.certPem}`);
  assert.deepEqual([lists.has(bad), lists.has(good), lists.count], [true, false, 1]);
  assert.equal(lists.staleAtMs, Math.floor((nowMs + 86_400_000) / 1000) * 1000);
  assert.throws(() => read(list, other.certPem), /not signed by an authority of clients/);
  assert.throws(() => read(list, next.certPem), /not signed/, 'the same name, another key');
  assert.throws(() => read('nonsense', authority.certPem), /no revocation list/);
  assert.equal(read('', authority.certPem).count, 0);
  // After the authority was replaced its successor signs for the certificates that the old one issued.
  const renewed = await createRevocationList(next, (await readRevocationList(list)).revoked, options);
  assert.equal(read(renewed, next.certPem).has(bad), true);
  assert.equal(read(`${list}${renewed}`, `${authority.certPem}${next.certPem}`).count, 1);
});
