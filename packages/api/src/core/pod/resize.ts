import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, FieldPath } from '@pilothouse/apimachinery';
import { bumpGeneration, keepLabels, restore, specPath } from '../../common.ts';
import type { UpdateHooks } from '../../strategy.ts';
import { validateOnlyForPod, validatePodSpec } from '../../validation/pod-spec.ts';
import type { Json } from '../../validation/values.ts';
import { clone, entries, isSet, list, semanticEqual, text } from '../../validation/values.ts';
import { qosClassOf } from './qos.ts';

const resizable = ['cpu', 'memory'];

/** A container without what a resize may change. */
function fixedPart(container: Json): Json {
  const copy = clone(container);
  const resources = (copy['resources'] ?? {}) as Json;
  for (const kind of ['limits', 'requests'])
    resources[kind] = Object.fromEntries(
      entries(resources[kind]).filter(([name]) => !resizable.includes(name)),
    );
  copy['resources'] = resources;
  delete copy['resizePolicy'];
  return copy;
}

function validateRemovals(container: Json, before: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const [kind, word] of [
    ['limits', 'limits'],
    ['requests', 'requests'],
  ] as const)
    for (const name of resizable)
      if (isSet(before['resources']?.[kind]?.[name]) && !isSet(container['resources']?.[kind]?.[name])) {
        errors.push(
          fieldError.forbidden(path.child('resources', kind), `resource ${word} cannot be removed`),
        );
        break;
      }
  return errors;
}

function validate(pod: KubeObject, old: KubeObject): FieldError[] {
  const spec = pod['spec'] as Json;
  const before = old['spec'] as Json;
  const errors = [
    ...validatePodSpec(spec, pod.metadata as Json, specPath),
    ...validateOnlyForPod(spec, specPath),
  ];
  const root = new FieldPath('[]');
  if (isSet(old.metadata.annotations?.['kubernetes.io/config.mirror']))
    return [
      ...errors,
      { type: 'FieldValueForbidden', field: root.text, message: 'Forbidden: static pods cannot be resized' },
    ];
  if (before['os']?.name === 'windows')
    return [
      ...errors,
      { type: 'FieldValueForbidden', field: root.text, message: 'Forbidden: windows pods cannot be resized' },
    ];
  if (qosClassOf(spec) !== qosClassOf(before))
    errors.push(
      fieldError.invalid(
        specPath,
        text(pod['status']?.qosClass),
        'Pod QOS Class may not change as a result of resizing',
      ),
    );
  let otherChanged = false;
  for (const name of ['containers', 'initContainers'])
    list(spec[name]).forEach((container: Json, index) => {
      const then = (list(before[name])[index] ?? {}) as Json;
      const path = specPath.child(name).index(index);
      if (name === 'initContainers' && container['restartPolicy'] !== 'Always') {
        if (!semanticEqual(container['resources'], then['resources']))
          errors.push(
            fieldError.forbidden(
              path.child('resources'),
              'resources for non-sidecar init containers are immutable',
            ),
          );
        return;
      }
      errors.push(...validateRemovals(container, then, path));
      if (!semanticEqual(fixedPart(container), fixedPart(then))) otherChanged = true;
    });
  if (otherChanged) errors.push(fieldError.forbidden(specPath, 'only cpu and memory resources are mutable'));
  return errors;
}

/** Takes over resources and resize policies of the containers that the pod has; nothing else. */
export const resizeHooks: UpdateHooks = {
  resetFields: ['status'],
  prepareForUpdate(pod, old) {
    const wanted = clone((pod['spec'] ?? {}) as Json);
    restore(pod, old, 'spec', 'status');
    keepLabels(pod, old);
    for (const name of ['containers', 'initContainers']) {
      const byName = new Map((list(wanted[name]) as Json[]).map((each) => [text(each['name']), each]));
      for (const container of list(pod['spec'][name]) as Json[]) {
        const from = byName.get(text(container['name']));
        if (from === undefined) continue;
        for (const field of ['resources', 'resizePolicy'])
          if (from[field] === undefined) delete container[field];
          else container[field] = from[field] as unknown;
      }
    }
    if (isSet(wanted['resources'])) pod['spec'].resources = wanted['resources'] as unknown;
    bumpGeneration(pod, old);
  },
  validateUpdate: validate,
};
