import { statusErrors } from '@pilothouse/apimachinery';
import type { IdentityReviewer, RegistryDelegates } from '../delegates.ts';
import type { ReviewAnswer } from '../authorization/reviews.ts';

function reviewerOf(delegates: RegistryDelegates): IdentityReviewer {
  if (delegates.identities === undefined)
    throw statusErrors.serviceUnavailable('No authenticator is configured');
  return delegates.identities;
}

export function tokenReview(delegates: RegistryDelegates): ReviewAnswer {
  return async (_context, review) => reviewerOf(delegates).reviewToken(review);
}

export function selfSubjectReview(delegates: RegistryDelegates): ReviewAnswer {
  return (context, review) => Promise.resolve(reviewerOf(delegates).reviewSelf(review, context.user));
}
