import { isDeepStrictEqual } from 'node:util';
import type { GroupVersionResource, KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { Logger } from '@pilothouse/base';
import type { ObjectAccess } from '../../security/object-access.ts';
import { resources } from '../../security/object-access.ts';
import type { PolicyRule } from '../interface.ts';
import type { Subject } from '../rbac/binding-index.ts';
import { missingRules } from '../rbac/rule-covers.ts';
import { autoUpdateAnnotation, bootstrapPolicy, gatedPolicy } from './bootstrap-policy.ts';

const attemptsMax = 5;

/**
 * Creates the default roles and bindings that are missing and gives back what was taken from those that are there, unless
 * their autoupdate annotation says `false`. Additions of the administrator stay. Roles go first, so that a binding never
 * dangles.
 */
export async function reconcileBootstrapPolicy(
  objects: ObjectAccess,
  logger: Logger,
  isEnabled: (gate: string) => boolean = () => false,
): Promise<void> {
  const gated = gatedPolicy.filter(({ gate }) => isEnabled(gate));
  const roles = [...bootstrapPolicy.clusterRoles, ...gated.map(({ role }) => role)];
  const bindings = [...bootstrapPolicy.clusterRoleBindings, ...gated.map(({ binding }) => binding)];
  await reconcileAll(objects, resources.clusterRoles, roles, logger);
  await reconcileAll(objects, resources.clusterRoleBindings, bindings, logger);
  await reconcileAll(objects, resources.roles, bootstrapPolicy.roles, logger);
  await reconcileAll(objects, resources.roleBindings, bootstrapPolicy.roleBindings, logger);
}

async function reconcileAll(
  objects: ObjectAccess,
  resource: GroupVersionResource,
  wanted: readonly KubeObject[],
  logger: Logger,
): Promise<void> {
  const existing = new Map<string, KubeObject>();
  for (const object of await objects.list(resource)) existing.set(keyOf(object), object);
  await Promise.all(
    wanted.map((object) => reconcile(objects, resource, object, existing.get(keyOf(object)), logger)),
  );
}

async function reconcile(
  objects: ObjectAccess,
  resource: GroupVersionResource,
  wanted: KubeObject,
  known: KubeObject | undefined,
  logger: Logger,
): Promise<void> {
  const namespace = wanted.metadata.namespace ?? '';
  const name = wanted.metadata.name ?? '';
  let existing = known;
  for (let attempt = 1; ; attempt++) {
    try {
      if (existing === undefined) {
        await objects.create(resource, namespace, wanted);
        return;
      }
      const next = reconciled(existing, wanted);
      if (next === undefined) return;
      await objects.update(resource, namespace, next);
      logger.info('Reconciled a default RBAC object', { resource: resource.resource, namespace, name });
      return;
    } catch (error) {
      // Another server reconciles at the same time.
      const lostRace = hasReason(error, 'AlreadyExists') || hasReason(error, 'Conflict');
      if (!lostRace || attempt === attemptsMax) throw error;
      existing = await objects.get(resource, namespace, name);
    }
  }
}

/** `existing` with what it lacks of `wanted`; undefined when it lacks nothing or is not to be touched. */
export function reconciled(existing: KubeObject, wanted: KubeObject): KubeObject | undefined {
  if (existing.metadata.annotations?.[autoUpdateAnnotation] === 'false') return undefined;
  const next: KubeObject = { ...existing, metadata: { ...existing.metadata } };
  for (const field of ['labels', 'annotations'] as const) {
    if (wanted.metadata[field] !== undefined) {
      next.metadata[field] = { ...wanted.metadata[field], ...existing.metadata[field] };
    }
  }
  if (wanted['roleRef'] !== undefined) {
    if (!isDeepStrictEqual(existing['roleRef'], wanted['roleRef'])) return undefined;
    const subjects = (existing['subjects'] as Subject[] | undefined) ?? [];
    const missing = ((wanted['subjects'] as Subject[] | undefined) ?? []).filter(
      (subject) => !subjects.some((each) => sameSubject(each, subject)),
    );
    if (missing.length > 0) next['subjects'] = [...subjects, ...missing];
  } else if (wanted['aggregationRule'] !== undefined) {
    if (existing['aggregationRule'] === undefined) next['aggregationRule'] = wanted['aggregationRule'];
  } else {
    const rules = (existing['rules'] as PolicyRule[] | undefined) ?? [];
    const missing = missingRules(rules, (wanted['rules'] as PolicyRule[] | undefined) ?? []);
    if (missing.length > 0) next['rules'] = [...rules, ...missing];
  }
  return isDeepStrictEqual(next, existing) ? undefined : next;
}

function sameSubject(a: Subject, b: Subject): boolean {
  return a.kind === b.kind && a.name === b.name && (a.namespace ?? '') === (b.namespace ?? '');
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
}
