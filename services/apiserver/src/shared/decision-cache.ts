/**
 * Decisions of remote parties (token webhooks, authorization webhooks) that all API servers of a cluster share, beside what each keeps
 * itself. Never throws or rejects: what cannot be shared is decided by each server alone.
 */
export interface DecisionCache {
  /** Undefined: nobody knows, or nobody can be asked. `scope` names who decides and how, so that another configuration sees nothing. */
  get(scope: string, key: string): Promise<unknown>;
  /** Returns at once; `value` must be JSON. */
  set(scope: string, key: string, value: unknown, ttlMs: number): void;
}
