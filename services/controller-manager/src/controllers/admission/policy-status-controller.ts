import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';

/** Tells in a ValidatingAdmissionPolicy's status which generation was seen. Expressions are compiled by the API server, without types. */
export const createPolicyStatusController: ControllerFactory = (context) => {
  const policies = context.informers.informer(resources.validatingAdmissionPolicies);
  const loop = new Controller(
    { name: context.name, clock: context.clock, logger: context.logger, observe: context.observe },
    async (name) => {
      const policy = policies.lister.get(name);
      const generation = policy?.metadata.generation ?? 0;
      if (!policy || (policy['status']?.observedGeneration ?? 0) >= generation) return;
      await context.client
        .update(
          resources.validatingAdmissionPolicies,
          { ...policy, status: { ...policy['status'], observedGeneration: generation, typeChecking: {} } },
          { subresource: 'status' },
        )
        .catch((error: unknown) => {
          if (!hasReason(error, 'NotFound')) throw error;
        });
    },
  );
  const enqueue = (policy: KubeObject): void => loop.queue.add(policy.metadata.name ?? '');
  policies.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  return loop;
};
