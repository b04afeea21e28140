import { reconcileBootstrapPolicy } from './bootstrap/reconcile.ts';
import { reviewAccess, reviewRules } from './access-review.ts';
import { AuthorizerChain } from './chain.ts';
import type { Authorization, AuthorizationConfig, AuthorizationDependencies } from './config.ts';
import { checkEscalation } from './rbac/escalation.ts';

/**
 * Puts the configured authorizers together, after the group system:masters, which may do everything. Call `start` before the first
 * request. Throws an Error on no or a repeated mode, and on files that cannot be used.
 */
export function createAuthorization(
  config: AuthorizationConfig,
  dependencies: AuthorizationDependencies,
): Authorization {
  const { objects, logger, isEnabled } = dependencies;
  const chain = new AuthorizerChain(config, dependencies);
  return {
    authorizer: chain,
    ruleResolver: chain,
    has: (mode) => chain.has(mode),
    start: () => chain.start(),
    reviewSubject: (review) => reviewAccess(chain, 'subject', review, {}),
    reviewLocalSubject: (review, namespace) => reviewAccess(chain, 'localSubject', review, { namespace }),
    reviewSelfSubject: (review, user) => reviewAccess(chain, 'self', review, { self: user }),
    reviewSelfRules: (review, user) => reviewRules((namespace) => chain.rulesFor(user, namespace), review),
    async checkEscalation(object, old, user) {
      // Without RBAC its objects have no effect, so they give nothing away.
      if (chain.has('RBAC')) await checkEscalation(chain.rbac, chain, object, old, user);
    },
    reconcileBootstrapPolicy: () => reconcileBootstrapPolicy(objects, logger, isEnabled),
  };
}
