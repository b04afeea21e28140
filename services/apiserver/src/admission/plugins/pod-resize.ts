import type { KubeObject, Quantity, StatusError } from '@pilothouse/apimachinery';
import { goQuote } from '@pilothouse/apimachinery';
import { amountsOf, podAmounts, podSpec } from '@pilothouse/api/quota';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { forbid, isResource } from '../refusal.ts';

/** A pod on a node is not resized to more than the node has at all, and on Linux only. */
export function podResizeValidator({ objects, isEnabled }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'PodResizeValidator',
    handles: (operation) => operation === 'UPDATE',
    async validate(attributes) {
      if (isEnabled?.('InPlacePodVerticalScaling') === false) return;
      const { object, oldObject } = attributes;
      if (!isResource(attributes, '', 'pods', 'resize') || object === undefined) return;
      const nodeName = podSpec(object).nodeName ?? '';
      if (nodeName === '' || object.metadata.generation === oldObject?.metadata.generation) return;
      const node = objects.cached(resources.nodes).get('', nodeName);
      if (node === undefined) throw forbid(attributes, `node ${goQuote(nodeName)} not found`);
      const os = node.metadata.labels?.['kubernetes.io/os'];
      if (os !== undefined && os !== 'linux') {
        const text = `pod resize is only supported on linux nodes, node ${goQuote(nodeName)} is ${goQuote(os)}`;
        throw refuse(attributes, text, 'UnsupportedPlatform');
      }
      const missing = shortages(object, node);
      if (missing.length > 0) {
        const text = `node didn't have enough allocatable resources: ${missing.join('; ')}`;
        throw refuse(attributes, text, 'NodeCapacity');
      }
    },
  };
}

/** CPU in milliunits, memory in bytes. */
function shortages(pod: KubeObject, node: KubeObject): string[] {
  const wanted = podAmounts(podSpec(pod), 'requests');
  const there = amountsOf(node['status']?.allocatable as Record<string, string> | undefined);
  const short = (name: string, shown: (amount: Quantity | undefined) => string): string[] => {
    const [request, limit] = [wanted.get(name), there.get(name)];
    if (request === undefined || (limit === undefined ? request.sign <= 0 : request.compare(limit) <= 0))
      return [];
    return [`${name}, requested: ${shown(request)}, allocatable: ${shown(limit)}`];
  };
  return [
    ...short('cpu', (amount) => String(amount?.milliValue ?? 0)),
    ...short('memory', (amount) => String(amount?.value ?? 0)),
  ];
}

function refuse(attributes: AdmissionAttributes, text: string, reason: string): StatusError {
  const error = forbid(attributes, text);
  error.status.details = {
    ...error.status.details,
    causes: [...(error.status.details?.causes ?? []), { reason }],
  };
  return error;
}
