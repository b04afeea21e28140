/**
 * The members of upstream's internal (version-less) structs, in their order: validation messages print whole values in that form.
 * `Go name`, `=json` when the JSON name is not the Go name with its first word in lower case, then the kind:
 * `:s` text, `:i` number, `:b` boolean, `:q` quantity (their zero when absent), `:=T` struct, `:*T` struct or null, `:[]T` list of
 * structs; nothing: null when absent.
 */
export const internalLayouts: Readonly<Record<string, string>> = {
  AWSElasticBlockStoreVolumeSource: 'VolumeID:s FSType:s Partition:i ReadOnly:b',
  Affinity: 'NodeAffinity:*NodeAffinity PodAffinity:*PodAffinity PodAntiAffinity:*PodAntiAffinity',
  AppArmorProfile: 'Type:s LocalhostProfile',
  AzureDiskVolumeSource: 'DiskName:s DataDiskURI=diskURI:s CachingMode FSType ReadOnly Kind',
  AzureFileVolumeSource: 'SecretName:s ShareName:s ReadOnly:b',
  CSIVolumeSource: 'Driver:s ReadOnly FSType VolumeAttributes NodePublishSecretRef:*LocalObjectReference',
  Capabilities: 'Add Drop',
  CephFSVolumeSource: 'Monitors Path:s User:s SecretFile:s SecretRef:*LocalObjectReference ReadOnly:b',
  CinderVolumeSource: 'VolumeID:s FSType:s ReadOnly:b SecretRef:*LocalObjectReference',
  ConfigMapEnvSource: 'Name:s Optional',
  ConfigMapKeySelector: 'Name:s Key:s Optional',
  ConfigMapProjection: 'Name:s Items:[]KeyToPath Optional',
  ConfigMapVolumeSource: 'Name:s Items:[]KeyToPath DefaultMode Optional',
  Container:
    'Name:s Image:s Command Args WorkingDir:s Ports:[]ContainerPort EnvFrom:[]EnvFromSource Env:[]EnvVar Resources:=ResourceRequirements ResizePolicy:[]ContainerResizePolicy RestartPolicy RestartPolicyRules:[]ContainerRestartRule VolumeMounts:[]VolumeMount VolumeDevices:[]VolumeDevice LivenessProbe:*Probe ReadinessProbe:*Probe StartupProbe:*Probe Lifecycle:*Lifecycle TerminationMessagePath:s TerminationMessagePolicy:s ImagePullPolicy:s SecurityContext:*SecurityContext Stdin:b StdinOnce:b TTY:b',
  ContainerPort: 'Name:s HostPort:i ContainerPort:i Protocol:s HostIP:s',
  ContainerResizePolicy: 'ResourceName:s RestartPolicy:s',
  ContainerRestartRule: 'Action:s ExitCodes:*ContainerRestartRuleOnExitCodes',
  ContainerRestartRuleOnExitCodes: 'Operator:s Values',
  DaemonSetUpdateStrategy: 'Type:s RollingUpdate:*RollingUpdateDaemonSet',
  DeploymentStrategy: 'Type:s RollingUpdate:*RollingUpdateDeployment',
  RollingUpdateDeployment: 'MaxUnavailable:i MaxSurge:i',
  AllocationResult: 'Devices:=DeviceAllocationResult NodeSelector:*NodeSelector AllocationTimestamp',
  DeviceAllocationResult: 'Results:[]DeviceRequestAllocationResult Config:[]DeviceAllocationConfiguration',
  DeviceRequestAllocationResult:
    'Request:s Driver:s Pool:s Device:s AdminAccess Tolerations:[]DeviceToleration BindingConditions BindingFailureConditions ShareID ConsumedCapacity',
  DeviceAllocationConfiguration: 'Source:s Requests Opaque:*OpaqueDeviceConfiguration',
  DeviceAttribute:
    'IntValue=int BoolValue=bool StringValue=string VersionValue=version IntValues=ints BoolValues=bools StringValues=strings VersionValues=versions',
  ResourceClaimSpec: 'Devices:=DeviceClaim',
  ResourceClaimTemplateSpec: 'Spec:=ResourceClaimSpec',
  DeviceClaim: 'Requests:[]DeviceRequest Constraints:[]DeviceConstraint Config:[]DeviceClaimConfiguration',
  DeviceRequest: 'Name:s Exactly:*ExactDeviceRequest FirstAvailable:[]DeviceSubRequest',
  ExactDeviceRequest:
    'DeviceClassName:s Selectors:[]DeviceSelector AllocationMode:s Count:i AdminAccess Tolerations:[]DeviceToleration Capacity:*CapacityRequirements',
  DeviceSubRequest:
    'Name:s DeviceClassName:s Selectors:[]DeviceSelector AllocationMode:s Count:i Tolerations:[]DeviceToleration Capacity:*CapacityRequirements',
  DeviceSelector: 'CEL:*CELDeviceSelector',
  CELDeviceSelector: 'Expression:s',
  DeviceConstraint: 'Requests MatchAttribute DistinctAttribute',
  DeviceClaimConfiguration: 'Requests Opaque:*OpaqueDeviceConfiguration',
  OpaqueDeviceConfiguration: 'Driver:s Parameters',
  DeviceToleration: 'Key:s Operator:s Value:s Effect:s TolerationSeconds',
  CapacityRequirements: 'Requests',
  VolumeAttachmentSpec: 'Attacher:s Source:=VolumeAttachmentSource NodeName:s',
  VolumeAttachmentSource: 'PersistentVolumeName InlineVolumeSpec:*PersistentVolumeSpec',
  PodFailurePolicy: 'Rules:[]PodFailurePolicyRule',
  PodFailurePolicyRule:
    'Action:s OnExitCodes:*PodFailurePolicyOnExitCodesRequirement OnPodConditions:[]PodFailurePolicyOnPodConditionsPattern',
  PodFailurePolicyOnExitCodesRequirement: 'ContainerName Operator:s Values',
  PodFailurePolicyOnPodConditionsPattern: 'Type:s Status:s',
  SuccessPolicy: 'Rules:[]SuccessPolicyRule',
  UncountedTerminatedPods: 'Succeeded Failed',
  SuccessPolicyRule: 'SucceededIndexes SucceededCount',
  DownwardAPIProjection: 'Items:[]DownwardAPIVolumeFile',
  DownwardAPIVolumeFile: 'Path:s FieldRef:*ObjectFieldSelector ResourceFieldRef:*ResourceFieldSelector Mode',
  DownwardAPIVolumeSource: 'Items:[]DownwardAPIVolumeFile DefaultMode',
  EmptyDirVolumeSource: 'Medium:s SizeLimit',
  EnvFromSource: 'Prefix:s ConfigMapRef:*ConfigMapEnvSource SecretRef:*SecretEnvSource',
  EnvVar: 'Name:s Value:s ValueFrom:*EnvVarSource',
  EnvVarSource:
    'FieldRef:*ObjectFieldSelector ResourceFieldRef:*ResourceFieldSelector ConfigMapKeyRef:*ConfigMapKeySelector SecretKeyRef:*SecretKeySelector FileKeyRef:*FileKeySelector',
  EphemeralContainer:
    'Name:s Image:s Command Args WorkingDir:s Ports:[]ContainerPort EnvFrom:[]EnvFromSource Env:[]EnvVar Resources:=ResourceRequirements ResizePolicy:[]ContainerResizePolicy RestartPolicy RestartPolicyRules:[]ContainerRestartRule VolumeMounts:[]VolumeMount VolumeDevices:[]VolumeDevice LivenessProbe:*Probe ReadinessProbe:*Probe StartupProbe:*Probe Lifecycle:*Lifecycle TerminationMessagePath:s TerminationMessagePolicy:s ImagePullPolicy:s SecurityContext:*SecurityContext Stdin:b StdinOnce:b TTY:b TargetContainerName:s',
  EphemeralVolumeSource: 'VolumeClaimTemplate:*PersistentVolumeClaimTemplate',
  ExecAction: 'Command',
  FCVolumeSource: 'TargetWWNs Lun FSType:s ReadOnly:b WWIDs=wwids',
  FileKeySelector: 'VolumeName:s Path:s Key:s Optional',
  FlexVolumeSource: 'Driver:s FSType:s SecretRef:*LocalObjectReference ReadOnly:b Options',
  FlockerVolumeSource: 'DatasetName:s DatasetUUID:s',
  GCEPersistentDiskVolumeSource: 'PDName:s FSType:s Partition:i ReadOnly:b',
  GRPCAction: 'Port:i Service',
  GitRepoVolumeSource: 'Repository:s Revision:s Directory:s',
  GlusterfsVolumeSource: 'EndpointsName=endpoints:s Path:s ReadOnly:b',
  HTTPGetAction: 'Path:s Port:i Host:s Scheme:s HTTPHeaders:[]HTTPHeader',
  HTTPHeader: 'Name:s Value:s',
  HostAlias: 'IP:s Hostnames',
  HostPathVolumeSource: 'Path:s Type',
  ISCSIVolumeSource:
    'TargetPortal:s IQN:s Lun:i ISCSIInterface:s FSType:s ReadOnly:b Portals DiscoveryCHAPAuth=chapAuthDiscovery:b SessionCHAPAuth=chapAuthSession:b SecretRef:*LocalObjectReference InitiatorName',
  ImageVolumeSource: 'Reference:s PullPolicy:s',
  KeyToPath: 'Key:s Path:s Mode',
  Lifecycle: 'PostStart:*LifecycleHandler PreStop:*LifecycleHandler StopSignal',
  LifecycleHandler: 'Exec:*ExecAction HTTPGet:*HTTPGetAction TCPSocket:*TCPSocketAction Sleep:*SleepAction',
  EventSource: 'Component:s Host:s',
  LocalObjectReference: 'Name:s',
  ObjectReference: 'Kind:s Namespace:s Name:s UID:s APIVersion:s ResourceVersion:s FieldPath:s',
  NFSVolumeSource: 'Server:s Path:s ReadOnly:b',
  NodeAffinity:
    'RequiredDuringSchedulingIgnoredDuringExecution:*NodeSelector PreferredDuringSchedulingIgnoredDuringExecution:[]PreferredSchedulingTerm',
  NodeSelector: 'NodeSelectorTerms:[]NodeSelectorTerm',
  NodeSelectorRequirement: 'Key:s Operator:s Values',
  NodeSelectorTerm: 'MatchExpressions:[]NodeSelectorRequirement MatchFields:[]NodeSelectorRequirement',
  ObjectFieldSelector: 'APIVersion:s FieldPath:s',
  PersistentVolumeSpec:
    'Capacity GCEPersistentDisk:*GCEPersistentDiskVolumeSource AWSElasticBlockStore:*AWSElasticBlockStoreVolumeSource HostPath:*HostPathVolumeSource Glusterfs:*GlusterfsPersistentVolumeSource NFS:*NFSVolumeSource RBD:*RBDPersistentVolumeSource Quobyte:*QuobyteVolumeSource ISCSI:*ISCSIPersistentVolumeSource FlexVolume:*FlexPersistentVolumeSource Cinder:*CinderPersistentVolumeSource CephFS=cephfs:*CephFSPersistentVolumeSource FC:*FCVolumeSource Flocker:*FlockerVolumeSource AzureFile:*AzureFilePersistentVolumeSource VsphereVolume:*VsphereVirtualDiskVolumeSource AzureDisk:*AzureDiskVolumeSource PhotonPersistentDisk:*PhotonPersistentDiskVolumeSource PortworxVolume:*PortworxVolumeSource ScaleIO:*ScaleIOPersistentVolumeSource Local:*LocalVolumeSource StorageOS=storageos:*StorageOSPersistentVolumeSource CSI:*CSIPersistentVolumeSource AccessModes ClaimRef:*ObjectReference PersistentVolumeReclaimPolicy:s StorageClassName:s MountOptions VolumeMode NodeAffinity:*VolumeNodeAffinity VolumeAttributesClassName',
  PersistentVolumeSource:
    'GCEPersistentDisk:*GCEPersistentDiskVolumeSource AWSElasticBlockStore:*AWSElasticBlockStoreVolumeSource HostPath:*HostPathVolumeSource Glusterfs:*GlusterfsPersistentVolumeSource NFS:*NFSVolumeSource RBD:*RBDPersistentVolumeSource Quobyte:*QuobyteVolumeSource ISCSI:*ISCSIPersistentVolumeSource FlexVolume:*FlexPersistentVolumeSource Cinder:*CinderPersistentVolumeSource CephFS=cephfs:*CephFSPersistentVolumeSource FC:*FCVolumeSource Flocker:*FlockerVolumeSource AzureFile:*AzureFilePersistentVolumeSource VsphereVolume:*VsphereVirtualDiskVolumeSource AzureDisk:*AzureDiskVolumeSource PhotonPersistentDisk:*PhotonPersistentDiskVolumeSource PortworxVolume:*PortworxVolumeSource ScaleIO:*ScaleIOPersistentVolumeSource Local:*LocalVolumeSource StorageOS=storageos:*StorageOSPersistentVolumeSource CSI:*CSIPersistentVolumeSource',
  CSIPersistentVolumeSource:
    'Driver:s VolumeHandle:s ReadOnly:b FSType:s VolumeAttributes ControllerPublishSecretRef:*SecretReference NodeStageSecretRef:*SecretReference NodePublishSecretRef:*SecretReference ControllerExpandSecretRef:*SecretReference NodeExpandSecretRef:*SecretReference',
  LocalVolumeSource: 'Path:s FSType',
  GlusterfsPersistentVolumeSource: 'EndpointsName=endpoints:s Path:s ReadOnly:b EndpointsNamespace',
  RBDPersistentVolumeSource:
    'CephMonitors=monitors RBDImage=image:s FSType:s RBDPool=pool:s RadosUser=user:s Keyring:s SecretRef:*SecretReference ReadOnly:b',
  ISCSIPersistentVolumeSource:
    'TargetPortal:s IQN:s Lun:i ISCSIInterface:s FSType:s ReadOnly:b Portals DiscoveryCHAPAuth=chapAuthDiscovery:b SessionCHAPAuth=chapAuthSession:b SecretRef:*SecretReference InitiatorName',
  FlexPersistentVolumeSource: 'Driver:s FSType:s SecretRef:*SecretReference ReadOnly:b Options',
  CinderPersistentVolumeSource: 'VolumeID:s FSType:s ReadOnly:b SecretRef:*SecretReference',
  CephFSPersistentVolumeSource: 'Monitors Path:s User:s SecretFile:s SecretRef:*SecretReference ReadOnly:b',
  AzureFilePersistentVolumeSource: 'SecretName:s ShareName:s ReadOnly:b SecretNamespace',
  ScaleIOPersistentVolumeSource:
    'Gateway:s System:s SecretRef:*SecretReference SSLEnabled:b ProtectionDomain:s StoragePool:s StorageMode:s VolumeName:s FSType:s ReadOnly:b',
  StorageOSPersistentVolumeSource:
    'VolumeName:s VolumeNamespace:s FSType:s ReadOnly:b SecretRef:*ObjectReference',
  SecretReference: 'Name:s Namespace:s',
  VolumeNodeAffinity: 'Required:*NodeSelector',
  CSINodeDriver: 'Name:s NodeID:s TopologyKeys Allocatable:*VolumeNodeResources',
  VolumeNodeResources: 'Count',
  PersistentVolumeClaimSpec:
    'AccessModes Selector Resources:=VolumeResourceRequirements VolumeName:s StorageClassName VolumeMode DataSource:*TypedLocalObjectReference DataSourceRef:*TypedObjectReference VolumeAttributesClassName',
  PersistentVolumeClaimTemplate: 'Spec:=PersistentVolumeClaimSpec',
  PersistentVolumeClaimVolumeSource: 'ClaimName:s ReadOnly:b',
  PhotonPersistentDiskVolumeSource: 'PdID:s FSType:s',
  PodAffinity:
    'RequiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm PreferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm',
  PodAffinityTerm:
    'LabelSelector Namespaces TopologyKey:s NamespaceSelector MatchLabelKeys MismatchLabelKeys',
  PodAntiAffinity:
    'RequiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm PreferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm',
  PodDNSConfig: 'Nameservers Searches Options:[]PodDNSConfigOption',
  PodDNSConfigOption: 'Name:s Value',
  PodDisruptionBudgetSpec: 'MinAvailable Selector MaxUnavailable UnhealthyPodEvictionPolicy',
  PodOS: 'Name:s',
  PodReadinessGate: 'ConditionType:s',
  PodResourceClaim: 'Name:s ResourceClaimName ResourceClaimTemplateName',
  PodSchedulingGate: 'Name:s',
  PodSecurityContext:
    'HostNetwork:b HostPID:b HostIPC:b ShareProcessNamespace HostUsers SELinuxOptions:*SELinuxOptions WindowsOptions:*WindowsSecurityContextOptions RunAsUser RunAsGroup RunAsNonRoot SupplementalGroups SupplementalGroupsPolicy FSGroup FSGroupChangePolicy Sysctls:[]Sysctl SeccompProfile:*SeccompProfile AppArmorProfile:*AppArmorProfile SELinuxChangePolicy',
  PodSpec:
    'Volumes:[]Volume InitContainers:[]Container Containers:[]Container EphemeralContainers:[]EphemeralContainer RestartPolicy:s TerminationGracePeriodSeconds ActiveDeadlineSeconds DNSPolicy:s NodeSelector ServiceAccountName:s AutomountServiceAccountToken NodeName:s SecurityContext:*PodSecurityContext ImagePullSecrets:[]LocalObjectReference Hostname:s Subdomain:s SetHostnameAsFQDN Affinity:*Affinity SchedulerName:s Tolerations:[]Toleration HostAliases:[]HostAlias PriorityClassName:s Priority PreemptionPolicy DNSConfig:*PodDNSConfig ReadinessGates:[]PodReadinessGate RuntimeClassName Overhead EnableServiceLinks TopologySpreadConstraints:[]TopologySpreadConstraint OS:*PodOS SchedulingGates:[]PodSchedulingGate ResourceClaims:[]PodResourceClaim Resources:*ResourceRequirements HostnameOverride SchedulingGroup',
  PortworxVolumeSource: 'VolumeID:s FSType:s ReadOnly:b',
  PreferredSchedulingTerm: 'Weight:i Preference:=NodeSelectorTerm',
  Probe:
    'Exec:*ExecAction HTTPGet:*HTTPGetAction TCPSocket:*TCPSocketAction GRPC:*GRPCAction InitialDelaySeconds:i TimeoutSeconds:i PeriodSeconds:i SuccessThreshold:i FailureThreshold:i TerminationGracePeriodSeconds',
  ProjectedVolumeSource: 'Sources:[]VolumeProjection DefaultMode',
  QuobyteVolumeSource: 'Registry:s Volume:s ReadOnly:b User:s Group:s Tenant:s',
  RBDVolumeSource:
    'CephMonitors=monitors RBDImage=image:s FSType:s RBDPool=pool:s RadosUser=user:s Keyring:s SecretRef:*LocalObjectReference ReadOnly:b',
  ResourceClaim: 'Name:s Request:s',
  ResourceFieldSelector: 'ContainerName:s Resource:s Divisor:q',
  ResourceRequirements: 'Limits Requests Claims:[]ResourceClaim',
  RollingUpdateDaemonSet: 'MaxUnavailable:i MaxSurge:i',
  RollingUpdateStatefulSetStrategy: 'Partition:i MaxUnavailable',
  SELinuxOptions: 'User:s Role:s Type:s Level:s',
  ScaleIOVolumeSource:
    'Gateway:s System:s SecretRef:*LocalObjectReference SSLEnabled:b ProtectionDomain:s StoragePool:s StorageMode:s VolumeName:s FSType:s ReadOnly:b',
  SeccompProfile: 'Type:s LocalhostProfile',
  SecretEnvSource: 'Name:s Optional',
  SecretKeySelector: 'Name:s Key:s Optional',
  SecretProjection: 'Name:s Items:[]KeyToPath Optional',
  SecretVolumeSource: 'SecretName:s Items:[]KeyToPath DefaultMode Optional',
  SecurityContext:
    'Capabilities:*Capabilities Privileged SELinuxOptions:*SELinuxOptions WindowsOptions:*WindowsSecurityContextOptions RunAsUser RunAsGroup RunAsNonRoot ReadOnlyRootFilesystem AllowPrivilegeEscalation ProcMount SeccompProfile:*SeccompProfile AppArmorProfile:*AppArmorProfile',
  ServiceAccountTokenProjection: 'Audience:s ExpirationSeconds Path:s',
  ServicePort: 'Name:s Protocol:s AppProtocol Port:i TargetPort:i NodePort:i',
  SleepAction: 'Seconds:i',
  StatefulSetUpdateStrategy: 'Type:s RollingUpdate:*RollingUpdateStatefulSetStrategy',
  StorageOSVolumeSource: 'VolumeName:s VolumeNamespace:s FSType:s ReadOnly:b SecretRef:*LocalObjectReference',
  Sysctl: 'Name:s Value:s',
  TCPSocketAction: 'Port:i Host:s',
  Toleration: 'Key:s Operator:s Value:s Effect:s TolerationSeconds',
  TopologySpreadConstraint:
    'MaxSkew:i TopologyKey:s WhenUnsatisfiable:s LabelSelector MinDomains NodeAffinityPolicy NodeTaintsPolicy MatchLabelKeys',
  TypedLocalObjectReference: 'APIGroup Kind:s Name:s',
  TypedObjectReference: 'APIGroup Kind:s Name:s Namespace',
  Volume:
    'Name:s HostPath:*HostPathVolumeSource EmptyDir:*EmptyDirVolumeSource GCEPersistentDisk:*GCEPersistentDiskVolumeSource AWSElasticBlockStore:*AWSElasticBlockStoreVolumeSource GitRepo:*GitRepoVolumeSource Secret:*SecretVolumeSource NFS:*NFSVolumeSource ISCSI:*ISCSIVolumeSource Glusterfs:*GlusterfsVolumeSource PersistentVolumeClaim:*PersistentVolumeClaimVolumeSource RBD:*RBDVolumeSource Quobyte:*QuobyteVolumeSource FlexVolume:*FlexVolumeSource Cinder:*CinderVolumeSource CephFS=cephfs:*CephFSVolumeSource Flocker:*FlockerVolumeSource DownwardAPI:*DownwardAPIVolumeSource FC:*FCVolumeSource AzureFile:*AzureFileVolumeSource ConfigMap:*ConfigMapVolumeSource VsphereVolume:*VsphereVirtualDiskVolumeSource AzureDisk:*AzureDiskVolumeSource PhotonPersistentDisk:*PhotonPersistentDiskVolumeSource Projected:*ProjectedVolumeSource PortworxVolume:*PortworxVolumeSource ScaleIO:*ScaleIOVolumeSource StorageOS=storageos:*StorageOSVolumeSource CSI:*CSIVolumeSource Ephemeral:*EphemeralVolumeSource Image:*ImageVolumeSource',
  VolumeDevice: 'Name:s DevicePath:s',
  VolumeMount: 'Name:s ReadOnly:b RecursiveReadOnly MountPath:s SubPath:s MountPropagation SubPathExpr:s',
  VolumeProjection:
    'Secret:*SecretProjection DownwardAPI:*DownwardAPIProjection ConfigMap:*ConfigMapProjection ServiceAccountToken:*ServiceAccountTokenProjection ClusterTrustBundle:*ClusterTrustBundleProjection PodCertificate:*PodCertificateProjection',
  VolumeResourceRequirements: 'Limits Requests',
  VsphereVirtualDiskVolumeSource: 'VolumePath:s FSType:s StoragePolicyName:s StoragePolicyID:s',
  ClusterTrustBundleProjection: 'Name SignerName LabelSelector Optional Path:s',
  PodCertificateProjection:
    'SignerName:s KeyType:s MaxExpirationSeconds CredentialBundlePath:s KeyPath:s CertificateChainPath:s',
  WeightedPodAffinityTerm: 'Weight:i PodAffinityTerm:=PodAffinityTerm',
  WindowsSecurityContextOptions: 'GMSACredentialSpecName GMSACredentialSpec RunAsUserName HostProcess',
};
