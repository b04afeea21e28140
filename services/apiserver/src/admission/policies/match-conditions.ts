import type { Authorizer } from '../../authorization/interface.ts';
import type { AdmissionAttributes } from '../interface.ts';
import type { MatchCondition } from '../webhooks/webhook.ts';
import { celAuthorize } from './cel-authorizer.ts';
import { compileConditions } from './compiled-policy.ts';
import { conditionsHold, PolicyEvaluation } from './policy-evaluation.ts';
import { requestVariables } from './request-variables.ts';

/** Whether all match conditions of a webhook hold. Rejects when one cannot be evaluated and none is false. */
export function webhookConditions(authorizer: Authorizer) {
  return (conditions: readonly MatchCondition[], attributes: AdmissionAttributes): Promise<boolean> => {
    const authorize = celAuthorize(authorizer, attributes.user);
    const request = requestVariables(attributes, undefined);
    return conditionsHold(
      compileConditions(conditions, false),
      (budget) => new PolicyEvaluation(undefined, request, attributes, authorize, undefined, budget),
    );
  };
}
