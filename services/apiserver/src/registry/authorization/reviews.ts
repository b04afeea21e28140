import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { reviewAccess, reviewRules } from '../../authorization/access-review.ts';
import type { RegistryDelegates } from '../delegates.ts';
import type { RestContext } from '../rest/rest-storage.ts';

/** How a review is answered: the object with its status. */
export type ReviewAnswer = (context: RestContext, review: KubeObject) => Promise<KubeObject>;

/** SubjectAccessReview, LocalSubjectAccessReview and SelfSubjectAccessReview. */
export function accessReview(kind: 'subject' | 'local' | 'self', delegates: RegistryDelegates): ReviewAnswer {
  return async (context, review) => {
    const { authorizer } = delegates;
    if (authorizer === undefined) throw statusErrors.serviceUnavailable('No authorizer is configured');
    if (kind === 'subject') return reviewAccess(authorizer, 'subject', review, {});
    if (kind === 'self') return reviewAccess(authorizer, 'self', review, { self: context.user });
    return reviewAccess(authorizer, 'localSubject', review, { namespace: context.namespace });
  };
}

/** SelfSubjectRulesReview. */
export function rulesReview(delegates: RegistryDelegates): ReviewAnswer {
  return async (context, review) => {
    const { rules } = delegates;
    if (rules === undefined) throw statusErrors.serviceUnavailable('No rule resolver is configured');
    return reviewRules((namespace) => rules.rulesFor(context.user, namespace), review);
  };
}
