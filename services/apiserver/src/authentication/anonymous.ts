import type { Authenticator } from './interface.ts';
import { anonymousUser, unauthenticatedGroup } from './interface.ts';

/** Takes every request, or those to `paths` only. */
export function anonymousAuthenticator(paths?: readonly string[]): Authenticator {
  const result = { user: { name: anonymousUser, groups: [unauthenticatedGroup] } };
  return {
    async authenticate(request) {
      if (paths !== undefined && !paths.includes(request.path ?? '')) return undefined;
      return result;
    },
  };
}
