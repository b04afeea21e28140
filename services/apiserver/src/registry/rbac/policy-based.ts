import type { KubeObject } from '@pilothouse/apimachinery';
import type { UserInfo } from '../../authentication/interface.ts';
import type { RestContext, RestStorage } from '../rest/rest-storage.ts';

/** {@link Authorization.checkEscalation}. */
export type EscalationCheck = (
  object: KubeObject,
  old: KubeObject | undefined,
  user: UserInfo,
) => Promise<void>;

/** Resources of rbac.authorization.k8s.io whose writes give permissions away. */
export const policyBasedResources: readonly string[] = [
  'roles',
  'clusterroles',
  'rolebindings',
  'clusterrolebindings',
];

/** A storage of roles or bindings that refuses writes by which a user would give away more than it holds. */
export function policyBased(storage: RestStorage, check: EscalationCheck): RestStorage {
  const { create, update } = storage;
  const complete = (context: RestContext, object: KubeObject, name: string): KubeObject => ({
    ...object,
    kind: storage.resource.kind,
    metadata: {
      ...object.metadata,
      ...(object.metadata.name === undefined && name !== '' ? { name } : {}),
      ...(context.namespace === '' ? {} : { namespace: context.namespace }),
    },
  });
  // Storages keep private state, so a method must not be called on an object that only inherits it.
  const wrapped = new Proxy(storage, {
    get(target, property) {
      if (property in overrides) return overrides[property as keyof typeof overrides];
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const overrides: Pick<RestStorage, 'create' | 'update'> = {};
  if (create !== undefined) {
    overrides.create = async (context, name, object, options, admission) => {
      await check(complete(context, object, name), undefined, context.user);
      return create.call(storage, context, name, object, options, admission);
    };
  }
  if (update !== undefined) {
    overrides.update = (context, name, info, options, admission) =>
      update.call(
        storage,
        context,
        name,
        {
          ...(info.preconditions === undefined ? {} : { preconditions: info.preconditions }),
          updatedObject: async (updateContext, existing) => {
            const object = await info.updatedObject(updateContext, existing);
            await check(complete(updateContext, object, name), existing, updateContext.user);
            return object;
          },
        },
        options,
        admission,
      );
  }
  return wrapped;
}
