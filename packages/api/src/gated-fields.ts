import type { KubeObject } from '@pilothouse/apimachinery';
import type { ResourceStrategy, StrategyContext } from './strategy.ts';
import type { Json } from './validation/values.ts';
import { isSet, list } from './validation/values.ts';

/**
 * Takes away the members of features that are off, unless the stored object has them already: then they may stay and change.
 * `holders` gives the objects inside an object that may have the member.
 */
function dropMember(
  object: KubeObject,
  old: KubeObject | undefined,
  holders: (object: KubeObject) => readonly (Json | null | undefined)[],
  member: string,
): void {
  const found = holders(object).filter((holder): holder is Json => isSet(holder) && member in holder);
  if (found.length === 0) return;
  if (old !== undefined && holders(old).some((holder) => isSet(holder?.[member]))) return;
  for (const holder of found) delete holder[member];
}

interface GatedField {
  readonly gate: string;
  readonly member: string;
  readonly holders: (object: KubeObject) => readonly (Json | null | undefined)[];
}

type PodSpecOf = (object: KubeObject) => Json | null | undefined;

/** The pod that a kind is, or makes. */
const podSpecs: Readonly<Record<string, PodSpecOf>> = {
  Pod: (object) => object['spec'] as Json,
  PodTemplate: (object) => object['template']?.spec as Json,
  ReplicationController: (object) => object['spec']?.template?.spec as Json,
  ReplicaSet: (object) => object['spec']?.template?.spec as Json,
  Deployment: (object) => object['spec']?.template?.spec as Json,
  DaemonSet: (object) => object['spec']?.template?.spec as Json,
  StatefulSet: (object) => object['spec']?.template?.spec as Json,
  Job: (object) => object['spec']?.template?.spec as Json,
  CronJob: (object) => object['spec']?.jobTemplate?.spec?.template?.spec as Json,
};

const lifecycles = (spec: Json | null | undefined): (Json | null | undefined)[] =>
  (['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((name) =>
    (list(spec?.[name]) as Json[]).map((container) => container['lifecycle'] as Json | null | undefined),
  );

const projections = (spec: Json | null | undefined): Json[] =>
  (list(spec?.['volumes']) as Json[]).flatMap(
    (volume) => list((volume['projected'] as Json | null | undefined)?.['sources']) as Json[],
  );

const podFields = (specOf: PodSpecOf): GatedField[] => [
  { gate: 'GenericWorkload', member: 'schedulingGroup', holders: (object) => [specOf(object)] },
  { gate: 'ContainerStopSignals', member: 'stopSignal', holders: (object) => lifecycles(specOf(object)) },
  {
    gate: 'PodCertificateRequest',
    member: 'podCertificate',
    holders: (object) => projections(specOf(object)),
  },
  {
    gate: 'ClusterTrustBundleProjection',
    member: 'clusterTrustBundle',
    holders: (object) => projections(specOf(object)),
  },
];

const devices = (object: KubeObject): Json[] => list(object['spec']?.devices) as Json[];
const attributes = (object: KubeObject): Json[] =>
  devices(object).flatMap((device) => Object.values((device['attributes'] ?? {}) as Record<string, Json>));

const others: Readonly<Record<string, readonly GatedField[]>> = {
  StatefulSet: [
    {
      gate: 'MaxUnavailableStatefulSet',
      member: 'maxUnavailable',
      holders: (object) => [object['spec']?.updateStrategy?.rollingUpdate as Json],
    },
  ],
  ResourceSlice: [
    ...['bools', 'ints', 'strings', 'versions'].map((member) => ({
      gate: 'DRAListTypeAttributes',
      member,
      holders: attributes,
    })),
    { gate: 'DRANodeAllocatableResources', member: 'nodeAllocatableResourceMappings', holders: devices },
  ],
};

/** The strategy, which before its own work drops what belongs to features that are off. */
export function withoutGatedFields(strategy: ResourceStrategy): ResourceStrategy {
  const specOf = podSpecs[strategy.kind];
  const fields = [...(specOf === undefined ? [] : podFields(specOf)), ...(others[strategy.kind] ?? [])];
  if (fields.length === 0) return strategy;
  const drop = (object: KubeObject, old: KubeObject | undefined, context: StrategyContext): void => {
    for (const { gate, member, holders } of fields)
      if (!context.featureEnabled(gate)) dropMember(object, old, holders, member);
  };
  return {
    ...strategy,
    prepareForCreate(object, context) {
      drop(object, undefined, context);
      strategy.prepareForCreate?.(object, context);
    },
    prepareForUpdate(object, old, context) {
      drop(object, old, context);
      strategy.prepareForUpdate?.(object, old, context);
    },
  };
}
