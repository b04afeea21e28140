import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { clone } from '../../validation/values.ts';
import { keepGeneration, restore, statusPath } from '../../common.ts';
import type { StrategyContext, UpdateHooks } from '../../strategy.ts';
import { isIpv6, validateIpLegacy } from '../../validation/network.ts';
import { isQualifiedName, nameIsDnsSubdomain } from '../../validation/names.ts';
import type { Json } from '../../validation/values.ts';
import { isSet, list, problems, text } from '../../validation/values.ts';
import { podAnnotationUpdateErrors } from './annotations.ts';
import { validateContainerDetails, validateContainerStatuses } from './container-status.ts';

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

const notNegative = 'must be a non-negative integer';

function validate(pod: KubeObject, old: KubeObject, context: StrategyContext): FieldError[] {
  const status = (pod['status'] ?? {}) as Json;
  const errors: FieldError[] = [];
  list(status['conditions']).forEach((condition: Json, index) => {
    const at = statusPath.child('conditions').index(index);
    const type = text(condition['type']);
    const generation = Number(condition['observedGeneration'] ?? 0);
    if (generation < 0)
      errors.push(fieldError.invalid(at.child('observedGeneration'), generation, notNegative));
    if (!['PodScheduled', 'Initialized', 'Ready'].includes(type))
      errors.push(...problems(at.child('Type'), type, isQualifiedName(type)));
  });
  const nominated = text(status['nominatedNodeName']);
  if (nominated !== '' && nominated !== text(old['status']?.nominatedNodeName)) {
    const path = statusPath.child('nominatedNodeName');
    errors.push(...problems(path, nominated, nameIsDnsSubdomain(nominated, false)));
    if (text(old['spec']?.nodeName) !== '' && context.featureEnabled('ClearingNominatedNodeNameAfterBinding'))
      errors.push(fieldError.forbidden(path, 'may not be set on pods that are already bound to a node'));
  }
  const generation = Number(status['observedGeneration'] ?? 0);
  if (generation < 0)
    errors.push(fieldError.invalid(statusPath.child('observedGeneration'), generation, notNegative));
  if (isSet(old['status']?.qosClass) && status['qosClass'] !== old['status'].qosClass)
    errors.push(
      fieldError.invalid(statusPath.child('qosClass'), text(status['qosClass']), 'field is immutable'),
    );
  errors.push(...validateContainerStatuses(pod, old, context));
  errors.push(...validateIps(status['podIPs'], 'podIPs'));
  const hostIp = text((list(status['hostIPs'])[0] as Json | undefined)?.['ip']);
  if (list(status['hostIPs']).length > 0 && hostIp !== text(status['hostIP']))
    errors.push(
      fieldError.invalid(
        statusPath.child('hostIPs').index(0).child('ip'),
        hostIp,
        'must be equal to `hostIP`',
      ),
    );
  errors.push(...validateIps(status['hostIPs'], 'hostIPs'));
  errors.push(...validateContainerDetails(pod));
  return errors;
}

/** podIP and podIPs[0] are one thing, told twice; of the host's addresses upstream wants that from the writer. */
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
}

/** Writers that know nothing of generations leave the observed ones as they are: the status' own, and those of conditions by type. */
function keepObservedGenerations(status: Json, old: Json): void {
  const keep = (member: Json, before: unknown): void => {
    if (Number(member['observedGeneration'] ?? 0) === 0 && Number(before ?? 0) !== 0)
      member['observedGeneration'] = before;
  };
  keep(status, old['observedGeneration']);
  const rest = [...(list(old['conditions']) as Json[])];
  for (const condition of list(status['conditions']) as Json[]) {
    const at = rest.findIndex((each) => each['type'] === condition['type']);
    if (at >= 0) keep(condition, rest.splice(at, 1)[0]?.['observedGeneration']);
  }
}

export const podStatusHooks: UpdateHooks = {
  resetFields: ['spec', 'metadata.deletionTimestamp', 'metadata.ownerReferences'],
  prepareForUpdate(pod, old, context) {
    restore(pod, old, 'spec');
    // Old kubelets wrote owners wrongly.
    if (old.metadata.ownerReferences === undefined) delete pod.metadata.ownerReferences;
    else pod.metadata.ownerReferences = clone(old.metadata.ownerReferences);
    delete pod.metadata.deletionTimestamp;
    keepGeneration(pod, old);
    const status = (pod['status'] ?? {}) as Json;
    pod['status'] = status;
    if (text(status['qosClass']) === '' && isSet(old['status']?.qosClass))
      status['qosClass'] = old['status'].qosClass as unknown;
    if (
      !context.featureEnabled('DRANodeAllocatableResources') &&
      !isSet(old['status']?.nodeAllocatableResourceClaimStatuses)
    )
      delete status['nodeAllocatableResourceClaimStatuses'];
    keepObservedGenerations(status, (old['status'] ?? {}) as Json);
  },
  validateUpdate: (pod, old, context) => [
    ...podAnnotationUpdateErrors(pod, old),
    ...validate(pod, old, context),
  ],
};
