import { timingSafeEqual } from 'node:crypto';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import type { ObjectAccess } from '../security/object-access.ts';
import { resources } from '../security/object-access.ts';
import { withApiAudiences } from './audiences.ts';
import type { TokenAuthenticator } from './interface.ts';

const tokenPattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupPattern = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
const secretType = 'bootstrap.kubernetes.io/token';

/** Tokens of joining nodes: secrets `bootstrap-token-<id>` in kube-system. */
export function bootstrapTokenAuthenticator(
  objects: ObjectAccess,
  clock: Clock,
  apiAudiences: readonly string[],
): TokenAuthenticator {
  return {
    async authenticateToken(token, audiences) {
      const match = tokenPattern.exec(token);
      if (match === null) return undefined;
      const [, id, secret] = match as unknown as [string, string, string];
      const object = objects.cached(resources.secrets).get('kube-system', `bootstrap-token-${id}`);
      if (object === undefined || object.metadata.deletionTimestamp !== undefined) return undefined;
      if (object['type'] !== secretType) return undefined;
      if (field(object, 'token-id') !== id || !sameText(field(object, 'token-secret'), secret))
        return undefined;
      const expiration = field(object, 'expiration');
      // A time that cannot be read counts as past, as a token must not live for ever by a typing error.
      if (expiration !== '' && !(Date.parse(expiration) > clock.now())) return undefined;
      if (field(object, 'usage-bootstrap-authentication') !== 'true') return undefined;
      const groups = ['system:bootstrappers'];
      const extra = field(object, 'auth-extra-groups');
      for (const group of extra === '' ? [] : extra.split(',').map((text) => text.trim())) {
        if (!groupPattern.test(group)) return undefined;
        if (!groups.includes(group)) groups.push(group);
      }
      const user = { name: `system:bootstrap:${id}`, groups: groups.sort() };
      return withApiAudiences({ user }, audiences, apiAudiences);
    },
  };
}

function field(secret: KubeObject, key: string): string {
  const data = secret['data'] as Record<string, string> | undefined;
  return Buffer.from(data?.[key] ?? '', 'base64').toString('utf8');
}

function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
