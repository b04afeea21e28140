import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, FieldPath } from '@pilothouse/apimachinery';
import { bumpGeneration, keepLabels, restore, specPath } from '../../common.ts';
import type { UpdateHooks } from '../../strategy.ts';
import { validateOnlyForPod, validatePodSpec } from '../../validation/pod-spec.ts';
import type { Json } from '../../validation/values.ts';
import { clone, entries, isSet, list, semanticEqual, text } from '../../validation/values.ts';
import { qosClassOf } from './qos.ts';
import { podAnnotationUpdateErrors } from './annotations.ts';

const resizable = ['cpu', 'memory'];
const kinds = ['requests', 'limits'] as const;
const groups = ['containers', 'initContainers'] as const;

const containersOf = (spec: Json, group: string): Json[] => list(spec[group]) as Json[];

/** The amounts with CPU and memory of before, so that what still differs is what a resize may not change. */
function withOldAmounts(amounts: unknown, before: unknown): Json {
  const kept = (source: unknown, wanted: boolean): [string, unknown][] =>
    entries(source).filter(([name]) => resizable.includes(name) === wanted);
  return Object.fromEntries([...kept(amounts, false), ...kept(before, true)]);
}

/** Limits and requests alone: a container that also has claims counts as changed, as upstream has it. */
function maskedResources(resources: Json | undefined, before: Json | undefined): Json {
  return Object.fromEntries(kinds.map((kind) => [kind, withOldAmounts(resources?.[kind], before?.[kind])]));
}

/** Whether something but CPU and memory differs. */
function changesMore(container: Json, before: Json): boolean {
  const [now, old] = [container['resources'] as Json | undefined, before['resources'] as Json | undefined];
  return !semanticEqual(
    { ...container, resources: withoutEmpty(maskedResources(now, old)) },
    { ...before, resources: withoutEmpty(old) },
  );
}

function validateRemovals(
  resources: Json | undefined,
  before: Json | undefined,
  path: FieldPath,
  prefix = '',
): FieldError[] {
  return kinds.flatMap((kind) => {
    const now = (resources?.[kind] ?? {}) as Json;
    const removed = Object.keys((before?.[kind] ?? {}) as Json).some((name) => !(name in now));
    return removed
      ? [fieldError.forbidden(path.child(kind), `${prefix}resource ${kind} cannot be removed`)]
      : [];
  });
}

const hasAmounts = (resources: unknown): boolean =>
  isSet(resources) && kinds.some((kind) => entries((resources as Json)[kind]).length > 0);

function validatePodLevel(spec: Json, before: Json): FieldError[] {
  const [now, old] = [spec['resources'] as Json | undefined, before['resources'] as Json | undefined];
  if (!hasAmounts(now) && !hasAmounts(old)) return [];
  const path = specPath.child('resources');
  if (isSet(old) && !isSet(now)) return [fieldError.forbidden(path, 'pod-level resources cannot be removed')];
  const errors = isSet(old) ? validateRemovals(now, old, path, 'pod-level ') : [];
  const rest = { ...now, ...maskedResources(now, old) };
  if (!semanticEqual(withoutEmpty(rest), withoutEmpty(old)))
    errors.push(fieldError.forbidden(specPath, 'only cpu and memory resources are mutable at pod-level'));
  return errors;
}

/** Without empty members; undefined when nothing is left. */
function withoutEmpty(resources: Json | undefined): Json | undefined {
  const members = entries(resources).filter(([, value]) => !semanticEqual(value, undefined));
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

function validateOrder(spec: Json, before: Json): FieldError[] {
  const errors: FieldError[] = [];
  for (const group of groups) {
    const [now, old] = [containersOf(spec, group), containersOf(before, group)];
    const path = specPath.child(group);
    if (now.length !== old.length)
      errors.push(fieldError.forbidden(path, `${group} may not be added or removed on resize`));
    else
      old.forEach((container, index) => {
        if (now[index]?.['name'] !== container['name'])
          errors.push(
            fieldError.forbidden(
              path.index(index).child('name'),
              `${group} may not be renamed or reordered on resize`,
            ),
          );
      });
  }
  return errors;
}

/** A node that reports no resources of a running container cannot resize it. */
function nodeResizes(pod: KubeObject): boolean {
  const running = (list(pod['status']?.containerStatuses) as Json[]).find((each) =>
    isSet(each['state']?.running),
  );
  return running === undefined || isSet(running['resources']);
}

function validateContainers(spec: Json, before: Json): FieldError[] {
  const errors: FieldError[] = [];
  const pairs = (group: string): (readonly [now: Json, before: Json])[] =>
    containersOf(before, group).map((old, index) => [containersOf(spec, group)[index] as Json, old]);
  for (const group of ['initContainers', 'containers'])
    pairs(group).forEach(([now, old], index) => {
      const path = specPath.child(group).index(index).child('resources');
      errors.push(...validateRemovals(now['resources'] as Json, old['resources'] as Json, path));
    });
  for (const [now, old] of pairs('containers'))
    if (changesMore(now, old))
      errors.push(fieldError.forbidden(specPath, 'only cpu and memory resources are mutable'));
  pairs('initContainers').forEach(([now, old], index) => {
    const path = specPath.child('initContainers').index(index);
    if (changesMore(now, old))
      errors.push(
        fieldError.forbidden(
          path,
          'only cpu and memory resources for init or sidecar containers are mutable',
        ),
      );
    if (now['restartPolicy'] === 'Always' || semanticEqual(now, old)) return;
    for (const policy of list(now['resizePolicy']) as Json[])
      if (policy['restartPolicy'] === 'RestartContainer')
        errors.push(
          fieldError.forbidden(
            path,
            'non-sidecar init containers with a resize policy of RestartContainer cannot be resized',
          ),
        );
  });
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
      { type: 'FieldValueForbidden', field: root.text, message: 'Forbidden: static pods cannot be resized' },
    ];
  if (before['os']?.name === 'windows')
    return [
      { type: 'FieldValueForbidden', field: root.text, message: 'Forbidden: windows pods cannot be resized' },
    ];
  if (text(old['status']?.qosClass || qosClassOf(before)) !== qosClassOf(spec))
    errors.push(
      fieldError.invalid(
        specPath,
        text(pod['status']?.qosClass),
        'Pod QOS Class may not change as a result of resizing',
      ),
    );
  if (!nodeResizes(old))
    errors.push(fieldError.forbidden(specPath, 'Pod running on node without support for resize'));
  errors.push(...validatePodLevel(spec, before));
  if (list(old['status']?.nodeAllocatableResourceClaimStatuses).length > 0)
    errors.push(
      fieldError.forbidden(specPath, 'pods with node allocatable resource claims cannot be resized'),
    );
  const misplaced = validateOrder(spec, before);
  if (misplaced.length > 0) return [...errors, ...misplaced];
  errors.push(...validateContainers(spec, before));
  if (errors.length === 0 && !semanticEqual(restOf(spec), restOf(before)))
    errors.push(fieldError.forbidden(specPath, 'only cpu and memory resources are mutable'));
  return errors;
}

/** The spec without what was compared by itself. */
function restOf(spec: Json): Json {
  const { containers: _, initContainers: __, resources: ___, ...rest } = spec;
  return rest;
}

/** The containers of before with the resources and policies of now; as they are when one was renamed or moved. */
function resized(now: Json[], before: Json[]): Json[] {
  if (now.some((container, index) => container['name'] !== before[index]?.['name'])) return now;
  return before.map((old, index) => {
    const made = clone(old);
    for (const field of ['resources', 'resizePolicy']) {
      const value: unknown = now[index]?.[field];
      if (value === undefined) delete made[field];
      else made[field] = value;
    }
    return made;
  });
}

/** Takes over resources and resize policies of the containers that the pod has; nothing else. */
export const resizeHooks: UpdateHooks = {
  prepareForUpdate(pod, old) {
    const wanted = clone((pod['spec'] ?? {}) as Json);
    const before = (old['spec'] ?? {}) as Json;
    // Containers that came or went are left to validation to refuse.
    if (groups.some((group) => containersOf(wanted, group).length !== containersOf(before, group).length)) {
      bumpGeneration(pod, old);
      return;
    }
    restore(pod, old, 'spec', 'status');
    keepLabels(pod, old);
    for (const group of groups)
      if (containersOf(before, group).length > 0)
        pod['spec'][group] = resized(containersOf(wanted, group), containersOf(before, group));
    if (wanted['resources'] === undefined) delete pod['spec'].resources;
    else pod['spec'].resources = wanted['resources'] as unknown;
    bumpGeneration(pod, old);
  },
  validateUpdate: (pod, old) => [...podAnnotationUpdateErrors(pod, old), ...validate(pod, old)],
};
