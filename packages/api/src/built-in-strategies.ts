import { clusterTrustBundleStrategy } from './certificates/cluster-trust-bundle.ts';
import { podCertificateRequestStrategy } from './certificates/pod-certificate-request.ts';
import { admissionRegistrationStrategies } from './admissionregistration/index.ts';
import { customResourceDefinitionStrategy } from './apiextensions/custom-resource-definition.ts';
import { apiServiceStrategy } from './apiregistration/api-service.ts';
import { horizontalPodAutoscalerStrategy } from './autoscaling/horizontal-pod-autoscaler.ts';
import { certificateSigningRequestStrategy } from './certificates/certificate-signing-request.ts';
import { leaseStrategy } from './coordination/lease.ts';
import { endpointSliceStrategy } from './discovery/endpoint-slice.ts';
import { flowSchemaStrategy } from './flowcontrol/flow-schema.ts';
import { priorityLevelStrategy } from './flowcontrol/priority-level.ts';
import { networkingStrategies } from './networking/index.ts';
import { runtimeClassStrategy } from './node/runtime-class.ts';
import { podDisruptionBudgetStrategy } from './policy/pod-disruption-budget.ts';
import { rbacStrategies } from './rbac/index.ts';
import { resourceStrategies } from './resource/index.ts';
import { priorityClassStrategy } from './scheduling/priority-class.ts';
import { storageStrategies } from './storage/index.ts';
import { appsStrategies } from './apps/index.ts';
import { batchStrategies } from './batch/index.ts';
import { coreStrategies } from './core/index.ts';
import { withoutGatedFields } from './gated-fields.ts';
import type { ResourceStrategy } from './strategy.ts';

const strategies: readonly ResourceStrategy[] = [
  ...appsStrategies,
  ...batchStrategies,
  ...rbacStrategies,
  apiServiceStrategy,
  customResourceDefinitionStrategy,
  ...coreStrategies,
  ...admissionRegistrationStrategies,
  horizontalPodAutoscalerStrategy,
  certificateSigningRequestStrategy,
  leaseStrategy,
  endpointSliceStrategy,
  flowSchemaStrategy,
  priorityLevelStrategy,
  ...networkingStrategies,
  runtimeClassStrategy,
  podDisruptionBudgetStrategy,
  ...resourceStrategies,
  priorityClassStrategy,
  ...storageStrategies,
  clusterTrustBundleStrategy,
  podCertificateRequestStrategy,
  { group: 'coordination.k8s.io', version: 'v1beta1', kind: 'LeaseCandidate', resource: 'leasecandidates' },
  {
    group: 'internal.apiserver.k8s.io',
    version: 'v1alpha1',
    kind: 'StorageVersion',
    resource: 'storageversions',
  },
  { group: 'resource.k8s.io', version: 'v1alpha3', kind: 'DeviceTaintRule', resource: 'devicetaintrules' },
  {
    group: 'resource.k8s.io',
    version: 'v1alpha3',
    kind: 'ResourcePoolStatusRequest',
    resource: 'resourcepoolstatusrequests',
  },
  { group: 'scheduling.k8s.io', version: 'v1alpha2', kind: 'PodGroup', resource: 'podgroups' },
  { group: 'scheduling.k8s.io', version: 'v1alpha2', kind: 'Workload', resource: 'workloads' },
  {
    group: 'storagemigration.k8s.io',
    version: 'v1beta1',
    kind: 'StorageVersionMigration',
    resource: 'storageversionmigrations',
  },
];

export const builtInStrategies: readonly ResourceStrategy[] = strategies.map(withoutGatedFields);
