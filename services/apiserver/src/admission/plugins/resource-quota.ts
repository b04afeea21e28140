import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason, StatusError, statusErrors } from '@pilothouse/apimachinery';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { LiveLookup } from '../live-lookup.ts';
import { forbid } from '../refusal.ts';
import type { QuotaRequest } from '@pilothouse/api/quota';
import { evaluateQuotas, uncoveredUse, usageDelta } from '@pilothouse/api/quota';
import { usageOf } from '@pilothouse/api/quota';

const attemptsMax = 4;
const rememberedMax = 10_000;
/** Kinds whose updates can take more; pods only through their resize subresource. */
const chargedOnUpdate = new Set(['services', 'persistentvolumeclaims']);

/**
 * Charges each new object to the quotas of its namespace, before it is stored. Writes of one namespace take turns in this process; a
 * conflict with another process reads the quotas again. What is charged and not stored is given back by the controller's recalculation.
 */
export function resourceQuota({ objects, clock, configs }: AdmissionDependencies): AdmissionPlugin {
  const limited = configs?.limitedResources ?? [];
  const lookup = new LiveLookup(objects, resources.resourceQuotas, clock);
  const turns = new Map<string, Promise<unknown>>();
  /** Own writes that the watch cache may not have seen yet, by uid. */
  const remembered = new Map<string, KubeObject>();

  const freshest = (quota: KubeObject): KubeObject => {
    const own = remembered.get(quota.metadata.uid ?? '');
    if (own === undefined) return quota;
    if (Number(own.metadata.resourceVersion) > Number(quota.metadata.resourceVersion)) return own;
    remembered.delete(quota.metadata.uid ?? '');
    return quota;
  };
  const remember = (quota: KubeObject): void => {
    if (remembered.size >= rememberedMax) remembered.clear();
    remembered.set(quota.metadata.uid ?? '', quota);
  };

  const charge = async (attributes: AdmissionAttributes, request: QuotaRequest): Promise<void> => {
    let quotas = (await lookup.list(attributes.namespace)).map(freshest);
    for (let attempt = 1; ; attempt++) {
      const outcome = evaluateQuotas(inOrder(quotas), request);
      if (outcome.kind === 'refused') throw forbid(attributes, outcome.reason);
      const uncovered = uncoveredUse(limited, quotas, request);
      if (uncovered !== undefined) {
        throw uncovered.kind === 'scopes'
          ? new StatusError(500, '', uncovered.reason)
          : forbid(attributes, uncovered.reason);
      }
      if (attributes.dryRun) return;
      let lostRace = false;
      for (const quota of outcome.quotas) {
        try {
          remember(await objects.update(resources.resourceQuotas, attributes.namespace, quota, 'status'));
        } catch (error) {
          if (hasReason(error, 'NotFound')) continue;
          if (!hasReason(error, 'Conflict')) throw error;
          lostRace = true;
          break;
        }
      }
      if (!lostRace) return;
      if (attempt === attemptsMax) {
        throw statusErrors.conflict(
          resources.resourceQuotas,
          outcome.quotas.map((quota) => quota.metadata.name).join(','),
          'the quota was changed by others too often; please try again',
        );
      }
      quotas = (await objects.list(resources.resourceQuotas, attributes.namespace)).map(freshest);
    }
  };

  return {
    name: 'ResourceQuota',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      const request = requestOf(attributes, clock.now());
      if (request === undefined) return;
      const { namespace } = attributes;
      if (limited.length === 0 && (await lookup.list(namespace)).length === 0) return;
      const before = turns.get(namespace) ?? Promise.resolve();
      const own = before.then(
        () => charge(attributes, request),
        () => charge(attributes, request),
      );
      turns.set(namespace, own);
      try {
        await own;
      } finally {
        if (turns.get(namespace) === own) turns.delete(namespace);
      }
    },
  };
}

/** Undefined when the write takes nothing from any quota. */
function requestOf(attributes: AdmissionAttributes, nowMs: number): QuotaRequest | undefined {
  const { object, oldObject, resource, subresource, operation } = attributes;
  if (attributes.namespace === '' || object === undefined) return undefined;
  const isResize = resource.group === '' && resource.resource === 'pods' && subresource === 'resize';
  if (subresource !== '' && !isResize) return undefined;
  const isCreate = operation === 'CREATE';
  if (!isCreate && !isResize && !(resource.group === '' && chargedOnUpdate.has(resource.resource)))
    return undefined;
  const previous = isCreate || oldObject === undefined ? undefined : usageOf(resource, oldObject, nowMs);
  const delta = usageDelta(usageOf(resource, object, nowMs), previous);
  if (delta.size === 0) return undefined;
  return { resource, object, isCreate, delta };
}

/** A fixed order, so that a write that breaks several quotas always gets the same answer. */
function inOrder(quotas: readonly KubeObject[]): KubeObject[] {
  return [...quotas].sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? 1 : -1));
}
