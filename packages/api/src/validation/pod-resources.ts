import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError, shownMember } from '@pilothouse/apimachinery';
import { podAmounts } from '../quota/pod-resources.ts';
import type { PodSpec } from '../quota/pod-shape.ts';
import { quantityOf, quantityText } from './quantities.ts';
import { isHugePage, validateResourceName, validateResourceRequirements } from './resources.ts';
import type { Json } from './values.ts';
import { entries, isSet, list } from './values.ts';

function validateName(name: string, path: FieldPath): FieldError[] {
  const errors = validateResourceName(name, path);
  if (errors.length > 0 || name === 'cpu' || name === 'memory' || isHugePage(name)) return errors;
  return [fieldError.notSupported(path, name, ['cpu', 'hugepages-', 'memory'])];
}

/** spec.resources: limits and requests of a pod as a whole. */
export function validatePodResources(spec: Json, path: FieldPath): FieldError[] {
  const resources = spec['resources'] as Json | null | undefined;
  if (!isSet(resources)) return [];
  if (spec['os']?.name === 'windows') return [fieldError.forbidden(path, 'may not be set for a windows pod')];
  const errors: FieldError[] = [];
  if (isSet(shownMember(resources, 'claims')))
    errors.push(
      fieldError.forbidden(path.child('claims'), 'claims may not be set for Resources at pod-level'),
    );
  const claims = new Set((list(spec['resourceClaims']) as Json[]).map((claim) => String(claim['name'])));
  errors.push(...validateResourceRequirements(resources, path, claims, validateName));
  return [...errors, ...validateAgainstContainers(spec, resources, path)];
}

/** Containers together ask for no more than the pod, and none may use more than the pod may. */
function validateAgainstContainers(spec: Json, resources: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const alone = { ...spec, resources: undefined, overhead: undefined } as unknown as PodSpec;
  for (const kind of ['requests', 'limits'] as const) {
    const word = kind === 'requests' ? 'container requests' : 'container limits';
    for (const [name, amount] of podAmounts(alone, kind)) {
      const ofPod: unknown = resources[kind]?.[name];
      if (!isSet(ofPod) || (kind === 'limits' && !isHugePage(name))) continue;
      if (amount.compare(quantityOf(ofPod)) > 0)
        errors.push(
          fieldError.invalid(
            path.child(kind).key(name),
            quantityText(ofPod),
            `must be greater than or equal to aggregate ${word} of ${amount.toString()}`,
          ),
        );
    }
  }
  list(spec['containers']).forEach((container: Json, index) => {
    for (const [name, limit] of entries(container['resources']?.limits)) {
      const ofPod: unknown = resources['limits']?.[name];
      if (!isSet(ofPod) || quantityOf(limit).compare(quantityOf(ofPod)) <= 0) continue;
      errors.push(
        fieldError.invalid(
          path.child('containers').index(index).key(name).child('limits'),
          quantityText(limit),
          `must be less than or equal to pod limits of ${quantityText(ofPod)}`,
        ),
      );
    }
  });
  return errors;
}
