/** Messages whose Go struct has its fields in another order than their protobuf numbers: the message, then its JSON names in that order. */
const table = `
k8s.io.api.admissionregistration.v1.WebhookClientConfig url service caBundle
k8s.io.api.admissionregistration.v1beta1.ValidatingWebhook name clientConfig rules failurePolicy matchPolicy namespaceSelector objectSelector sideEffects timeoutSeconds admissionReviewVersions matchConditions
k8s.io.api.admissionregistration.v1beta1.MutatingWebhook name clientConfig rules failurePolicy matchPolicy namespaceSelector objectSelector sideEffects timeoutSeconds admissionReviewVersions reinvocationPolicy matchConditions
k8s.io.api.admissionregistration.v1beta1.WebhookClientConfig url service caBundle
k8s.io.api.apps.v1.DeploymentStatus observedGeneration replicas updatedReplicas readyReplicas availableReplicas unavailableReplicas terminatingReplicas conditions collisionCount
k8s.io.api.apps.v1.DeploymentCondition type status lastUpdateTime lastTransitionTime reason message
k8s.io.api.apps.v1.ReplicaSetSpec replicas minReadySeconds selector template
k8s.io.api.apps.v1.ReplicaSetStatus replicas fullyLabeledReplicas readyReplicas availableReplicas terminatingReplicas observedGeneration conditions
k8s.io.api.authentication.v1.TokenReviewStatus authenticated user audiences error
k8s.io.api.authentication.v1beta1.TokenReviewStatus authenticated user audiences error
k8s.io.api.authorization.v1.SubjectAccessReviewStatus allowed denied reason evaluationError
k8s.io.api.authorization.v1beta1.SubjectAccessReviewStatus allowed denied reason evaluationError
k8s.io.api.autoscaling.v1.MetricSpec type object pods resource containerResource external
k8s.io.api.autoscaling.v1.MetricStatus type object pods resource containerResource external
k8s.io.api.autoscaling.v2.MetricSpec type object pods resource containerResource external
k8s.io.api.autoscaling.v2.HPAScalingRules stabilizationWindowSeconds selectPolicy policies tolerance
k8s.io.api.autoscaling.v2.MetricStatus type object pods resource containerResource external
k8s.io.api.batch.v1.JobStatus conditions startTime completionTime active succeeded failed terminating completedIndexes failedIndexes uncountedTerminatedPods ready
k8s.io.api.batch.v1.CronJobSpec schedule timeZone startingDeadlineSeconds concurrencyPolicy suspend jobTemplate successfulJobsHistoryLimit failedJobsHistoryLimit
k8s.io.api.certificates.v1.CertificateSigningRequestSpec request signerName expirationSeconds usages username uid groups extra
k8s.io.api.certificates.v1beta1.CertificateSigningRequestSpec request signerName expirationSeconds usages username uid groups extra
k8s.io.api.certificates.v1beta1.CertificateSigningRequestCondition type status reason message lastUpdateTime lastTransitionTime
k8s.io.api.certificates.v1beta1.PodCertificateRequestSpec signerName podName podUID serviceAccountName serviceAccountUID nodeName nodeUID maxExpirationSeconds pkixPublicKey proofOfPossession stubPKCS10Request unverifiedUserAnnotations
k8s.io.api.core.v1.VolumeSource hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs persistentVolumeClaim rbd flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap vsphereVolume quobyte azureDisk photonPersistentDisk projected portworxVolume scaleIO storageos csi ephemeral image
k8s.io.api.core.v1.PersistentVolumeClaimSpec accessModes selector resources volumeName storageClassName volumeMode dataSource dataSourceRef volumeAttributesClassName
k8s.io.api.core.v1.ISCSIVolumeSource targetPortal iqn lun iscsiInterface fsType readOnly portals chapAuthDiscovery chapAuthSession secretRef initiatorName
k8s.io.api.core.v1.ISCSIPersistentVolumeSource targetPortal iqn lun iscsiInterface fsType readOnly portals chapAuthDiscovery chapAuthSession secretRef initiatorName
k8s.io.api.core.v1.ClusterTrustBundleProjection name signerName labelSelector optional path
k8s.io.api.core.v1.PodCondition type observedGeneration status lastProbeTime lastTransitionTime reason message
k8s.io.api.core.v1.PodSecurityContext seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot supplementalGroups supplementalGroupsPolicy fsGroup sysctls fsGroupChangePolicy seccompProfile appArmorProfile seLinuxChangePolicy
k8s.io.api.core.v1.PodStatus observedGeneration phase conditions message reason nominatedNodeName hostIP hostIPs podIP podIPs startTime initContainerStatuses containerStatuses qosClass ephemeralContainerStatuses resize resourceClaimStatuses extendedResourceClaimStatus allocatedResources resources nodeAllocatableResourceClaimStatuses
k8s.io.api.core.v1.ReplicationControllerSpec replicas minReadySeconds selector template
k8s.io.api.core.v1.ReplicationControllerStatus replicas fullyLabeledReplicas readyReplicas availableReplicas observedGeneration conditions
k8s.io.api.core.v1.ServicePort name protocol appProtocol port targetPort nodePort
k8s.io.api.core.v1.EndpointAddress ip hostname nodeName targetRef
k8s.io.api.core.v1.NodeSpec podCIDR podCIDRs providerID unschedulable taints configSource externalID
k8s.io.api.core.v1.SecurityContext capabilities privileged seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem allowPrivilegeEscalation procMount seccompProfile appArmorProfile
k8s.io.api.networking.v1.IngressSpec ingressClassName defaultBackend tls rules
k8s.io.api.networking.v1.IngressBackend service resource
k8s.io.api.networking.v1beta1.IngressSpec ingressClassName backend tls rules
k8s.io.api.networking.v1beta1.HTTPIngressPath path pathType backend
k8s.io.api.resource.v1.AllocatedDeviceStatus driver pool device shareID conditions data networkData
k8s.io.api.resource.v1alpha3.ResourcePoolStatusRequestStatus poolCount pools conditions
k8s.io.api.resource.v1alpha3.PoolStatus driver poolName generation resourceSliceCount totalDevices allocatedDevices availableDevices unavailableDevices nodeName validationError
k8s.io.api.resource.v1beta1.AllocatedDeviceStatus driver pool device shareID conditions data networkData
k8s.io.api.resource.v1beta2.AllocatedDeviceStatus driver pool device shareID conditions data networkData
k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.WebhookClientConfig url service caBundle
k8s.io.apimachinery.pkg.apis.meta.v1.StatusDetails name group kind uid causes retryAfterSeconds
`;

/** JSON names in the order that Go writes them, by message; absent: the order of the schema. */
export const goFieldOrder: ReadonlyMap<string, readonly string[]> = new Map(
  table
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [message = '', ...names] = line.split(' ');
      return [message, names];
    }),
);
