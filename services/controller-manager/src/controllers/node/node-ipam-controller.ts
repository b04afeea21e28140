import type { KubeObject } from '@pilothouse/apimachinery';
import { Controller } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { NodeNetworks } from './node-networks.ts';

/** Gives each node a part of --cluster-cidr as pod network (--allocate-node-cidrs; IPv4). */
export const createNodeIpamController: ControllerFactory = (context) => {
  const { client, recorder, settings } = context;
  const nodes = context.informers.informer(resources.nodes);
  const networks = settings.allocateNodeCidrs
    ? new NodeNetworks(settings.clusterCidr, settings.nodeCidrMaskSize)
    : undefined;
  // One worker: two nodes must not be given the same network.
  const loop = new Controller({ ...loopOptions(context), workers: 1 }, async (name) => {
    const node = nodes.lister.get(name);
    if (!node || !networks || (node['spec']?.podCIDR ?? '') !== '') return;
    const network = networks.allocate(name);
    if (network === undefined) {
      recorder.event(node, 'Normal', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`);
      throw new Error(`failed to allocate cidr for node "${name}": no free network is left`);
    }
    await client.patch(
      resources.nodes,
      name,
      { spec: { podCIDR: network, podCIDRs: [network] } },
      { type: 'strategic' },
    );
  });
  const seen = (node: KubeObject): void => {
    const network = (node['spec']?.podCIDR ?? '') as string;
    if (network !== '') networks?.occupy(network, node.metadata.name ?? '');
    else loop.queue.add(node.metadata.name ?? '');
  };
  nodes.addHandler({
    onAdd: seen,
    onUpdate: seen,
    onDelete: (node) => networks?.release((node['spec']?.podCIDR ?? '') as string, node.metadata.name ?? ''),
  });
  return loop;
};
