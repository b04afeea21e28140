import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { podSpec } from '@pilothouse/api/quota';
import { forbid, isResource } from '../refusal.ts';

const systemClasses: readonly string[] = ['system-node-critical', 'system-cluster-critical'];
const defaultPolicy = 'PreemptLowerPriority';

/** The priority of a pod comes from its PriorityClass, or from the default class, and never from its author. */
export function priorityPlugin({ objects }: AdmissionDependencies): AdmissionPlugin {
  const defaultClass = (): KubeObject | undefined => {
    let found: KubeObject | undefined;
    for (const candidate of objects.cached(resources.priorityClasses).list()) {
      if (candidate['globalDefault'] !== true) continue;
      if (found === undefined || (candidate['value'] as number) < (found['value'] as number))
        found = candidate;
    }
    return found;
  };
  const namedClass = async (attributes: AdmissionAttributes, name: string): Promise<KubeObject> => {
    const cached = objects.cached(resources.priorityClasses).get('', name);
    if (cached !== undefined) return cached;
    try {
      return await objects.get(resources.priorityClasses, '', name);
    } catch (error) {
      if (hasReason(error, 'NotFound')) {
        throw forbid(attributes, `no PriorityClass with name ${name} was found`);
      }
      throw error;
    }
  };
  const setPriority = async (attributes: AdmissionAttributes, pod: KubeObject): Promise<void> => {
    const spec = podSpec(pod);
    let chosen: KubeObject | undefined;
    if ((spec.priorityClassName ?? '') !== '') {
      chosen = await namedClass(attributes, spec.priorityClassName as string);
    } else {
      chosen = defaultClass();
      if (chosen !== undefined) spec.priorityClassName = chosen.metadata.name as string;
    }
    const priority = (chosen?.['value'] as number | undefined) ?? 0;
    if (spec.priority !== undefined && spec.priority !== priority) {
      throw forbid(
        attributes,
        `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${priority} from the given PriorityClass name`,
      );
    }
    spec.priority = priority;
    const policy = (chosen?.['preemptionPolicy'] as string | undefined) ?? defaultPolicy;
    if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
      throw forbid(
        attributes,
        `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
      );
    }
    spec.preemptionPolicy = policy;
  };
  return {
    name: 'Priority',
    handles: (operation) => operation !== 'CONNECT',
    async admit(attributes) {
      const { object, oldObject } = attributes;
      if (!isResource(attributes, '', 'pods') || object === undefined) return;
      if (attributes.operation === 'CREATE') return setPriority(attributes, object);
      if (oldObject === undefined) return;
      const old = (oldObject['spec'] ?? {}) as { priority?: number; preemptionPolicy?: string };
      const spec = podSpec(object);
      if (spec.priority === undefined && old.priority !== undefined) spec.priority = old.priority;
      if (spec.preemptionPolicy === undefined && old.preemptionPolicy !== undefined) {
        spec.preemptionPolicy = old.preemptionPolicy;
      }
    },
    async validate(attributes) {
      const { object } = attributes;
      if (!isResource(attributes, 'scheduling.k8s.io', 'priorityclasses')) return;
      if (attributes.operation === 'DELETE' && systemClasses.includes(attributes.name)) {
        throw forbid(attributes, 'this is a system priority class and cannot be deleted');
      }
      if (object === undefined) return;
      if (object['globalDefault'] !== true) return;
      // A cache that lags would let a second default through, so the store is asked.
      for (const other of await objects.list(resources.priorityClasses)) {
        if (other['globalDefault'] === true && other.metadata.name !== object.metadata.name) {
          throw forbid(
            attributes,
            `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
          );
        }
      }
    },
  };
}
