import { nodeRules } from './bootstrap/bootstrap-policy.ts';
import { reconcileBootstrapPolicy } from './bootstrap/reconcile.ts';
import { reviewAccess, reviewRules } from './access-review.ts';
import type { Authorization, AuthorizationConfig, AuthorizationDependencies } from './config.ts';
import type { Authorizer, PolicyRule, RuleResolver } from './interface.ts';
import { NodeGraph } from './node/node-graph.ts';
import { nodeAuthorizer, nodeIdentity } from './node/node-authorizer.ts';
import { checkEscalation } from './rbac/escalation.ts';
import { RbacAuthorizer } from './rbac/rbac-authorizer.ts';
import {
  alwaysAllowAuthorizer,
  alwaysDenyAuthorizer,
  privilegedGroupAuthorizer,
  unionAuthorizer,
} from './union.ts';

const everything: PolicyRule[] = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }];
const everyPath: PolicyRule[] = [{ verbs: ['*'], nonResourceURLs: ['*'] }];

/** Puts the configured authorizers together. Call `start` before the first request. Throws an Error on no or a repeated mode. */
export function createAuthorization(
  config: AuthorizationConfig,
  dependencies: AuthorizationDependencies,
): Authorization {
  const { objects, logger } = dependencies;
  if (config.modes.length === 0)
    throw new Error('Cannot authorize requests: at least one authorization mode is needed');
  const rbac = new RbacAuthorizer(objects);
  const graph = new NodeGraph(objects);
  const authorizers: Authorizer[] = [privilegedGroupAuthorizer];
  const starts: (() => Promise<() => void>)[] = [];
  const seen = new Set<string>();
  for (const mode of config.modes) {
    if (seen.has(mode)) throw new Error(`Cannot use authorization mode "${mode}" more than once`);
    seen.add(mode);
    switch (mode) {
      case 'Node':
        authorizers.push(nodeAuthorizer(graph, nodeRules()));
        starts.push(() => graph.start());
        break;
      case 'RBAC':
        authorizers.push(rbac);
        starts.push(() => rbac.start());
        break;
      case 'AlwaysAllow':
        authorizers.push(alwaysAllowAuthorizer);
        break;
      case 'AlwaysDeny':
        authorizers.push(alwaysDenyAuthorizer);
        break;
      default:
        throw new Error(
          `Unknown authorization mode "${String(mode)}": expected Node, RBAC, AlwaysAllow or AlwaysDeny`,
        );
    }
  }
  const authorizer = unionAuthorizer(authorizers);
  const ruleResolver: RuleResolver = {
    async rulesFor(user, namespace) {
      const open = { incomplete: false, evaluationError: '' };
      const own = seen.has('RBAC')
        ? await rbac.rulesFor(user, namespace)
        : { resourceRules: [], nonResourceRules: [], ...open };
      if (seen.has('Node') && nodeIdentity(user).isNode) {
        const errors = ['node authorizer does not support user rule resolution', own.evaluationError];
        return {
          ...own,
          incomplete: true,
          evaluationError: errors.filter((each) => each !== '').join(', '),
        };
      }
      if (!seen.has('AlwaysAllow')) return own;
      return {
        ...own,
        resourceRules: [...own.resourceRules, ...everything],
        nonResourceRules: [...own.nonResourceRules, ...everyPath],
      };
    },
  };
  return {
    authorizer,
    ruleResolver,
    async start() {
      const ends = await Promise.all(starts.map((start) => start()));
      return () => ends.forEach((end) => end());
    },
    reviewSubject: (review) => reviewAccess(authorizer, 'subject', review, {}),
    reviewLocalSubject: (review, namespace) =>
      reviewAccess(authorizer, 'localSubject', review, { namespace }),
    reviewSelfSubject: (review, user) => reviewAccess(authorizer, 'self', review, { self: user }),
    reviewSelfRules: (review, user) =>
      reviewRules((namespace) => ruleResolver.rulesFor(user, namespace), review),
    async checkEscalation(object, old, user) {
      // Without RBAC its objects have no effect, so they give nothing away.
      if (seen.has('RBAC')) await checkEscalation(rbac, authorizer, object, old, user);
    },
    reconcileBootstrapPolicy: () => reconcileBootstrapPolicy(objects, logger),
  };
}
