import type { KubeObject } from '@pilothouse/apimachinery';
import { cidrContains, hasReason, parseCidr, parseIp } from '@pilothouse/apimachinery';
import { Controller, secondTime } from '@pilothouse/client';
import type { Condition } from '../../common/conditions.ts';
import { findCondition, setCondition } from '../../common/conditions.ts';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

const finalizer = 'networking.k8s.io/service-cidr-finalizer';
/** An address may be handed out of a range just before all API servers know that the range ends. */
const graceMs = 10_000;

const rangesOf = (serviceCidr: KubeObject): string[] => (serviceCidr['spec']?.cidrs ?? []) as string[];

function contains(range: string, address: string): boolean {
  const cidr = parseCidr(range);
  const ip = parseIp(address);
  return cidr !== undefined && ip !== undefined && cidrContains(cidr, ip);
}

/** Whether an address is in use that only this range has. */
export function isNeeded(
  serviceCidr: KubeObject,
  others: readonly KubeObject[],
  addresses: readonly string[],
): boolean {
  const elsewhere = others.filter((each) => each.metadata.deletionTimestamp === undefined).flatMap(rangesOf);
  return addresses.some(
    (address) =>
      rangesOf(serviceCidr).some((range) => contains(range, address)) &&
      !elsewhere.some((range) => contains(range, address)),
  );
}

/** Marks ranges of service addresses as ready, and keeps those that are being deleted while their addresses are in use. */
export const createServiceCidrController: ControllerFactory = (context) => {
  const { client, clock, recorder } = context;
  const cidrs = context.informers.informer(resources.serviceCidrs);
  const addresses = context.informers.informer(resources.ipAddresses);
  const setReady = (
    cidr: KubeObject,
    status: 'True' | 'False',
    reason: string,
    message: string,
  ): Promise<unknown> =>
    client.update(
      resources.serviceCidrs,
      {
        ...cidr,
        status: {
          ...cidr['status'],
          conditions: setCondition(cidr['status']?.conditions as Condition[] | undefined, {
            type: 'Ready',
            status,
            lastTransitionTime: secondTime(clock.now()),
            reason,
            message,
          }),
        },
      },
      { subresource: 'status' },
    );
  const loop = new Controller(loopOptions(context), async (name) => {
    const cidr = cidrs.lister.get(name);
    if (!cidr) return undefined;
    const finalizers = cidr.metadata.finalizers ?? [];
    const guarded = finalizers.includes(finalizer);
    const ready = findCondition(cidr['status']?.conditions as Condition[] | undefined, 'Ready');
    if (cidr.metadata.deletionTimestamp === undefined) {
      if (!guarded)
        await client.update(resources.serviceCidrs, {
          ...cidr,
          metadata: { ...cidr.metadata, finalizers: [...finalizers, finalizer] },
        });
      else if (ready === undefined) await setReady(cidr, 'True', '', 'Kubernetes Service CIDR is ready');
      return undefined;
    }
    if (!guarded) return undefined;
    const used = addresses.lister.list().map((each) => each.metadata.name ?? '');
    const others = cidrs.lister.list().filter((each) => each.metadata.name !== name);
    if (isNeeded(cidr, others, used)) {
      const message =
        'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR';
      if (ready?.status !== 'False') {
        await setReady(cidr, 'False', 'Terminating', message);
        recorder.event(cidr, 'Warning', 'KubernetesServiceCIDRNotReady', message);
      }
      return { requeueAfterMs: graceMs };
    }
    const leftMs = Date.parse(cidr.metadata.deletionTimestamp) + graceMs - clock.now();
    if (leftMs > 0) return { requeueAfterMs: leftMs };
    const { finalizers: _old, ...metadata } = cidr.metadata;
    const left = finalizers.filter((each) => each !== finalizer);
    await client
      .update(resources.serviceCidrs, {
        ...cidr,
        metadata: { ...metadata, ...(left.length === 0 ? {} : { finalizers: left }) },
      })
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound')) throw error;
      });
    return undefined;
  });
  const enqueue = (cidr: KubeObject): void => loop.queue.add(cidr.metadata.name ?? '');
  cidrs.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  addresses.addHandler({
    onDelete: () => {
      for (const cidr of cidrs.lister.list())
        if (cidr.metadata.deletionTimestamp !== undefined) enqueue(cidr);
    },
  });
  return loop;
};
