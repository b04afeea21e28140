/** An object named in a token. */
export interface ClaimReference {
  readonly name: string;
  readonly uid?: string;
}

/** Claims of a ServiceAccount token. Times are seconds since the epoch. */
export interface ServiceAccountClaims {
  readonly aud: readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly iss: string;
  readonly jti: string;
  readonly 'kubernetes.io': {
    readonly namespace: string;
    readonly node?: ClaimReference;
    readonly pod?: ClaimReference;
    readonly secret?: ClaimReference;
    readonly serviceaccount: ClaimReference;
    /** After this time the token still works, but its use is counted as stale. */
    readonly warnafter?: number;
  };
  readonly nbf: number;
  readonly sub: string;
}

/** The part of a token before its signature was checked: only good for choosing who checks it. */
export function peekIssuer(token: string): string | undefined {
  const parts = token.split('.');
  if (parts.length !== 3) return undefined;
  try {
    const payload: unknown = JSON.parse(Buffer.from(parts[1] as string, 'base64url').toString('utf8'));
    if (typeof payload !== 'object' || payload === null || !('iss' in payload)) return undefined;
    return typeof payload.iss === 'string' ? payload.iss : undefined;
  } catch {
    return undefined;
  }
}

/** The `kid` of a token's header, unchecked as {@link peekIssuer}; empty when there is none. */
export function peekKeyId(token: string): string {
  try {
    const header: unknown = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString('utf8'));
    const kid = (header as { kid?: unknown } | null)?.kid;
    return typeof kid === 'string' ? kid : '';
  } catch {
    return '';
  }
}
