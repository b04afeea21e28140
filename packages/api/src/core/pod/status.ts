import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { clone } from '../../validation/values.ts';
import { keepGeneration, restore, statusPath } from '../../common.ts';
import type { UpdateHooks } from '../../strategy.ts';
import { isIpv6, validateIpLegacy } from '../../validation/network.ts';
import { isQualifiedName, nameIsDnsSubdomain } from '../../validation/names.ts';
import type { Json } from '../../validation/values.ts';
import { isSet, list, problems, text } from '../../validation/values.ts';
import { podAnnotationUpdateErrors } from './annotations.ts';

function validateIps(ips: unknown, name: string): FieldError[] {
  const errors: FieldError[] = [];
  const all = (list(ips) as Json[]).map((each) => text(each['ip']));
  const path = statusPath.child(name);
  all.forEach((ip, index) => {
    errors.push(...validateIpLegacy(path.index(index), ip));
  });
  if (all.length > 1) {
    const families = new Set(all.map(isIpv6));
    if (families.size < 2 || all.length > 2)
      errors.push(
        fieldError.invalid(
          path,
          all.map((ip) => ({ IP: ip })),
          'may specify no more than one IP for each IP family',
        ),
      );
    const seen = new Set<string>();
    all.forEach((ip, index) => {
      if (seen.has(ip))
        errors.push(fieldError.duplicate(path.index(index), name === 'podIPs' ? { IP: ip } : ip));
      seen.add(ip);
    });
  }
  return errors;
}

/** A container that ended may not start again when the pod says it must not. */
function validateTransitions(pod: KubeObject, old: KubeObject): FieldError[] {
  const policy = text(old['spec']?.restartPolicy);
  if (policy === 'Always') return [];
  const errors: FieldError[] = [];
  const now = list(pod['status']?.containerStatuses) as Json[];
  for (const before of list(old['status']?.containerStatuses) as Json[]) {
    const terminated = before['state']?.terminated as Json | null | undefined;
    if (!isSet(terminated)) continue;
    if ((terminated['exitCode'] ?? 0) !== 0 && policy === 'OnFailure') continue;
    now.forEach((after, index) => {
      if (after['name'] === before['name'] && !isSet(after['state']?.terminated))
        errors.push(
          fieldError.forbidden(
            statusPath.child('containerStatuses').index(index).child('state'),
            'may not be transitioned to non-terminated state',
          ),
        );
    });
  }
  return errors;
}

function validate(pod: KubeObject, old: KubeObject): FieldError[] {
  const status = (pod['status'] ?? {}) as Json;
  const errors: FieldError[] = [];
  list(status['conditions']).forEach((condition: Json, index) => {
    const type = text(condition['type']);
    const builtIn = [
      'PodScheduled',
      'Initialized',
      'Ready',
      'ContainersReady',
      'DisruptionTarget',
      'PodReadyToStartContainers',
      'PodResizePending',
      'PodResizeInProgress',
    ];
    if (!builtIn.includes(type))
      errors.push(
        ...problems(statusPath.child('conditions').index(index).child('Type'), type, isQualifiedName(type)),
      );
  });
  const nominated = text(status['nominatedNodeName']);
  if (nominated !== '')
    errors.push(
      ...problems(statusPath.child('nominatedNodeName'), nominated, nameIsDnsSubdomain(nominated, false)),
    );
  if (isSet(old['status']?.qosClass) && status['qosClass'] !== old['status'].qosClass)
    errors.push(
      fieldError.invalid(statusPath.child('qosClass'), text(status['qosClass']), 'field is immutable'),
    );
  errors.push(...validateTransitions(pod, old));
  errors.push(...validateIps(status['podIPs'], 'podIPs'));
  errors.push(...validateIps(status['hostIPs'], 'hostIPs'));
  return errors;
}

/** podIP and podIPs[0] are one thing, told twice; the same for the host's. */
function agree(status: Json, single: string, plural: string): void {
  const one = text(status[single]);
  const many = list(status[plural]) as Json[];
  if (one !== '' && many.length === 0) status[plural] = [{ ip: one }];
  else if (one !== '' && text(many[0]?.['ip']) !== one) status[plural] = [{ ip: one }];
  else if (one === '' && many.length > 0) status[single] = text(many[0]?.['ip']);
}

/** Runs when a pod is read, so that who writes one of the two owns both. */
export function agreeAddresses(pod: KubeObject): void {
  const status = pod['status'] as Json | null | undefined;
  if (!isSet(status)) return;
  agree(status, 'podIP', 'podIPs');
  agree(status, 'hostIP', 'hostIPs');
}

export const podStatusHooks: UpdateHooks = {
  resetFields: ['spec', 'metadata.deletionTimestamp', 'metadata.ownerReferences'],
  prepareForUpdate(pod, old) {
    restore(pod, old, 'spec');
    // Old kubelets wrote owners wrongly.
    if (old.metadata.ownerReferences === undefined) delete pod.metadata.ownerReferences;
    else pod.metadata.ownerReferences = clone(old.metadata.ownerReferences);
    keepGeneration(pod, old);
    const status = (pod['status'] ?? {}) as Json;
    pod['status'] = status;
    if (text(status['qosClass']) === '' && isSet(old['status']?.qosClass))
      status['qosClass'] = old['status'].qosClass as unknown;
  },
  validateUpdate: (pod, old) => [...podAnnotationUpdateErrors(pod, old), ...validate(pod, old)],
};
