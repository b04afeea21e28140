import type { AuthorizationAttributes, Authorizer } from './interface.ts';
import { privilegedGroup } from '../authentication/interface.ts';

/** Asks in order; the first opinion counts. Without one, the reasons of all are joined by newlines. */
export function unionAuthorizer(authorizers: readonly Authorizer[]): Authorizer {
  if (authorizers.length === 1) return authorizers[0] as Authorizer;
  return {
    async authorize(attributes: AuthorizationAttributes) {
      const reasons: string[] = [];
      const errors: string[] = [];
      for (const authorizer of authorizers) {
        const result = await authorizer.authorize(attributes);
        if (result.decision !== 'noOpinion') return result;
        if (result.reason !== '') reasons.push(result.reason);
        if (result.evaluationError !== undefined) errors.push(result.evaluationError);
      }
      return {
        decision: 'noOpinion',
        reason: reasons.join('\n'),
        ...(errors.length === 0 ? {} : { evaluationError: errors.join('\n') }),
      };
    },
  };
}

/** system:masters may do everything, whatever the other authorizers know. */
export const privilegedGroupAuthorizer: Authorizer = {
  async authorize({ user }) {
    return user.groups.includes(privilegedGroup)
      ? { decision: 'allow', reason: '' }
      : { decision: 'noOpinion', reason: '' };
  },
};

export const alwaysAllowAuthorizer: Authorizer = {
  authorize: () => Promise.resolve({ decision: 'allow', reason: '' }),
};

export const alwaysDenyAuthorizer: Authorizer = {
  authorize: () => Promise.resolve({ decision: 'noOpinion', reason: 'Everything is forbidden.' }),
};
