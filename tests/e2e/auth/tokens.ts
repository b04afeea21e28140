import { createPrivateKey } from 'node:crypto';
import { SignJWT, UnsecuredJWT, decodeJwt, decodeProtectedHeader } from 'jose';
import type { AuthServer } from './server.ts';

/** A good token taken apart, and ways to make bad ones of it. */
export interface Forge {
  readonly good: string;
  /** Signed by the real key, with other claims or header: what only time or place makes bad. */
  signed(claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
  readonly unsigned: string;
  /** HMAC with the public key as the secret. */
  readonly confused: string;
  /** Other claims under the old signature. */
  readonly altered: string;
  /** Signed by a key of the attacker under the real key's id. */
  readonly foreign: string;
}

export async function forge(server: AuthServer, good: string, foreignKeyPem: string): Promise<Forge> {
  const claims = decodeJwt(good) as Record<string, unknown>;
  const header = decodeProtectedHeader(good) as { alg: string; kid?: string };
  const sign = (
    pem: string,
    more: Record<string, unknown>,
    others: Record<string, unknown> = {},
  ): Promise<string> =>
    new SignJWT({ ...claims, ...more })
      .setProtectedHeader({ ...header, ...others })
      .sign(createPrivateKey(pem));
  const [head, , signature] = good.split('.') as [string, string, string];
  const admin = Buffer.from(JSON.stringify({ ...claims, sub: 'system:serviceaccount:kube-system:admin' }));
  return {
    good,
    signed: (more, others) => sign(server.pki.serviceAccount.privatePem, more, others),
    unsigned: new UnsecuredJWT(claims).encode(),
    confused: await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', ...(header.kid === undefined ? {} : { kid: header.kid }) })
      .sign(new TextEncoder().encode(server.pki.serviceAccount.publicPem)),
    altered: `${head}.${admin.toString('base64url')}.${signature}`,
    foreign: await sign(foreignKeyPem, {}),
  };
}
