import type { KubeObject } from '@pilothouse/apimachinery';

export type PolicyAction = 'FailJob' | 'FailIndex' | 'Ignore' | 'Count';

interface Rule {
  action: PolicyAction;
  onExitCodes?: { containerName?: string; operator: 'In' | 'NotIn'; values: number[] };
  onPodConditions?: { type: string; status?: string }[];
}

interface ContainerStatus {
  name: string;
  state?: { terminated?: { exitCode: number } };
}

/** What the pod failure policy (KEP-3329) says of a failed pod: the first rule that matches; Count when none does. */
export function matchFailurePolicy(
  job: KubeObject,
  pod: KubeObject,
): { action: PolicyAction; message?: string } {
  const rules = (job['spec'].podFailurePolicy?.rules ?? []) as Rule[];
  const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
  for (const [index, rule] of rules.entries()) {
    if (rule.onExitCodes) {
      const statuses = [
        ...((pod['status']?.containerStatuses ?? []) as ContainerStatus[]),
        ...((pod['status']?.initContainerStatuses ?? []) as ContainerStatus[]),
      ];
      for (const status of statuses) {
        const exitCode = status.state?.terminated?.exitCode;
        if (exitCode === undefined || exitCode === 0) continue;
        if (rule.onExitCodes.containerName !== undefined && rule.onExitCodes.containerName !== status.name)
          continue;
        if (rule.onExitCodes.values.includes(exitCode) === (rule.onExitCodes.operator === 'In')) {
          return {
            action: rule.action,
            message: `Container ${status.name} for pod ${name} failed with exit code ${exitCode} matching ${rule.action} rule at index ${index}`,
          };
        }
      }
    } else {
      for (const pattern of rule.onPodConditions ?? []) {
        const conditions = (pod['status']?.conditions ?? []) as { type: string; status: string }[];
        if (
          conditions.some((each) => each.type === pattern.type && each.status === (pattern.status ?? 'True'))
        ) {
          return {
            action: rule.action,
            message: `Pod ${name} has condition ${pattern.type} matching ${rule.action} rule at index ${index}`,
          };
        }
      }
    }
  }
  return { action: 'Count' };
}
