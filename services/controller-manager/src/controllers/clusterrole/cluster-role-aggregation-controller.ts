import type { KubeObject } from '@pilothouse/apimachinery';
import { labelSelectorOf } from '@pilothouse/apimachinery';
import { Controller } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import { canonical } from '../../common/template-hash.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

/** The rules of an aggregated ClusterRole are those of the roles that its selectors find, each rule once, in the order of selectors and names. */
export const createClusterRoleAggregationController: ControllerFactory = (context) => {
  const roles = context.informers.informer(resources.clusterRoles);
  const loop = new Controller(loopOptions(context), async (name) => {
    const role = roles.lister.get(name);
    const selectors = (role?.['aggregationRule']?.clusterRoleSelectors ?? []) as Parameters<
      typeof labelSelectorOf
    >[0][];
    if (!role || role['aggregationRule'] === undefined) return;
    const sorted = roles.lister
      .list()
      .sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
    const rules: unknown[] = [];
    const seen = new Set<string>();
    for (const selector of selectors) {
      const matcher = labelSelectorOf(selector);
      for (const each of sorted) {
        if (each.metadata.name === name || !matcher.matches(each.metadata.labels ?? {})) continue;
        for (const rule of (each['rules'] ?? []) as unknown[]) {
          const text = canonical(rule);
          if (seen.has(text)) continue;
          seen.add(text);
          rules.push(rule);
        }
      }
    }
    if (canonical(role['rules'] ?? []) === canonical(rules)) return;
    await context.client.patch(
      resources.clusterRoles,
      name,
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name }, rules },
      { type: 'apply', fieldManager: 'clusterrole-aggregation-controller', force: true },
    );
  });
  const changed = (): void => {
    for (const role of roles.lister.list())
      if (role['aggregationRule'] !== undefined) loop.queue.addAfter(role.metadata.name ?? '', 20);
  };
  const onAdd = (_role: KubeObject): void => changed();
  roles.addHandler({ onAdd, onUpdate: changed, onDelete: changed });
  return loop;
};
