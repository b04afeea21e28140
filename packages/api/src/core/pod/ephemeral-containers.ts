import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, keepLabels, restore, specPath } from '../../common.ts';
import type { UpdateHooks } from '../../strategy.ts';
import { internalDiff } from '../../validation/internal-text.ts';
import { goQuote } from '@pilothouse/apimachinery';
import { validateOnlyForPod, validatePodSpec } from '../../validation/pod-spec.ts';
import type { Json } from '../../validation/values.ts';
import { clone, list, semanticEqual, text } from '../../validation/values.ts';

function validate(pod: KubeObject, old: KubeObject): FieldError[] {
  const spec = pod['spec'] as Json;
  const path = specPath.child('ephemeralContainers');
  const errors = [
    ...validatePodSpec(spec, pod.metadata as Json, specPath),
    ...validateOnlyForPod(spec, specPath),
  ];
  const now = new Map(
    (list(spec['ephemeralContainers']) as Json[]).map((each) => [text(each['name']), each]),
  );
  for (const before of list(old['spec']?.ephemeralContainers) as Json[]) {
    const name = text(before['name']);
    const after = now.get(name);
    if (after === undefined)
      errors.push(
        fieldError.forbidden(path, `existing ephemeral containers ${goQuote(name)} may not be removed\n`),
      );
    else if (!semanticEqual(before, after))
      errors.push(
        fieldError.forbidden(
          path,
          `existing ephemeral containers ${goQuote(name)} may not be changed\n${internalDiff('EphemeralContainer', before, after)}`,
        ),
      );
  }
  return errors;
}

/** Only the list of ephemeral containers may change here, and only grow. */
export const ephemeralContainersHooks: UpdateHooks = {
  prepareForUpdate(pod, old) {
    const wanted: unknown = clone(pod['spec']?.ephemeralContainers as unknown);
    restore(pod, old, 'spec', 'status');
    keepLabels(pod, old);
    if (wanted === undefined || wanted === null) delete pod['spec'].ephemeralContainers;
    else pod['spec'].ephemeralContainers = wanted;
    bumpGeneration(pod, old);
  },
  validateUpdate: validate,
};
