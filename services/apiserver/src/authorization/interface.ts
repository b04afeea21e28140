import type { UserInfo } from '../authentication/interface.ts';

/** A requirement of a field selector, as SubjectAccessReview carries it. */
export interface SelectorRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** One question: may `user` do this? */
export interface AuthorizationAttributes {
  readonly user: UserInfo;
  /** get list watch create update patch delete deletecollection impersonate…; the lower-case HTTP method of a non-resource request. */
  readonly verb: string;
  readonly isResourceRequest: boolean;
  /** Empty: cluster scope or all namespaces. */
  readonly namespace: string;
  readonly apiGroup: string;
  readonly apiVersion: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** Of a non-resource request. */
  readonly path: string;
  readonly fieldSelector?: readonly SelectorRequirement[];
  readonly labelSelector?: readonly SelectorRequirement[];
}

export interface AuthorizationResult {
  readonly decision: 'allow' | 'deny' | 'noOpinion';
  /** Why, as SubjectAccessReview shows it; may be empty. */
  readonly reason: string;
  /** What could not be looked up. */
  readonly evaluationError?: string;
}

export interface Authorizer {
  authorize(attributes: AuthorizationAttributes): Promise<AuthorizationResult>;
}

/** rbac.authorization.k8s.io/v1 PolicyRule. */
export interface PolicyRule {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

/** What a user may do in a namespace (SelfSubjectRulesReview). */
export interface ResolvedRules {
  readonly resourceRules: PolicyRule[];
  readonly nonResourceRules: PolicyRule[];
  readonly incomplete: boolean;
  readonly evaluationError: string;
}

export interface RuleResolver {
  rulesFor(user: UserInfo, namespace: string): Promise<ResolvedRules>;
}

/** Attributes of a non-resource request. */
export function pathAttributes(user: UserInfo, verb: string, path: string): AuthorizationAttributes {
  return {
    user,
    verb,
    isResourceRequest: false,
    namespace: '',
    apiGroup: '',
    apiVersion: '',
    resource: '',
    subresource: '',
    name: '',
    path,
  };
}

/** Attributes of a request for a resource; what is not given is empty. */
export function resourceAttributes(
  user: UserInfo,
  verb: string,
  target: {
    namespace?: string;
    apiGroup?: string;
    apiVersion?: string;
    resource: string;
    subresource?: string;
    name?: string;
  },
): AuthorizationAttributes {
  return {
    user,
    verb,
    isResourceRequest: true,
    namespace: target.namespace ?? '',
    apiGroup: target.apiGroup ?? '',
    apiVersion: target.apiVersion ?? '*',
    resource: target.resource,
    subresource: target.subresource ?? '',
    name: target.name ?? '',
    path: '',
  };
}
