import type { SecuritySeries } from '../metrics/security-series.ts';
import type { DecisionCache } from '../shared/decision-cache.ts';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock, Logger, Random } from '@pilothouse/base';
import type { ConfigFile } from '../authentication/config.ts';
import type { UserInfo } from '../authentication/interface.ts';
import type { ObjectAccess } from '../security/object-access.ts';
import type { WebhookLink } from './chain-config.ts';
import type { Authorizer, RuleResolver } from './interface.ts';

export type AuthorizationMode = 'Node' | 'RBAC' | 'ABAC' | 'Webhook' | 'AlwaysAllow' | 'AlwaysDeny';

export interface AuthorizationConfig {
  /** --authorization-mode, in order. Not looked at with `structured`. */
  readonly modes: readonly AuthorizationMode[];
  /** --authorization-config: the chain; read again when it changes. */
  readonly structured?: ConfigFile;
  /** --authorization-policy-file, for mode ABAC. */
  readonly policyFile?: ConfigFile;
  /** --authorization-webhook-*, for mode Webhook. */
  readonly webhook?: Omit<WebhookLink, 'type' | 'name' | 'conditions' | 'timeoutMs' | 'onError'>;
  /** --authorization-always-allow-paths is the business of components; the server has none. */
  readonly alwaysAllowPaths?: readonly string[];
}

/** Ports of {@link createAuthorization}. */
export interface AuthorizationDependencies {
  readonly clock: Clock;
  readonly random: Random;
  readonly objects: ObjectAccess;
  readonly logger: Logger;
  /** Whether a feature gate is on: some default roles belong to one. Default: those of gates that are off by default are left out. */
  readonly isEnabled?: ((gate: string) => boolean) | undefined;
  /** Decisions that all servers share; absent: each keeps its own. */
  readonly decisions?: DecisionCache | undefined;
  readonly series?: SecuritySeries | undefined;
}

/** Everything the server needs that has to do with what a client may do. */
export interface Authorization {
  /** system:masters first, then the modes in order; the first opinion wins. */
  readonly authorizer: Authorizer;
  readonly ruleResolver: RuleResolver;
  /** Whether a mode was in the chain when the server started. */
  has(mode: AuthorizationMode): boolean;
  /** Begins to follow bindings and pods; resolves when those that exist are known. The returned function ends it. */
  start(): Promise<() => void>;
  /** SubjectAccessReview: checks the spec (StatusError 422), returns the object with status. */
  reviewSubject(review: KubeObject): Promise<KubeObject>;
  /** LocalSubjectAccessReview in `namespace`. */
  reviewLocalSubject(review: KubeObject, namespace: string): Promise<KubeObject>;
  /** SelfSubjectAccessReview (`kubectl auth can-i`). */
  reviewSelfSubject(review: KubeObject, user: UserInfo): Promise<KubeObject>;
  /** SelfSubjectRulesReview (`kubectl auth can-i --list`). */
  reviewSelfRules(review: KubeObject, user: UserInfo): Promise<KubeObject>;
  /**
   * Refuses (StatusError 403) a write of a role, clusterrole, rolebinding or clusterrolebinding by which `user` would give
   * away more than it holds. `old` is undefined on create. Call it in admission position, before the object is stored.
   */
  checkEscalation(object: KubeObject, old: KubeObject | undefined, user: UserInfo): Promise<void>;
  /** Creates the default roles and bindings and adds what is missing in them. Call once after the storage is ready. */
  reconcileBootstrapPolicy(): Promise<void>;
}
