import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration } from '../../common.ts';
import { defaultPod } from '../../defaults/pod-spec.ts';
import type { ResourceStrategy, StrategyContext } from '../../strategy.ts';
import { columnsOf } from '../../table/columns.ts';
import {
  appArmorOfContainer,
  validatePodAnnotations,
  validateProfilesMatch,
} from '../../validation/pod-annotations.ts';
import { validateOnlyForPod, validatePodSpec } from '../../validation/pod-spec.ts';
import { nameIsDnsSubdomain } from '../../validation/names.ts';
import type { Json } from '../../validation/values.ts';
import { isSet, list, semanticEqual, text } from '../../validation/values.ts';
import { validateAppArmorProfile } from '../../validation/security-context.ts';
import { podNameWarnings } from '../../validation/workload.ts';
import { annotationsPath, podAnnotationUpdateErrors } from './annotations.ts';
import { podCells, podRowConditions } from './cells.ts';
import { ephemeralContainersHooks } from './ephemeral-containers.ts';
import { qosClassOf } from './qos.ts';
import { resizeHooks } from './resize.ts';
import { agreeAddresses, podStatusHooks } from './status.ts';
import { validatePodChange } from './update.ts';
import { podWarnings } from './warnings.ts';

const specOf = (pod: KubeObject): Json => (pod['spec'] ?? {}) as Json;

/** The pod's labels named in matchLabelKeys become part of the affinity terms' selectors. */
function mergeMatchLabelKeys(pod: KubeObject): void {
  const labels = pod.metadata.labels ?? {};
  const affinity = specOf(pod)['affinity'] as Json | null | undefined;
  if (!isSet(affinity)) return;
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const terms = [
      ...(list(affinity[kind]?.requiredDuringSchedulingIgnoredDuringExecution) as Json[]),
      ...(list(affinity[kind]?.preferredDuringSchedulingIgnoredDuringExecution) as Json[]).map(
        (each) => (each['podAffinityTerm'] ?? {}) as Json,
      ),
    ];
    for (const term of terms)
      for (const [field, operator] of [
        ['matchLabelKeys', 'In'],
        ['mismatchLabelKeys', 'NotIn'],
      ] as const)
        for (const key of list(term[field]) as string[]) {
          const value = labels[key];
          if (value === undefined || !isSet(term['labelSelector'])) continue;
          const selector = term['labelSelector'] as Json;
          selector['matchExpressions'] = [
            ...list(selector['matchExpressions']),
            { key, operator, values: [value] },
          ];
        }
  }
}

/** Profiles of the old annotations move to the field, unless the pod has them there. */
function applyAppArmorAnnotations(pod: KubeObject, context: StrategyContext): void {
  const annotations = pod.metadata.annotations ?? {};
  const spec = specOf(pod);
  if (spec['os']?.name === 'windows') return;
  const ofPod = spec['securityContext']?.appArmorProfile as Json | null | undefined;
  for (const name of ['containers', 'initContainers', 'ephemeralContainers'])
    for (const container of list(spec[name]) as Json[]) {
      const key = `${appArmorOfContainer}${text(container['name'])}`;
      const value = annotations[key];
      if (value === undefined || isSet(container['securityContext']?.appArmorProfile)) continue;
      const profile = appArmorProfileOf(value);
      const isSame = profile !== undefined && isSet(ofPod) && semanticEqual(profile, ofPod);
      if (isSame) continue;
      context.addWarning?.(
        `metadata.annotations[${key}]: deprecated since v1.30; use the "appArmorProfile" field instead`,
      );
      if (profile !== undefined)
        container['securityContext'] = {
          ...(container['securityContext'] as Json | undefined),
          appArmorProfile: profile,
        };
    }
}

/** Undefined: an annotation that says nothing a field could. */
function appArmorProfileOf(annotation: string): Json | undefined {
  if (annotation === 'unconfined') return { type: 'Unconfined' };
  if (annotation === 'runtime/default') return { type: 'RuntimeDefault' };
  if (!annotation.startsWith('localhost/')) return undefined;
  const profile = { type: 'Localhost', localhostProfile: annotation.slice('localhost/'.length) };
  return validateAppArmorProfile(profile, specPath).length === 0 ? profile : undefined;
}

function validatePod(pod: KubeObject): FieldError[] {
  const spec = specOf(pod);
  return [...validatePodSpec(spec, pod.metadata as Json, specPath), ...validateOnlyForPod(spec, specPath)];
}

export const podStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'Pod',
  revalidatesMetadata: true,
  resource: 'pods',
  defaults(pod) {
    defaultPod(pod);
    agreeAddresses(pod);
  },
  resetFields: ['status'],
  validateName: nameIsDnsSubdomain,
  prepareForCreate(pod, context) {
    startGeneration(pod);
    const spec = specOf(pod);
    pod['status'] = { phase: 'Pending', qosClass: qosClassOf(spec) };
    if (((spec['terminationGracePeriodSeconds'] as number | undefined) ?? 0) < 0)
      spec['terminationGracePeriodSeconds'] = 1;
    applyAppArmorAnnotations(pod, context);
    mergeMatchLabelKeys(pod);
    if (list(spec['schedulingGates']).length > 0)
      pod['status'].conditions = [
        {
          type: 'PodScheduled',
          status: 'False',
          lastProbeTime: null,
          lastTransitionTime: context.now,
          reason: 'SchedulingGated',
          message: 'Scheduling is blocked due to non-empty scheduling gates',
        },
      ];
  },
  validate(pod) {
    const spec = specOf(pod);
    const annotations = pod.metadata.annotations ?? {};
    const errors = [...validatePodAnnotations(annotations, spec, annotationsPath), ...validatePod(pod)];
    if (list(spec['ephemeralContainers']).length > 0)
      errors.push(fieldError.forbidden(specPath.child('ephemeralContainers'), 'cannot be set on create'));
    if (text(spec['nodeName']) !== '' && list(spec['schedulingGates']).length > 0)
      errors.push(
        fieldError.forbidden(
          specPath.child('nodeName'),
          'cannot be set until all schedulingGates have been cleared',
        ),
      );
    return [...errors, ...validateProfilesMatch(annotations, spec, specPath)];
  },
  warningsOnCreate: (pod) => [...podNameWarnings(pod.metadata.name ?? ''), ...podWarnings(pod, undefined)],
  prepareForUpdate(pod, old) {
    restore(pod, old, 'status');
    bumpGeneration(pod, old);
  },
  validateUpdate: (pod, old) => [
    ...podAnnotationUpdateErrors(pod, old),
    ...validatePod(pod),
    ...validatePodChange(pod, old),
  ],
  subresources: {
    status: podStatusHooks,
    ephemeralcontainers: ephemeralContainersHooks,
    resize: resizeHooks,
  },
  selectableFields: {
    'spec.nodeName': (pod) => text(specOf(pod)['nodeName']),
    'spec.restartPolicy': (pod) => text(specOf(pod)['restartPolicy']),
    'spec.schedulerName': (pod) => text(specOf(pod)['schedulerName']),
    'spec.serviceAccountName': (pod) => text(specOf(pod)['serviceAccountName']),
    'spec.hostNetwork': (pod) => String(specOf(pod)['hostNetwork'] === true),
    'status.phase': (pod) => text(pod['status']?.phase),
    'status.podIP': (pod) => text(list(pod['status']?.podIPs)[0]?.ip),
    // Known, but never filled: it matches only the empty value.
    'status.podIPs': () => '',
    'status.nominatedNodeName': (pod) => text(pod['status']?.nominatedNodeName),
  },
  gracePeriodSeconds(pod, requested) {
    const spec = specOf(pod);
    const phase = text(pod['status']?.phase);
    if (text(spec['nodeName']) === '' || phase === 'Failed' || phase === 'Succeeded') return 0;
    const period = requested ?? (spec['terminationGracePeriodSeconds'] as number | undefined) ?? 0;
    return period < 0 ? 1 : period;
  },
  columns: columnsOf['/pods'] ?? [],
  cells: podCells,
  rowConditions: podRowConditions,
};
