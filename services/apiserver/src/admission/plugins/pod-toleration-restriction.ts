import { isDeepStrictEqual } from 'node:util';
import { StatusError } from '@pilothouse/apimachinery';
import type { Toleration } from '@pilothouse/api/quota';
import { isBestEffort, podSpec } from '@pilothouse/api/quota';
import { errorMessage } from '@pilothouse/base';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { isResource } from '../refusal.ts';
import { findNamespace } from './namespace-lifecycle.ts';

const defaultsAnnotation = 'scheduler.alpha.kubernetes.io/defaultTolerations';
const allowedAnnotation = 'scheduler.alpha.kubernetes.io/tolerationsWhitelist';

/** Adds the tolerations of a pod's namespace (or of the cluster), and refuses those that are not on the list. */
export function podTolerationRestriction({ objects, configs }: AdmissionDependencies): AdmissionPlugin {
  const ofNamespace = async (namespace: string, key: string): Promise<readonly Toleration[] | undefined> => {
    const text = (await findNamespace(objects, namespace)).metadata.annotations?.[key];
    if (text === undefined) return undefined;
    return text === '' ? [] : tolerationsOf(text);
  };
  const validate = async (attributes: AdmissionAttributes): Promise<void> => {
    if (!isResource(attributes, '', 'pods') || attributes.object === undefined) return;
    const tolerations = podSpec(attributes.object).tolerations ?? [];
    if (tolerations.length === 0) return;
    const own = await ofNamespace(attributes.namespace, allowedAnnotation);
    const allowed = own ?? configs?.tolerations?.whitelist ?? [];
    if (allowed.length === 0) return;
    if (tolerations.every((each) => allowed.some((one) => covers(one, each)))) return;
    throw new StatusError(
      500,
      '',
      `pod tolerations (possibly merged with namespace default tolerations) conflict with its ${own === undefined ? 'cluster' : 'namespace'} whitelist`,
    );
  };
  return {
    name: 'PodTolerationRestriction',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async admit(attributes) {
      if (!isResource(attributes, '', 'pods') || attributes.object === undefined) return;
      const more: Toleration[] = [];
      if (attributes.operation === 'CREATE')
        more.push(
          ...((await ofNamespace(attributes.namespace, defaultsAnnotation)) ??
            configs?.tolerations?.default ??
            []),
        );
      if (!isBestEffort(attributes.object))
        more.push({ key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' });
      const spec = podSpec(attributes.object);
      if (more.length > 0) spec.tolerations = merged([...(spec.tolerations ?? []), ...more]);
      await validate(attributes);
    },
    validate,
  };
}

/** Leaves out what another toleration covers; of equal ones the first stays. */
function merged(all: readonly Toleration[]): Toleration[] {
  const kept: Toleration[] = [];
  all.forEach((each, index) => {
    if (kept.some((other) => covers(other, each))) return;
    if (all.slice(index + 1).some((other) => !isDeepStrictEqual(other, each) && covers(other, each))) return;
    kept.push(structuredClone(each));
  });
  return kept;
}

/** Whether `wide` tolerates all that `narrow` does. */
function covers(wide: Toleration, narrow: Toleration): boolean {
  if (isDeepStrictEqual(wide, narrow)) return true;
  const isForAll = (wide.key ?? '') === '' && wide.operator === 'Exists';
  if ((narrow.key ?? '') !== (wide.key ?? '') && !isForAll) return false;
  if ((wide.effect ?? '') !== '' && (narrow.effect ?? '') !== wide.effect) return false;
  if (wide.effect === 'NoExecute' && wide.tolerationSeconds !== undefined) {
    if (narrow.tolerationSeconds === undefined || narrow.tolerationSeconds > wide.tolerationSeconds)
      return false;
  }
  if (wide.operator === 'Exists') return true;
  return narrow.operator === 'Equal' && (narrow.value ?? '') === (wide.value ?? '');
}

function tolerationsOf(text: string): readonly Toleration[] {
  try {
    return JSON.parse(text) as Toleration[];
  } catch (error) {
    throw new StatusError(500, '', errorMessage(error));
  }
}
