import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import type { AuthenticationResult, UserInfo } from './interface.ts';

/** authentication/v1 UserInfo. */
export function userInfoJson(user: UserInfo): Record<string, unknown> {
  return {
    username: user.name,
    ...(user.uid === undefined || user.uid === '' ? {} : { uid: user.uid }),
    ...(user.groups.length === 0 ? {} : { groups: [...user.groups] }),
    ...(user.extra === undefined || Object.keys(user.extra).length === 0
      ? {}
      : { extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])) }),
  };
}

/** Answers a TokenReview by `authenticate`, which throws on a bad token. */
export async function reviewToken(
  review: KubeObject,
  apiAudiences: readonly string[],
  authenticate: (token: string, audiences: readonly string[]) => Promise<AuthenticationResult>,
): Promise<KubeObject> {
  const spec = review['spec'] as { token?: string; audiences?: string[] } | undefined;
  const token = spec?.token ?? '';
  if (token === '') throw statusErrors.badRequest('token is required for TokenReview in authentication');
  const audiences =
    spec?.audiences === undefined || spec.audiences.length === 0 ? apiAudiences : spec.audiences;
  try {
    const result = await authenticate(token, audiences);
    return {
      ...review,
      status: {
        authenticated: true,
        user: userInfoJson(result.user),
        ...(result.audiences === undefined ? {} : { audiences: [...result.audiences] }),
      },
    };
  } catch (error) {
    return { ...review, status: { user: {}, error: errorMessage(error) } };
  }
}

/** Answers a SelfSubjectReview: the user as the server sees it. `now` is RFC 3339. */
export function reviewSelf(review: KubeObject, user: UserInfo, now: string): KubeObject {
  return {
    ...review,
    metadata: { ...review.metadata, creationTimestamp: now },
    status: { userInfo: userInfoJson(user) },
  };
}
