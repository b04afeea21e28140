import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError, goQuote } from '@pilothouse/apimachinery';
import { validateTolerations } from './affinity.ts';
import { validateLocalDescendingPath } from './env.ts';
import type { Json } from './values.ts';
import { isSet, list, text } from './values.ts';

type Annotations = Readonly<Record<string, string>>;

const mirror = 'kubernetes.io/config.mirror';
const tolerations = 'scheduler.alpha.kubernetes.io/tolerations';
const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';
const seccompOfPod = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompOfContainer = 'container.seccomp.security.alpha.kubernetes.io/';
export const appArmorOfContainer = 'container.apparmor.security.beta.kubernetes.io/';
const localhost = 'localhost/';

const containerLists = ['initContainers', 'containers', 'ephemeralContainers'] as const;
const int32 = { min: -(2 ** 31), max: 2 ** 31 - 1 };

/** Annotations of a pod or template that mean something. `old`: those before an update. */
export function validatePodAnnotations(
  annotations: Annotations,
  spec: Json,
  path: FieldPath,
  old?: Annotations,
): FieldError[] {
  const errors: FieldError[] = [];
  const mirrored = annotations[mirror];
  if (mirrored !== undefined && text(spec['nodeName']) === '')
    errors.push(
      fieldError.invalid(
        path.key(mirror),
        mirrored,
        'must set spec.nodeName if mirror pod annotation is set',
      ),
    );
  errors.push(...tolerationErrors(annotations[tolerations] ?? '', path));
  const cost = annotations[deletionCost];
  // One that was wrong before may stay.
  if (!isCost(cost) && isCost(old?.[deletionCost]))
    errors.push(fieldError.invalid(path.key(deletionCost), cost, 'must be a 32bit integer'));
  const names = new Set(
    containerLists.flatMap((member) =>
      (list(spec[member]) as Json[]).map((container) => text(container['name'])),
    ),
  );
  for (const [key, value] of Object.entries(annotations)) {
    if (key === seccompOfPod || key.startsWith(seccompOfContainer))
      errors.push(...seccompErrors(value, path.child(key)));
    if (!key.startsWith(appArmorOfContainer)) continue;
    const name = key.slice(appArmorOfContainer.length);
    if (!names.has(name)) errors.push(fieldError.invalid(path.key(key), name, 'container not found'));
    if (!['', 'runtime/default', 'unconfined'].includes(value) && !value.startsWith(localhost))
      errors.push(
        fieldError.invalid(path.key(key), value, `invalid AppArmor profile name: ${goQuote(value)}`),
      );
  }
  return errors;
}

/** Annotations that a pod keeps as it was made with them. */
export function validatePodAnnotationChange(
  annotations: Annotations,
  old: Annotations,
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  const check = (key: string, verb: string): void => {
    if (key.startsWith(appArmorOfContainer))
      errors.push(fieldError.forbidden(path.key(key), `may not ${verb} AppArmor annotations`));
    if (key === mirror)
      errors.push(fieldError.forbidden(path.key(key), `may not ${verb} mirror pod annotation`));
  };
  for (const [key, value] of Object.entries(old))
    if (annotations[key] !== value) check(key, 'remove or update');
  for (const key of Object.keys(annotations)) if (old[key] === undefined) check(key, 'add');
  return errors;
}

/** The profiles of a new pod, where annotations and fields name some. */
export function validateProfilesMatch(annotations: Annotations, spec: Json, path: FieldPath): FieldError[] {
  const containers = containerLists.flatMap((member) =>
    (list(spec[member]) as Json[]).map((container, index): [Json, FieldPath] => [
      container,
      path.child(member).index(index).child('securityContext'),
    ]),
  );
  const errors = [
    ...matchErrors(
      'seccomp',
      annotations[seccompOfPod],
      spec['securityContext']?.seccompProfile as Json,
      path.child('securityContext').child('seccompProfile'),
    ),
  ];
  for (const [container, at] of containers)
    errors.push(
      ...matchErrors(
        'seccomp',
        annotations[`${seccompOfContainer}${text(container['name'])}`],
        container['securityContext']?.seccompProfile as Json,
        at.child('seccompProfile'),
      ),
    );
  if (spec['os']?.name === 'windows') return errors;
  for (const [container, at] of containers)
    errors.push(
      ...matchErrors(
        'apparmor',
        annotations[`${appArmorOfContainer}${text(container['name'])}`],
        (container['securityContext']?.appArmorProfile ?? spec['securityContext']?.appArmorProfile) as Json,
        at.child('appArmorProfile'),
      ),
    );
  return errors;
}

function matchErrors(
  what: 'seccomp' | 'apparmor',
  annotation: string | undefined,
  profile: Json | null | undefined,
  path: FieldPath,
): FieldError[] {
  if (annotation === undefined || !isSet(profile)) return [];
  const other = fieldError.forbidden(path.child('type'), `${what} type in annotation and field must match`);
  switch (profile['type']) {
    case 'Unconfined':
      return annotation === 'unconfined' ? [] : [other];
    case 'RuntimeDefault':
      return annotation === 'runtime/default' || (what === 'seccomp' && annotation === 'docker/default')
        ? []
        : [other];
    case 'Localhost':
      if (!annotation.startsWith(localhost)) return [other];
      if (annotation.slice(localhost.length) === profile['localhostProfile']) return [];
      return [
        fieldError.forbidden(
          path.child('localhostProfile'),
          `${what} profile in annotation and field must match`,
        ),
      ];
    default:
      return [];
  }
}

function tolerationErrors(value: string, path: FieldPath): FieldError[] {
  if (value === '') return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch (error) {
    return [fieldError.invalid(path, tolerations, error instanceof Error ? error.message : String(error))];
  }
  return Array.isArray(parsed) ? validateTolerations(parsed, path.child(tolerations)) : [];
}

function seccompErrors(profile: string, path: FieldPath): FieldError[] {
  if (['runtime/default', 'docker/default', 'unconfined'].includes(profile)) return [];
  if (profile.startsWith(localhost))
    return validateLocalDescendingPath(profile.slice(localhost.length), path);
  return [fieldError.invalid(path, profile, 'must be a valid seccomp profile')];
}

/** Neither `+10` nor `010`, as upstream. */
function isCost(value: string | undefined): boolean {
  if (value === undefined) return true;
  if (!/^(0|[1-9]\d*|-\d+)$/.test(value)) return false;
  return Number(value) >= int32.min && Number(value) <= int32.max;
}
