import type { ResourceStrategy } from '../strategy.ts';
import { clusterRoleBindingStrategy, roleBindingStrategy } from './role-binding.ts';
import { clusterRoleStrategy, roleStrategy } from './role.ts';

export const rbacStrategies: readonly ResourceStrategy[] = [
  clusterRoleBindingStrategy,
  clusterRoleStrategy,
  roleBindingStrategy,
  roleStrategy,
];
