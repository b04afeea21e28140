import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionPlugin } from '../interface.ts';
import { podSpec } from '@pilothouse/api/quota';
import { isResource } from '../refusal.ts';

const defaultSeconds = 300;

/** A pod stays for five minutes on a node that is not ready or not reachable, unless it says otherwise. */
export function defaultTolerationSeconds({ configs }: AdmissionDependencies): AdmissionPlugin {
  const taints = [
    ['node.kubernetes.io/not-ready', configs?.notReadySeconds ?? defaultSeconds],
    ['node.kubernetes.io/unreachable', configs?.unreachableSeconds ?? defaultSeconds],
  ] as const;
  return {
    name: 'DefaultTolerationSeconds',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async admit(attributes) {
      if (!isResource(attributes, '', 'pods') || attributes.object === undefined) return;
      const spec = podSpec(attributes.object);
      for (const [key, tolerationSeconds] of taints) {
        const tolerates = (spec.tolerations ?? []).some(
          (toleration) =>
            (toleration.key === key || (toleration.key ?? '') === '') &&
            (toleration.effect === 'NoExecute' || (toleration.effect ?? '') === ''),
        );
        if (tolerates) continue;
        (spec.tolerations ??= []).push({
          key,
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds,
        });
      }
    },
  };
}
