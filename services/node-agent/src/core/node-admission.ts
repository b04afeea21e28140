import type { KubeObject } from '@pilothouse/apimachinery';
import { quantityMilliValue, quantityValue } from '@pilothouse/apimachinery';
import type { Rejection } from './pod-machine.ts';
import type { Container, PodSpec } from './pod-shape.ts';

interface HostPort {
  readonly key: string;
  readonly ip: string;
}

function hostPorts(spec: PodSpec): HostPort[] {
  const ports: HostPort[] = [];
  for (const container of [
    ...spec.containers,
    ...(spec.initContainers ?? []).filter((each) => each.restartPolicy === 'Always'),
  ]) {
    for (const port of container.ports ?? []) {
      if (port.hostPort)
        ports.push({
          key: `${port.protocol ?? 'TCP'}/${port.hostPort}`,
          ip: port.hostIP === undefined || port.hostIP === '' ? '0.0.0.0' : port.hostIP,
        });
    }
  }
  return ports;
}

function request(container: Container, resource: string): number {
  const text = container.resources?.requests?.[resource];
  if (text === undefined) return 0;
  return resource === 'cpu' ? quantityMilliValue(text) : quantityValue(text);
}

/** What a pod needs of a resource: the sum of its containers and sidecars, or its largest init container. */
function podRequest(spec: PodSpec, resource: string): number {
  const sidecars = (spec.initContainers ?? []).filter((each) => each.restartPolicy === 'Always');
  const init = (spec.initContainers ?? []).filter((each) => each.restartPolicy !== 'Always');
  const sum = [...spec.containers, ...sidecars].reduce((total, each) => total + request(each, resource), 0);
  return Math.max(sum, ...init.map((each) => request(each, resource)));
}

/** Whether this node can take a pod beside those it has, as kubelet decides for pods that were bound past the scheduler. */
export function admitPod(
  pod: KubeObject,
  others: readonly KubeObject[],
  allocatable: Readonly<Record<string, string>>,
): Rejection | undefined {
  const spec = pod['spec'] as PodSpec;
  const active = others.filter((other) => {
    const phase = (other['status'] as { phase?: string } | undefined)?.phase;
    return phase !== 'Succeeded' && phase !== 'Failed';
  });
  const wanted = hostPorts(spec);
  if (wanted.length > 0) {
    const taken = active.flatMap((other) => hostPorts(other['spec'] as PodSpec));
    const clash = wanted.some((port) =>
      taken.some(
        (other) =>
          other.key === port.key && (other.ip === port.ip || other.ip === '0.0.0.0' || port.ip === '0.0.0.0'),
      ),
    );
    if (clash)
      return {
        reason: 'NodePorts',
        message:
          "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
      };
  }
  for (const resource of ['cpu', 'memory', 'ephemeral-storage']) {
    const limit = allocatable[resource];
    const need = podRequest(spec, resource);
    if (limit === undefined || need === 0) continue;
    const capacity = resource === 'cpu' ? quantityMilliValue(limit) : quantityValue(limit);
    const used = active.reduce((total, other) => total + podRequest(other['spec'] as PodSpec, resource), 0);
    if (used + need > capacity) {
      return {
        reason: `OutOf${resource}`,
        message: `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${need}, used: ${used}, capacity: ${capacity}`,
      };
    }
  }
  if (active.length + 1 > Number(allocatable['pods'] ?? '110')) {
    return {
      reason: 'OutOfpods',
      message: `Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: ${active.length}, capacity: ${allocatable['pods']}`,
    };
  }
  return undefined;
}
