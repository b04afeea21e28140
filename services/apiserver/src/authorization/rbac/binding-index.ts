import type { KubeObject } from '@pilothouse/apimachinery';
import type { UserInfo } from '../../authentication/interface.ts';
import { splitServiceAccountUser } from '../../authentication/service-account-token.ts';
import type { ObjectListener } from '../../security/object-access.ts';

/** rbac.authorization.k8s.io/v1 Subject. */
export interface Subject {
  readonly kind: string;
  readonly apiGroup?: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface RoleRef {
  readonly apiGroup?: string;
  readonly kind: string;
  readonly name: string;
}

/** A binding that names the user, with the first subject that does. */
export interface BindingMatch {
  /** Empty for a ClusterRoleBinding. */
  readonly namespace: string;
  readonly name: string;
  readonly roleRef: RoleRef;
  readonly subject: Subject;
}

interface Entry extends BindingMatch {
  readonly subjectIndex: number;
}

/** Bindings of one scope (a namespace or the cluster) by who they name. */
interface Scope {
  readonly bySubject: Map<string, Map<string, Entry>>;
  readonly byBinding: Map<string, string[]>;
}

/**
 * Follows rolebindings or clusterrolebindings and finds those of a user without looking at the others: the cost of an
 * authorization depends on the bindings of the user, not on those of the cluster.
 */
export class BindingIndex implements ObjectListener {
  readonly #scopes = new Map<string, Scope>();
  readonly #whenSynced: (() => void)[] = [];
  #isSynced = false;

  reset(): void {
    this.#scopes.clear();
  }

  synced(): void {
    this.#isSynced = true;
    for (const resolve of this.#whenSynced.splice(0)) resolve();
  }

  /** Resolves once the bindings that existed at the start are known. */
  whenSynced(): Promise<void> {
    if (this.#isSynced) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenSynced.push(resolve);
    });
  }

  changed(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    const namespace = object.metadata.namespace ?? '';
    const name = object.metadata.name ?? '';
    const scope = this.#scope(namespace);
    for (const key of scope.byBinding.get(name) ?? []) {
      const entries = scope.bySubject.get(key);
      entries?.delete(name);
      if (entries?.size === 0) scope.bySubject.delete(key);
    }
    scope.byBinding.delete(name);
    if (type === 'DELETED') {
      if (scope.byBinding.size === 0) this.#scopes.delete(namespace);
      return;
    }
    const subjects = (object['subjects'] as Subject[] | undefined) ?? [];
    const keys: string[] = [];
    subjects.forEach((subject, subjectIndex) => {
      const key = subjectKey(subject, namespace);
      if (key === undefined) return;
      let entries = scope.bySubject.get(key);
      if (entries === undefined) scope.bySubject.set(key, (entries = new Map()));
      if (entries.has(name)) return;
      entries.set(name, { namespace, name, roleRef: object['roleRef'] as RoleRef, subject, subjectIndex });
      keys.push(key);
    });
    scope.byBinding.set(name, keys);
  }

  /** Bindings of `user` in `namespace` (empty: cluster), by name, each once. */
  matches(user: UserInfo, namespace: string): BindingMatch[] {
    const scope = this.#scopes.get(namespace);
    if (scope === undefined) return [];
    const found = new Map<string, Entry>();
    for (const key of userKeys(user)) {
      for (const [name, entry] of scope.bySubject.get(key) ?? []) {
        const known = found.get(name);
        if (known === undefined || entry.subjectIndex < known.subjectIndex) found.set(name, entry);
      }
    }
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #scope(namespace: string): Scope {
    let scope = this.#scopes.get(namespace);
    if (scope === undefined) {
      scope = { bySubject: new Map(), byBinding: new Map() };
      this.#scopes.set(namespace, scope);
    }
    return scope;
  }
}

function subjectKey(subject: Subject, bindingNamespace: string): string | undefined {
  if (subject.kind === 'User') return `u:${subject.name}`;
  if (subject.kind === 'Group') return `g:${subject.name}`;
  if (subject.kind !== 'ServiceAccount') return undefined;
  const namespace =
    subject.namespace === undefined || subject.namespace === '' ? bindingNamespace : subject.namespace;
  return namespace === '' ? undefined : `s:${namespace}:${subject.name}`;
}

function userKeys(user: UserInfo): string[] {
  const keys = [`u:${user.name}`, ...user.groups.map((group) => `g:${group}`)];
  const account = splitServiceAccountUser(user.name);
  if (account !== undefined) keys.push(`s:${account.namespace}:${account.name}`);
  return keys;
}
