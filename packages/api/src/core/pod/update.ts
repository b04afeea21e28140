import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, shownMember } from '@pilothouse/apimachinery';
import { specPath } from '../../common.ts';
import { internalDiff, internalText } from '../../validation/internal-text.ts';
import { validateTolerations } from '../../validation/affinity.ts';
import type { Json } from '../../validation/values.ts';
import { clone, isSet, list, semanticEqual, text } from '../../validation/values.ts';

const updatable =
  '`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What an update of a pod may change, beyond the pod being valid. */
export function validatePodChange(pod: KubeObject, old: KubeObject): FieldError[] {
  const spec = (pod['spec'] ?? {}) as Json;
  const before = (old['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  for (const name of ['containers', 'initContainers']) {
    const containers = list(spec[name]) as Json[];
    if (containers.length !== list(before[name]).length)
      return [
        ...errors,
        fieldError.forbidden(specPath.child(name), 'pod updates may not add or remove containers'),
      ];
    containers.forEach((container, index) => {
      if (text(container['image']) === '')
        errors.push(fieldError.required(specPath.child(name).index(index).child('image')));
    });
  }
  errors.push(...validateDeadlineChange(spec, before));
  errors.push(...validateTolerationsChange(spec, before));
  errors.push(...validateGatesChange(spec, before));
  const munged = clone(spec);
  for (const name of ['containers', 'initContainers'])
    list(munged[name]).forEach((container: Json, index) => {
      container['image'] = (list(before[name])[index] as Json)['image'] as unknown;
    });
  restoreField(munged, before, 'activeDeadlineSeconds');
  restoreField(munged, before, 'tolerations');
  restoreField(munged, before, 'schedulingGates');
  if (before['terminationGracePeriodSeconds'] < 0 && munged['terminationGracePeriodSeconds'] === 1)
    restoreField(munged, before, 'terminationGracePeriodSeconds');
  if (list(before['schedulingGates']).length > 0) errors.push(...allowGatedChanges(munged, before));
  if (!semanticEqual(munged, before))
    errors.push(
      fieldError.forbidden(
        specPath,
        `pod updates may not change fields other than ${updatable}\n${internalDiff('PodSpec', before, munged)}`,
      ),
    );
  return errors;
}

export function restoreField(spec: Json, before: Json, name: string): void {
  if (before[name] === undefined) delete spec[name];
  else spec[name] = clone(before[name] as unknown);
}

const int32Max = 2 ** 31 - 1;

function validateDeadlineChange(spec: Json, before: Json): FieldError[] {
  const now = spec['activeDeadlineSeconds'] as number | null | undefined;
  const then = before['activeDeadlineSeconds'] as number | null | undefined;
  const path = specPath.child('activeDeadlineSeconds');
  if (isSet(now)) {
    if (now < 0 || now > int32Max)
      return [fieldError.invalid(path, now, `must be between 0 and ${int32Max}, inclusive`)];
    if (isSet(then) && then < now)
      return [fieldError.invalid(path, now, 'must be less than or equal to previous value')];
    return [];
  }
  return isSet(then)
    ? [fieldError.invalid(path, null, 'must not update from a positive integer to nil value')]
    : [];
}

function validateTolerationsChange(spec: Json, before: Json): FieldError[] {
  const path = specPath.child('tolerations');
  const now = list(spec['tolerations']) as Json[];
  for (const then of list(before['tolerations']) as Json[]) {
    const kept = now.some((each) =>
      semanticEqual({ ...then, tolerationSeconds: each['tolerationSeconds'] as unknown }, each),
    );
    if (!kept)
      return [
        fieldError.forbidden(path, 'existing toleration can not be modified except its tolerationSeconds'),
      ];
  }
  return validateTolerations(now, path);
}

function validateGatesChange(spec: Json, before: Json): FieldError[] {
  const then = new Set(list(before['schedulingGates']).map((gate: Json) => text(gate['name'])));
  const errors: FieldError[] = [];
  list(spec['schedulingGates']).forEach((gate: Json, index) => {
    const name = text(gate['name']);
    if (!then.has(name))
      errors.push(
        fieldError.forbidden(
          specPath.child('schedulingGates').index(index).child('name'),
          `only deletion is allowed, but found new scheduling gate '${name}'`,
        ),
      );
  });
  return errors;
}

const requiredName = 'requiredDuringSchedulingIgnoredDuringExecution';

/** A gated pod's node selector and node affinity may become narrower. */
function allowGatedChanges(munged: Json, before: Json): FieldError[] {
  const now = (munged['nodeSelector'] ?? {}) as Json;
  const then = (before['nodeSelector'] ?? {}) as Json;
  if (Object.entries(then).every(([key, value]) => now[key] === value))
    restoreField(munged, before, 'nodeSelector');
  const nodeAffinity = munged['affinity']?.nodeAffinity as Json | null | undefined;
  const beforeAffinity = before['affinity']?.nodeAffinity as Json | null | undefined;
  if (isSet(nodeAffinity) || isSet(beforeAffinity)) {
    const errors = validateAffinityChange(nodeAffinity?.[requiredName], beforeAffinity?.[requiredName]);
    const affinity = { ...((munged['affinity'] ?? {}) as Json) };
    if (isSet(beforeAffinity)) affinity['nodeAffinity'] = clone(beforeAffinity);
    else delete affinity['nodeAffinity'];
    if (Object.keys(affinity).length === 0 && !isSet(before['affinity'])) delete munged['affinity'];
    else munged['affinity'] = affinity;
    return errors;
  }
  return [];
}

function validateAffinityChange(now: Json | null | undefined, then: Json | null | undefined): FieldError[] {
  if (!isSet(then)) return [];
  const path = specPath.child('affinity', 'nodeAffinity', requiredName, 'nodeSelectorTerms');
  const terms = list(now?.['nodeSelectorTerms']) as Json[];
  const oldTerms = list(then['nodeSelectorTerms']) as Json[];
  const invalid = (at: FieldPath, shown: string, text: string): FieldError => ({
    type: 'FieldValueInvalid',
    field: at.text,
    message: `Invalid value: ${shown}: ${text}`,
  });
  if (terms.length !== oldTerms.length) {
    const given = shownMember(now, 'nodeSelectorTerms') as Json[] | null;
    const shown =
      given === null ? 'null' : `[${given.map((term) => internalText('NodeSelectorTerm', term)).join(',')}]`;
    return [invalid(path, shown, 'no additions/deletions to non-empty NodeSelectorTerms list are allowed')];
  }
  return oldTerms.flatMap((old, index) => {
    const term = terms[index] as Json;
    return onlyAdds(term, old)
      ? []
      : [
          invalid(
            path.index(index),
            internalText('NodeSelectorTerm', term),
            'only additions are allowed (no mutations or deletions)',
          ),
        ];
  });
}

/** Whether each list of the term begins with what it was; an empty term, which selects nothing, stays empty. */
function onlyAdds(term: Json, old: Json): boolean {
  const names = ['matchExpressions', 'matchFields'] as const;
  if (names.every((name) => list(old[name]).length === 0))
    return names.every((name) => list(term[name]).length === 0);
  return names.every((name) =>
    list(old[name]).every((each, at) => semanticEqual(each, list(term[name])[at])),
  );
}
