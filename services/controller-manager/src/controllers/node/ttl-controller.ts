import { Controller } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';

const annotation = 'node.alpha.kubernetes.io/ttl';

/** Seconds for which kubelets may cache secrets and config maps, by the size of the cluster. */
const steps: readonly { upTo: number; seconds: number }[] = [
  { upTo: 100, seconds: 0 },
  { upTo: 500, seconds: 15 },
  { upTo: 1000, seconds: 30 },
  { upTo: 2000, seconds: 60 },
  { upTo: 10_000, seconds: 300 },
];

export function ttlSeconds(nodes: number): number {
  return steps.find(({ upTo }) => nodes <= upTo)?.seconds ?? 300;
}

/** Tells nodes how long they may cache what pods refer to. */
export const createTtlController: ControllerFactory = (context) => {
  const nodes = context.informers.informer(resources.nodes);
  const loop = new Controller(loopOptions(context), async (name) => {
    const node = nodes.lister.get(name);
    const wanted = String(ttlSeconds(nodes.lister.size));
    if (!node || node.metadata.annotations?.[annotation] === wanted) return;
    await context.client.patch(
      resources.nodes,
      name,
      { metadata: { annotations: { [annotation]: wanted } } },
      { type: 'strategic' },
    );
  });
  let told = -1;
  const changed = (name: string | undefined): void => {
    const seconds = ttlSeconds(nodes.lister.size);
    if (seconds !== told) for (const each of nodes.lister.list()) loop.queue.add(each.metadata.name ?? '');
    told = seconds;
    if (name !== undefined) loop.queue.add(name);
  };
  nodes.addHandler({
    onAdd: (node) => changed(node.metadata.name),
    onUpdate: (node) => changed(node.metadata.name),
    onDelete: () => changed(undefined),
  });
  return loop;
};
