/**
 * Fields whose Go type has a name of its own that is no message (named texts, lists and maps), as upstream's decoding errors say it:
 * a package, then its messages, each with FIELD=TYPE; a type that begins with a dot is the package's own.
 */
const table = `
k8s.io.api.admission.v1
  AdmissionRequest uid=types.UID operation=.Operation
  AdmissionResponse uid=types.UID patchType=.PatchType
k8s.io.api.admission.v1beta1
  AdmissionRequest uid=types.UID operation=.Operation
  AdmissionResponse uid=types.UID patchType=.PatchType
k8s.io.api.admissionregistration.v1
  Rule scope=.ScopeType
  ValidatingAdmissionPolicySpec failurePolicy=.FailurePolicyType
  Validation reason=.StatusReason
  ValidatingAdmissionPolicyBindingSpec validationActions=[].ValidationAction
  ParamRef parameterNotFoundAction=.ParameterNotFoundActionType
  MatchResources matchPolicy=.MatchPolicyType
  ValidatingWebhook failurePolicy=.FailurePolicyType matchPolicy=.MatchPolicyType sideEffects=.SideEffectClass
  MutatingWebhook failurePolicy=.FailurePolicyType matchPolicy=.MatchPolicyType sideEffects=.SideEffectClass reinvocationPolicy=.ReinvocationPolicyType
  MutatingAdmissionPolicySpec failurePolicy=.FailurePolicyType reinvocationPolicy=.ReinvocationPolicyType
  Mutation patchType=.PatchType
  RuleWithOperations operations=[].OperationType
k8s.io.api.admissionregistration.v1alpha1
  ValidatingAdmissionPolicySpec failurePolicy=.FailurePolicyType matchConditions=[].MatchCondition
  Validation reason=v1.StatusReason
  ValidatingAdmissionPolicyBindingSpec validationActions=[].ValidationAction
  ParamRef parameterNotFoundAction=.ParameterNotFoundActionType
  MatchResources matchPolicy=.MatchPolicyType
  MutatingAdmissionPolicySpec failurePolicy=.FailurePolicyType matchConditions=[].MatchCondition
  Mutation patchType=.PatchType
k8s.io.api.admissionregistration.v1beta1
  ValidatingAdmissionPolicySpec failurePolicy=.FailurePolicyType
  Validation reason=v1.StatusReason
  ValidatingAdmissionPolicyBindingSpec validationActions=[].ValidationAction
  ParamRef parameterNotFoundAction=.ParameterNotFoundActionType
  MatchResources matchPolicy=.MatchPolicyType
  ValidatingWebhook failurePolicy=.FailurePolicyType matchPolicy=.MatchPolicyType sideEffects=.SideEffectClass
  MutatingWebhook failurePolicy=.FailurePolicyType matchPolicy=.MatchPolicyType sideEffects=.SideEffectClass
  MutatingAdmissionPolicySpec failurePolicy=.FailurePolicyType
  Mutation patchType=.PatchType
k8s.io.api.apidiscovery.v2
  APIVersionDiscovery freshness=.DiscoveryFreshness
  APIResourceDiscovery scope=.ResourceScope
k8s.io.api.apidiscovery.v2beta1
  APIVersionDiscovery freshness=.DiscoveryFreshness
  APIResourceDiscovery scope=.ResourceScope
k8s.io.api.apiserverinternal.v1alpha1
  StorageVersionCondition type=.StorageVersionConditionType status=.ConditionStatus
k8s.io.api.apps.v1
  StatefulSetUpdateStrategy type=.StatefulSetUpdateStrategyType
  StatefulSetPersistentVolumeClaimRetentionPolicy whenDeleted=.PersistentVolumeClaimRetentionPolicyType whenScaled=.PersistentVolumeClaimRetentionPolicyType
  StatefulSetSpec podManagementPolicy=.PodManagementPolicyType
  StatefulSetCondition type=.StatefulSetConditionType status=.ConditionStatus
  DeploymentStrategy type=.DeploymentStrategyType
  DeploymentCondition type=.DeploymentConditionType status=.ConditionStatus
  DaemonSetUpdateStrategy type=.DaemonSetUpdateStrategyType
  DaemonSetCondition type=.DaemonSetConditionType status=.ConditionStatus
  ReplicaSetCondition type=.ReplicaSetConditionType status=.ConditionStatus
k8s.io.api.authentication.v1
  UserInfo extra=map[string].ExtraValue
  BoundObjectReference uid=types.UID
k8s.io.api.authentication.v1beta1
  UserInfo extra=map[string].ExtraValue
k8s.io.api.authorization.v1
  SubjectAccessReviewSpec extra=map[string].ExtraValue
k8s.io.api.authorization.v1beta1
  SubjectAccessReviewSpec extra=map[string].ExtraValue
k8s.io.api.autoscaling.v1
  MetricSpec type=.MetricSourceType
  ResourceMetricSource name=.ResourceName
  ContainerResourceMetricSource name=.ResourceName
  MetricStatus type=.MetricSourceType
  HorizontalPodAutoscalerCondition type=.HorizontalPodAutoscalerConditionType status=.ConditionStatus
  ResourceMetricStatus name=.ResourceName
  ContainerResourceMetricStatus name=.ResourceName
k8s.io.api.autoscaling.v2
  MetricSpec type=.MetricSourceType
  HPAScalingRules selectPolicy=.ScalingPolicySelect
  HPAScalingPolicy type=.HPAScalingPolicyType
  ResourceMetricSource name=v1.ResourceName
  ContainerResourceMetricSource name=v1.ResourceName
  MetricTarget type=.MetricTargetType
  HorizontalPodAutoscalerCondition type=.HorizontalPodAutoscalerConditionType status=v1.ConditionStatus
  MetricStatus type=.MetricSourceType
  ResourceMetricStatus name=v1.ResourceName
  ContainerResourceMetricStatus name=v1.ResourceName
k8s.io.api.batch.v1
  PodFailurePolicyOnExitCodesRequirement operator=.PodFailurePolicyOnExitCodesOperator
  PodFailurePolicyOnPodConditionsPattern type=.PodConditionType status=.ConditionStatus
  PodFailurePolicyRule action=.PodFailurePolicyAction
  JobSpec completionMode=.CompletionMode podReplacementPolicy=.PodReplacementPolicy
  UncountedTerminatedPods succeeded=[]types.UID failed=[]types.UID
  JobCondition type=.JobConditionType status=.ConditionStatus
  CronJobSpec concurrencyPolicy=.ConcurrencyPolicy
k8s.io.api.certificates.v1
  CertificateSigningRequestSpec usages=[].KeyUsage extra=map[string].ExtraValue
  CertificateSigningRequestCondition type=.RequestConditionType status=.ConditionStatus
k8s.io.api.certificates.v1beta1
  CertificateSigningRequestSpec usages=[].KeyUsage extra=map[string].ExtraValue
  CertificateSigningRequestCondition type=.RequestConditionType status=v1.ConditionStatus
  PodCertificateRequestSpec podUID=types.UID serviceAccountUID=types.UID nodeName=types.NodeName nodeUID=types.UID
k8s.io.api.coordination.v1
  LeaseSpec strategy=.CoordinatedLeaseStrategy
k8s.io.api.coordination.v1alpha2
  LeaseCandidateSpec strategy=v1.CoordinatedLeaseStrategy
k8s.io.api.coordination.v1beta1
  LeaseSpec strategy=v1.CoordinatedLeaseStrategy
  LeaseCandidateSpec strategy=v1.CoordinatedLeaseStrategy
k8s.io.api.core.v1
  PersistentVolumeSpec capacity=.ResourceList accessModes=[].PersistentVolumeAccessMode persistentVolumeReclaimPolicy=.PersistentVolumeReclaimPolicy volumeMode=.PersistentVolumeMode
  PersistentVolumeStatus phase=.PersistentVolumePhase
  PersistentVolumeClaimSpec accessModes=[].PersistentVolumeAccessMode volumeMode=.PersistentVolumeMode
  ModifyVolumeStatus status=.PersistentVolumeClaimModifyVolumeStatus
  PersistentVolumeClaimCondition type=.PersistentVolumeClaimConditionType status=.ConditionStatus
  PersistentVolumeClaimStatus phase=.PersistentVolumeClaimPhase accessModes=[].PersistentVolumeAccessMode capacity=.ResourceList allocatedResources=.ResourceList allocatedResourceStatuses=map[.ResourceName].ClaimResourceStatus
  HostPathVolumeSource type=.HostPathType
  EmptyDirVolumeSource medium=.StorageMedium
  AzureDiskVolumeSource cachingMode=.AzureDataDiskCachingMode kind=.AzureDataDiskKind
  ContainerPort protocol=.Protocol
  VolumeMount recursiveReadOnly=.RecursiveReadOnlyMode mountPropagation=.MountPropagationMode
  HTTPGetAction scheme=.URIScheme
  ContainerResizePolicy resourceName=.ResourceName restartPolicy=.ResourceResizeRestartPolicy
  Capabilities add=[].Capability drop=[].Capability
  ResourceRequirements limits=.ResourceList requests=.ResourceList
  VolumeResourceRequirements limits=.ResourceList requests=.ResourceList
  Container restartPolicy=.ContainerRestartPolicy terminationMessagePolicy=.TerminationMessagePolicy imagePullPolicy=.PullPolicy
  Lifecycle stopSignal=.Signal
  ContainerStatus allocatedResources=.ResourceList stopSignal=.Signal
  ResourceStatus name=.ResourceName
  ResourceHealth resourceID=.ResourceID health=.ResourceHealthStatus
  PodCondition type=.PodConditionType status=.ConditionStatus
  VolumeMountStatus recursiveReadOnly=.RecursiveReadOnlyMode
  ContainerRestartRule action=.ContainerRestartRuleAction
  ContainerRestartRuleOnExitCodes operator=.ContainerRestartRuleOnExitCodesOperator
  NodeSelectorRequirement operator=.NodeSelectorOperator
  Taint effect=.TaintEffect
  Toleration operator=.TolerationOperator effect=.TaintEffect
  PodReadinessGate conditionType=.PodConditionType
  PodSpec restartPolicy=.RestartPolicy dnsPolicy=.DNSPolicy preemptionPolicy=.PreemptionPolicy overhead=.ResourceList
  PodOS name=.OSName
  TopologySpreadConstraint whenUnsatisfiable=.UnsatisfiableConstraintAction nodeAffinityPolicy=.NodeInclusionPolicy nodeTaintsPolicy=.NodeInclusionPolicy
  PodSecurityContext supplementalGroupsPolicy=.SupplementalGroupsPolicy fsGroupChangePolicy=.PodFSGroupChangePolicy seLinuxChangePolicy=.PodSELinuxChangePolicy
  SeccompProfile type=.SeccompProfileType
  AppArmorProfile type=.AppArmorProfileType
  EphemeralContainerCommon restartPolicy=.ContainerRestartPolicy terminationMessagePolicy=.TerminationMessagePolicy imagePullPolicy=.PullPolicy
  PodStatus phase=.PodPhase qosClass=.PodQOSClass resize=.PodResizeStatus allocatedResources=.ResourceList
  ReplicationControllerCondition type=.ReplicationControllerConditionType status=.ConditionStatus
  LoadBalancerIngress ipMode=.LoadBalancerIPMode
  ServiceSpec type=.ServiceType sessionAffinity=.ServiceAffinity externalTrafficPolicy=.ServiceExternalTrafficPolicy ipFamilies=[].IPFamily ipFamilyPolicy=.IPFamilyPolicy internalTrafficPolicy=.ServiceInternalTrafficPolicy
  ServicePort protocol=.Protocol
  EndpointPort protocol=.Protocol
  ConfigMapNodeConfigSource uid=types.UID
  NodeStatus capacity=.ResourceList allocatable=.ResourceList phase=.NodePhase volumesInUse=[].UniqueVolumeName
  AttachedVolume name=.UniqueVolumeName
  NodeCondition type=.NodeConditionType status=.ConditionStatus
  NodeAddress type=.NodeAddressType
  NamespaceSpec finalizers=[].FinalizerName
  NamespaceStatus phase=.NamespacePhase
  NamespaceCondition type=.NamespaceConditionType status=.ConditionStatus
  Preconditions uid=types.UID
  ObjectReference uid=types.UID
  LimitRangeItem type=.LimitType max=.ResourceList min=.ResourceList default=.ResourceList defaultRequest=.ResourceList maxLimitRequestRatio=.ResourceList
  ResourceQuotaSpec hard=.ResourceList scopes=[].ResourceQuotaScope
  ScopedResourceSelectorRequirement scopeName=.ResourceQuotaScope operator=.ScopeSelectorOperator
  ResourceQuotaStatus hard=.ResourceList used=.ResourceList
  Secret type=.SecretType
  ComponentCondition type=.ComponentConditionType status=.ConditionStatus
  SecurityContext procMount=.ProcMountType
  PortStatus protocol=.Protocol
  ImageVolumeSource pullPolicy=.PullPolicy
  NodeAllocatableResourceClaimStatus resources=map[.ResourceName]resource.Quantity
k8s.io.api.discovery.v1
  EndpointSlice addressType=.AddressType
  EndpointPort protocol=.Protocol
k8s.io.api.flowcontrol.v1
  FlowDistinguisherMethod type=.FlowDistinguisherMethodType
  Subject kind=.SubjectKind
  FlowSchemaCondition type=.FlowSchemaConditionType status=.ConditionStatus
  PriorityLevelConfigurationSpec type=.PriorityLevelEnablement
  LimitResponse type=.LimitResponseType
  PriorityLevelConfigurationCondition type=.PriorityLevelConfigurationConditionType status=.ConditionStatus
k8s.io.api.networking.v1
  NetworkPolicySpec policyTypes=[].PolicyType
  NetworkPolicyPort protocol=.Protocol
  IngressPortStatus protocol=.Protocol
  HTTPIngressPath pathType=.PathType
k8s.io.api.networking.v1beta1
  IngressPortStatus protocol=v1.Protocol
  HTTPIngressPath pathType=.PathType
k8s.io.api.node.v1
  Overhead podFixed=.ResourceList
k8s.io.api.policy.v1
  PodDisruptionBudgetSpec unhealthyPodEvictionPolicy=.UnhealthyPodEvictionPolicyType
k8s.io.api.resource.v1
  Device attributes=map[.QualifiedName].DeviceAttribute capacity=map[.QualifiedName].DeviceCapacity nodeAllocatableResourceMappings=map[.ResourceName].NodeAllocatableResourceMapping
  NodeAllocatableResourceMapping capacityKey=.QualifiedName
  DeviceTaint effect=.DeviceTaintEffect
  ExactDeviceRequest allocationMode=.DeviceAllocationMode
  DeviceSubRequest allocationMode=.DeviceAllocationMode
  CapacityRequirements requests=map[.QualifiedName]resource.Quantity
  DeviceConstraint matchAttribute=.FullyQualifiedName distinctAttribute=.FullyQualifiedName
  DeviceToleration operator=.DeviceTolerationOperator effect=.DeviceTaintEffect
  ResourceClaimConsumerReference uid=types.UID
  DeviceRequestAllocationResult shareID=types.UID consumedCapacity=map[.QualifiedName]resource.Quantity
  DeviceAllocationConfiguration source=.AllocationConfigSource
k8s.io.api.resource.v1alpha3
  DeviceTaint effect=.DeviceTaintEffect
k8s.io.api.resource.v1beta1
  BasicDevice attributes=map[.QualifiedName].DeviceAttribute capacity=map[.QualifiedName].DeviceCapacity nodeAllocatableResourceMappings=map[v1.ResourceName].NodeAllocatableResourceMapping
  NodeAllocatableResourceMapping capacityKey=.QualifiedName
  DeviceTaint effect=.DeviceTaintEffect
  DeviceRequest allocationMode=.DeviceAllocationMode
  DeviceSubRequest allocationMode=.DeviceAllocationMode
  CapacityRequirements requests=map[.QualifiedName]resource.Quantity
  DeviceConstraint matchAttribute=.FullyQualifiedName distinctAttribute=.FullyQualifiedName
  DeviceToleration operator=.DeviceTolerationOperator effect=.DeviceTaintEffect
  ResourceClaimConsumerReference uid=types.UID
  DeviceRequestAllocationResult shareID=types.UID consumedCapacity=map[.QualifiedName]resource.Quantity
  DeviceAllocationConfiguration source=.AllocationConfigSource
k8s.io.api.resource.v1beta2
  Device attributes=map[.QualifiedName].DeviceAttribute capacity=map[.QualifiedName].DeviceCapacity nodeAllocatableResourceMappings=map[v1.ResourceName].NodeAllocatableResourceMapping
  NodeAllocatableResourceMapping capacityKey=.QualifiedName
  DeviceTaint effect=.DeviceTaintEffect
  ExactDeviceRequest allocationMode=.DeviceAllocationMode
  DeviceSubRequest allocationMode=.DeviceAllocationMode
  CapacityRequirements requests=map[.QualifiedName]resource.Quantity
  DeviceConstraint matchAttribute=.FullyQualifiedName distinctAttribute=.FullyQualifiedName
  DeviceToleration operator=.DeviceTolerationOperator effect=.DeviceTaintEffect
  ResourceClaimConsumerReference uid=types.UID
  DeviceRequestAllocationResult shareID=types.UID consumedCapacity=map[.QualifiedName]resource.Quantity
  DeviceAllocationConfiguration source=.AllocationConfigSource
k8s.io.api.scheduling.v1
  PriorityClass preemptionPolicy=.PreemptionPolicy
k8s.io.api.scheduling.v1alpha2
  PodGroupTemplate disruptionMode=.DisruptionMode
  PodGroupSpec disruptionMode=.DisruptionMode
k8s.io.api.storage.v1
  StorageClass reclaimPolicy=.PersistentVolumeReclaimPolicy volumeBindingMode=.VolumeBindingMode
  CSIDriverSpec volumeLifecycleModes=[].VolumeLifecycleMode fsGroupPolicy=.FSGroupPolicy
k8s.io.api.storage.v1beta1
  StorageClass reclaimPolicy=v1.PersistentVolumeReclaimPolicy volumeBindingMode=.VolumeBindingMode
  CSIDriverSpec volumeLifecycleModes=[].VolumeLifecycleMode fsGroupPolicy=.FSGroupPolicy
k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1
  CustomResourceDefinitionSpec scope=.ResourceScope
  CustomResourceConversion strategy=.ConversionStrategyType
  CustomResourceDefinitionCondition type=.CustomResourceDefinitionConditionType status=.ConditionStatus
  ConversionRequest uid=types.UID
  ConversionResponse uid=types.UID
  JSONSchemaProps $schema=.JSONSchemaURL dependencies=.JSONSchemaDependencies definitions=.JSONSchemaDefinitions x-kubernetes-validations=.ValidationRules
  ValidationRule reason=.FieldValueErrorReason
k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1beta1
  ConversionRequest uid=types.UID
  ConversionResponse uid=types.UID
k8s.io.apimachinery.pkg.apis.meta.v1
  ObjectMeta uid=types.UID
  OwnerReference uid=types.UID
  ListOptions resourceVersionMatch=.ResourceVersionMatch
  DeleteOptions propagationPolicy=.DeletionPropagation
  Preconditions uid=types.UID
  Status reason=.StatusReason
  StatusDetails uid=types.UID
  StatusCause reason=.CauseType
  APIResource verbs=.Verbs
  LabelSelectorRequirement operator=.LabelSelectorOperator
  FieldSelectorRequirement operator=.FieldSelectorOperator
  ManagedFieldsEntry operation=.ManagedFieldsOperationType
  TableRowCondition type=.RowConditionType status=.ConditionStatus
  TableOptions includeObject=.IncludeObjectPolicy
  Condition status=.ConditionStatus
k8s.io.kube_aggregator.pkg.apis.apiregistration.v1
  APIServiceCondition type=.APIServiceConditionType status=.ConditionStatus
`;

/** Go types by message and field, for example `v1.ServiceType` of `type` in `k8s.io.api.core.v1.ServiceSpec`. */
export const goTypeNames: ReadonlyMap<string, ReadonlyMap<string, string>> = parse(table);

function parse(text: string): Map<string, Map<string, string>> {
  const messages = new Map<string, Map<string, string>>();
  let pkg = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (!line.startsWith(' ')) {
      pkg = line;
      continue;
    }
    const [message = '', ...fields] = line.trim().split(' ');
    const own = pkg.slice(pkg.lastIndexOf('.') + 1);
    const types = fields.map((field): [string, string] => {
      const at = field.indexOf('=');
      return [field.slice(0, at), field.slice(at + 1).replaceAll(/(^|[[\]])\./g, `$1${own}.`)];
    });
    messages.set(`${pkg}.${message}`, new Map(types));
  }
  return messages;
}
