import type { KubeObject } from '@pilothouse/apimachinery';
import type { ResourceRef, RestClient } from '@pilothouse/client';
import { discoverResources } from './discovery.ts';
import { resources } from './resources.ts';

const builtIn: Readonly<Record<string, ResourceRef>> = {
  'apps/v1/Deployment': resources.deployments,
  'apps/v1/ReplicaSet': resources.replicaSets,
  'apps/v1/StatefulSet': resources.statefulSets,
  'v1/ReplicationController': resources.replicationControllers,
};

export interface ScaleTarget {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** The resource of a kind, looked up in discovery when it is not built in; undefined: the server has no such kind. */
export async function resourceOfKind(
  client: RestClient,
  apiVersion: string,
  kind: string,
): Promise<ResourceRef | undefined> {
  const known = builtIn[`${apiVersion}/${kind}`];
  if (known) return known;
  const { resources: found } = await discoverResources(client);
  const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] as string) : '';
  return found.find((each) => each.kind === kind && each.ref.group === group)?.ref;
}

/** The scale subresource of any workload. */
export async function getScale(
  client: RestClient,
  target: ScaleTarget,
): Promise<{ ref: ResourceRef; scale: KubeObject }> {
  const ref = await resourceOfKind(client, target.apiVersion, target.kind);
  if (!ref) throw new Error(`no matches for kind "${target.kind}" in group "${groupOf(target.apiVersion)}"`);
  const scale = await client.get(ref, target.name, { namespace: target.namespace, subresource: 'scale' });
  return { ref, scale };
}

const groupOf = (apiVersion: string): string =>
  apiVersion.includes('/') ? (apiVersion.split('/')[0] as string) : '';
