import type { FieldError, Labels } from '@pilothouse/apimachinery';
import { fieldError, FieldPath, labelSelectorOf, shownMember } from '@pilothouse/apimachinery';
import { isEmptySelector, validateLabelSelector } from './meta.ts';
import { isDns1123Label } from './names.ts';
import { validatePodTemplateSpec } from './pod-spec.ts';
import type { Json } from './values.ts';
import { entries, isSet, list, nonNegative, text } from './values.ts';

/** A workload's selector: required, valid, not empty. `kind` is the lower-case kind of the message. */
export function validateWorkloadSelector(
  selector: Json | null | undefined,
  kind: string,
  path: FieldPath,
): FieldError[] {
  if (!isSet(selector)) return [fieldError.required(path)];
  const errors = validateLabelSelector(selector, path);
  if (isEmptySelector(selector))
    errors.push(fieldError.invalid(path, selector, `empty selector is invalid for ${kind}`));
  return errors;
}

/** A selector as messages print it: labels in order, key and operator always. */
export function selectorValue(selector: Json | null | undefined): unknown {
  if (!isSet(selector)) return null;
  const expressions = list(selector['matchExpressions']) as Json[];
  return {
    ...(isSet(selector['matchLabels'])
      ? { matchLabels: Object.fromEntries(entries(selector['matchLabels'])) }
      : {}),
    ...(expressions.length === 0
      ? {}
      : {
          matchExpressions: expressions.map((each) => ({
            key: text(each['key']),
            operator: text(each['operator']),
            ...(list(each['values']).length === 0 ? {} : { values: each['values'] as unknown }),
          })),
        }),
  };
}

/** The template must carry the labels that the selector selects. A null selector selects nothing, an empty one is not compared. */
/** Whether upstream can make a selector of it: templates are only looked at when it can. */
export const isUsableSelector = (selector: Json | null | undefined): boolean =>
  validateLabelSelector(selector, new FieldPath('selector')).length === 0;

export function validateSelectorMatches(
  selector: Json | null | undefined,
  template: Json,
  selectorPath: FieldPath,
  templatePath: FieldPath,
  onInvalid: string | null = 'invalid label selector',
): FieldError[] {
  if (!isUsableSelector(selector))
    return onInvalid === null ? [] : [fieldError.invalid(selectorPath, selectorValue(selector), onInvalid)];
  const parsed = labelSelectorOf(selector);
  const labels = template['metadata']?.labels as Labels | null | undefined;
  if (parsed.isEmpty || parsed.matches(labels ?? {})) return [];
  return [
    fieldError.invalid(
      templatePath.child('metadata', 'labels'),
      shownLabels(template['metadata'] as Json | undefined),
      '`selector` does not match template `labels`',
    ),
  ];
}

/** Labels as messages show them: sorted, and `{}` when they were given empty. */
export function shownLabels(meta: Json | null | undefined): unknown {
  const labels = shownMember(meta, 'labels');
  return labels === null ? null : Object.fromEntries(entries(labels));
}

/** What long-running workloads ask of their template: restart always, no deadline. */
export function validateLongRunningTemplate(template: Json, kind: string, path: FieldPath): FieldError[] {
  const errors = validatePodTemplateSpec(template, path);
  const spec = (template['spec'] ?? {}) as Json;
  if (text(spec['restartPolicy']) !== 'Always')
    errors.push(
      fieldError.notSupported(path.child('spec', 'restartPolicy'), text(spec['restartPolicy']), ['Always']),
    );
  if (isSet(spec['activeDeadlineSeconds']))
    errors.push(
      fieldError.forbidden(
        path.child('spec', 'activeDeadlineSeconds'),
        `activeDeadlineSeconds in ${kind} is not Supported`,
      ),
    );
  return errors;
}

export function nonNegativeFields(object: Json, path: FieldPath, ...names: string[]): FieldError[] {
  return names.flatMap((name) => nonNegative(object[name], path.child(name)));
}

/** Replica counts of a status that may not be more than all replicas. */
export function notMoreThanReplicas(status: Json, path: FieldPath, ...names: string[]): FieldError[] {
  return names.flatMap((name) =>
    (status[name] ?? 0) > (status['replicas'] ?? 0)
      ? [fieldError.invalid(path.child(name), status[name] ?? 0, 'cannot be greater than status.replicas')]
      : [],
  );
}

/** `readyText` is how the kind's message names the ready replicas. */
export function notMoreThanReady(status: Json, path: FieldPath, readyText: string): FieldError[] {
  return (status['availableReplicas'] ?? 0) > (status['readyReplicas'] ?? 0)
    ? [
        fieldError.invalid(
          path.child('availableReplicas'),
          status['availableReplicas'] ?? 0,
          `cannot be greater than ${readyText}`,
        ),
      ]
    : [];
}

/** A count that may only grow. */
export function notDecremented(status: Json, old: Json, path: FieldPath, name: string): FieldError[] {
  const before = old[name] as number | null | undefined;
  const now = status[name] as number | null | undefined;
  return isSet(before) && (!isSet(now) || now < before)
    ? [fieldError.invalid(path.child(name), now ?? 0, 'cannot be decremented')]
    : [];
}

/** Names of workloads end up in names of pods and so in hostnames. */
export const workloadNameWarnings = (name: string): string[] => nameWarnings(name, 'Pod names and hostnames');

export const podNameWarnings = (name: string): string[] => nameWarnings(name, "the Pod's hostname");

function nameWarnings(name: string, use: string): string[] {
  const found = isDns1123Label(name);
  if (found.length === 0) return [];
  const advice = 'which can result in surprising behavior; a DNS label is recommended';
  return [`metadata.name: this is used in ${use}, ${advice}: [${found.join(' ')}]`];
}
