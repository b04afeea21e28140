import type { Clock } from '@pilothouse/base';
import { backdateMs, createAuthority, issueCertificate } from './certificate.ts';

const lifetimeMs = 365 * 86_400_000;

/** As upstream's components: without a certificate given, one is made that nobody trusts, good for a year. PEM. */
export async function selfSignedServing(name: string, clock: Clock): Promise<{ cert: string; key: string }> {
  const life = { notBefore: clock.now() - backdateMs, notAfter: clock.now() + lifetimeMs };
  const authority = await createAuthority(`${name}-ca`, life.notBefore, life.notAfter);
  const { certPem, keyPem } = await issueCertificate(authority, {
    commonName: name,
    hosts: ['localhost', '127.0.0.1'],
    usage: 'server',
    ...life,
  });
  return { cert: certPem, key: keyPem };
}
