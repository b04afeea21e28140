import type { ControllerDescriptor } from './context.ts';
import { createPolicyStatusController } from './controllers/admission/policy-status-controller.ts';
import { createClusterRoleAggregationController } from './controllers/clusterrole/cluster-role-aggregation-controller.ts';
import { createCronJobController } from './controllers/cronjob/cronjob-controller.ts';
import { createCsrApprovingController } from './controllers/csr/csr-approving-controller.ts';
import { createCsrCleaner } from './controllers/csr/csr-cleaner.ts';
import { createCsrSigningController } from './controllers/csr/signing-controller.ts';
import { createDaemonSetController } from './controllers/daemonset/daemonset-controller.ts';
import { createDeploymentController } from './controllers/deployment/deployment-controller.ts';
import { createDisruptionController } from './controllers/disruption/disruption-controller.ts';
import { createEndpointSliceController } from './controllers/endpointslice/endpoint-slice-controller.ts';
import { createEndpointSliceMirroringController } from './controllers/endpointslice/endpoint-slice-mirroring-controller.ts';
import { createEndpointsController } from './controllers/endpointslice/endpoints-controller.ts';
import { createGarbageCollector } from './controllers/garbage-collector/garbage-collector.ts';
import { createHorizontalPodAutoscaler } from './controllers/hpa/horizontal-pod-autoscaler.ts';
import { createJobController } from './controllers/job/job-controller.ts';
import { createNamespaceController } from './controllers/namespace/namespace-controller.ts';
import { createServiceCidrController } from './controllers/networking/service-cidr-controller.ts';
import { createNodeIpamController } from './controllers/node/node-ipam-controller.ts';
import { createNodeLifecycleController } from './controllers/node/node-lifecycle-controller.ts';
import { createTaintEvictionController } from './controllers/node/taint-eviction-controller.ts';
import { createTtlController } from './controllers/node/ttl-controller.ts';
import { createPodGcController } from './controllers/podgc/pod-gc-controller.ts';
import {
  createReplicaSetController,
  createReplicationController,
} from './controllers/replicaset/replicaset-controller.ts';
import { createResourceClaimController } from './controllers/resourceclaim/resource-claim-controller.ts';
import { createResourceQuotaController } from './controllers/resourcequota/resource-quota-controller.ts';
import { createBootstrapSigner } from './controllers/serviceaccount/bootstrap-signer.ts';
import { createBootstrapTokenCleaner } from './controllers/serviceaccount/bootstrap-token-cleaner.ts';
import { createRootCaPublisher } from './controllers/serviceaccount/root-ca-publisher.ts';
import { createServiceAccountController } from './controllers/serviceaccount/service-account-controller.ts';
import { createLegacyTokenCleaner } from './controllers/serviceaccount/legacy-token-cleaner.ts';
import { createTokenController } from './controllers/serviceaccount/token-controller.ts';
import { createStatefulSetController } from './controllers/statefulset/statefulset-controller.ts';
import { createStorageVersionMigrator } from './controllers/storage-version-migrator/storage-version-migrator.ts';
import { createTtlAfterFinishedController } from './controllers/ttl-after-finished/ttl-after-finished-controller.ts';
import { createEphemeralVolumeController } from './controllers/volume/ephemeral-volume-controller.ts';
import { createLocalVolumeProvisioner } from './controllers/volume/local-volume-provisioner.ts';
import { createPersistentVolumeBinder } from './controllers/volume/persistent-volume-binder.ts';
import {
  createClaimProtectionController,
  createVolumeProtectionController,
} from './controllers/volume/protection-controllers.ts';

/** All controllers, by upstream's names. */
export const controllers: readonly ControllerDescriptor[] = [
  {
    name: 'serviceaccount-controller',
    serviceAccount: 'service-account-controller',
    eventSource: 'serviceaccount-controller',
    create: createServiceAccountController,
  },
  {
    name: 'root-ca-certificate-publisher-controller',
    serviceAccount: 'root-ca-cert-publisher',
    eventSource: 'root-ca-cert-publisher',
    create: createRootCaPublisher,
  },
  {
    name: 'namespace-controller',
    serviceAccount: 'namespace-controller',
    eventSource: 'namespace-controller',
    create: createNamespaceController,
  },
  {
    name: 'garbage-collector-controller',
    serviceAccount: 'generic-garbage-collector',
    eventSource: 'garbage-collector-controller',
    create: createGarbageCollector,
  },
  {
    name: 'deployment-controller',
    serviceAccount: 'deployment-controller',
    eventSource: 'deployment-controller',
    create: createDeploymentController,
  },
  {
    name: 'replicaset-controller',
    serviceAccount: 'replicaset-controller',
    eventSource: 'replicaset-controller',
    create: createReplicaSetController,
  },
  {
    name: 'replicationcontroller-controller',
    serviceAccount: 'replication-controller',
    eventSource: 'replication-controller',
    create: createReplicationController,
  },
  {
    name: 'pod-garbage-collector-controller',
    serviceAccount: 'pod-garbage-collector',
    eventSource: 'pod-garbage-collector',
    create: createPodGcController,
  },
  {
    name: 'endpointslice-controller',
    serviceAccount: 'endpointslice-controller',
    eventSource: 'endpoint-slice-controller',
    create: createEndpointSliceController,
  },
  {
    name: 'endpoints-controller',
    serviceAccount: 'endpoint-controller',
    eventSource: 'endpoint-controller',
    create: createEndpointsController,
  },
  {
    name: 'endpointslice-mirroring-controller',
    serviceAccount: 'endpointslicemirroring-controller',
    eventSource: 'endpoint-slice-mirroring-controller',
    create: createEndpointSliceMirroringController,
  },
  {
    name: 'node-lifecycle-controller',
    serviceAccount: 'node-controller',
    eventSource: 'node-controller',
    create: createNodeLifecycleController,
  },
  {
    name: 'taint-eviction-controller',
    serviceAccount: 'node-controller',
    eventSource: 'taint-eviction-controller',
    create: createTaintEvictionController,
  },
  {
    name: 'daemonset-controller',
    serviceAccount: 'daemon-set-controller',
    eventSource: 'daemonset-controller',
    create: createDaemonSetController,
  },
  {
    name: 'statefulset-controller',
    serviceAccount: 'statefulset-controller',
    eventSource: 'statefulset-controller',
    create: createStatefulSetController,
  },
  {
    name: 'job-controller',
    serviceAccount: 'job-controller',
    eventSource: 'job-controller',
    create: createJobController,
  },
  {
    name: 'ttl-after-finished-controller',
    serviceAccount: 'ttl-after-finished-controller',
    eventSource: 'ttl-after-finished-controller',
    create: createTtlAfterFinishedController,
  },
  {
    name: 'cronjob-controller',
    serviceAccount: 'cronjob-controller',
    eventSource: 'cronjob-controller',
    create: createCronJobController,
  },
  {
    name: 'resourcequota-controller',
    serviceAccount: 'resourcequota-controller',
    eventSource: 'resourcequota-controller',
    create: createResourceQuotaController,
  },
  {
    name: 'disruption-controller',
    serviceAccount: 'disruption-controller',
    eventSource: 'controllermanager',
    create: createDisruptionController,
  },
  {
    name: 'clusterrole-aggregation-controller',
    serviceAccount: 'clusterrole-aggregation-controller',
    eventSource: 'clusterrole-aggregation-controller',
    create: createClusterRoleAggregationController,
  },
  {
    name: 'certificatesigningrequest-signing-controller',
    serviceAccount: 'certificate-controller',
    eventSource: 'certificatesigningrequest-signing-controller',
    create: createCsrSigningController,
  },
  {
    name: 'legacy-serviceaccount-token-cleaner-controller',
    serviceAccount: 'legacy-service-account-token-cleaner',
    eventSource: 'legacy-service-account-token-cleaner',
    create: createLegacyTokenCleaner,
  },
  {
    name: 'serviceaccount-token-controller',
    eventSource: 'serviceaccount-token-controller',
    create: createTokenController,
  },
  {
    name: 'persistentvolume-binder-controller',
    serviceAccount: 'persistent-volume-binder',
    eventSource: 'persistentvolume-controller',
    create: createPersistentVolumeBinder,
  },
  {
    name: 'persistentvolumeclaim-protection-controller',
    serviceAccount: 'pvc-protection-controller',
    eventSource: 'persistentvolumeclaim-protection-controller',
    create: createClaimProtectionController,
  },
  {
    name: 'persistentvolume-protection-controller',
    serviceAccount: 'pv-protection-controller',
    eventSource: 'persistentvolume-protection-controller',
    create: createVolumeProtectionController,
  },
  {
    name: 'ephemeral-volume-controller',
    serviceAccount: 'ephemeral-volume-controller',
    eventSource: 'ephemeral_volume',
    create: createEphemeralVolumeController,
  },
  {
    name: 'local-volume-provisioner-controller',
    // Its rights and the class come from whoever turns it on (`pilothouse up --local-storage`).
    serviceAccount: 'local-volume-provisioner',
    eventSource: 'local-volume-provisioner',
    offByDefault: true,
    create: createLocalVolumeProvisioner,
  },
  {
    name: 'horizontal-pod-autoscaler-controller',
    serviceAccount: 'horizontal-pod-autoscaler',
    eventSource: 'horizontal-pod-autoscaler',
    create: createHorizontalPodAutoscaler,
  },
  {
    name: 'resourceclaim-controller',
    serviceAccount: 'resource-claim-controller',
    eventSource: 'resource_claim',
    create: createResourceClaimController,
  },
  {
    name: 'certificatesigningrequest-approving-controller',
    serviceAccount: 'certificate-controller',
    eventSource: 'certificatesigningrequest-approving-controller',
    create: createCsrApprovingController,
  },
  {
    name: 'certificatesigningrequest-cleaner-controller',
    serviceAccount: 'certificate-controller',
    eventSource: 'certificatesigningrequest-cleaner-controller',
    create: createCsrCleaner,
  },
  {
    name: 'ttl-controller',
    serviceAccount: 'ttl-controller',
    eventSource: 'ttl-controller',
    create: createTtlController,
  },
  {
    name: 'validatingadmissionpolicy-status-controller',
    serviceAccount: 'validatingadmissionpolicy-status-controller',
    eventSource: 'validatingadmissionpolicy-status-controller',
    create: createPolicyStatusController,
  },
  {
    name: 'bootstrap-signer-controller',
    serviceAccount: 'bootstrap-signer',
    eventSource: 'bootstrap-signer-controller',
    offByDefault: true,
    create: createBootstrapSigner,
  },
  {
    name: 'token-cleaner-controller',
    serviceAccount: 'token-cleaner',
    eventSource: 'token-cleaner-controller',
    offByDefault: true,
    create: createBootstrapTokenCleaner,
  },
  {
    name: 'node-ipam-controller',
    serviceAccount: 'node-controller',
    eventSource: 'cidrAllocator',
    create: createNodeIpamController,
  },
  {
    name: 'service-cidr-controller',
    serviceAccount: 'service-cidrs-controller',
    eventSource: 'service-cidrs-controller',
    create: createServiceCidrController,
  },
  {
    name: 'storage-version-migrator-controller',
    serviceAccount: 'storage-version-migrator-controller',
    eventSource: 'storage-version-migrator-controller',
    gate: 'StorageVersionMigrator',
    create: createStorageVersionMigrator,
  },
];
