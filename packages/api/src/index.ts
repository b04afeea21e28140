export type { ResourceStrategy, StrategyContext, TableColumn, UpdateHooks } from './strategy.ts';
export { strategies, strategyFor, strategyKey } from './strategies.ts';
export { builtinSchemas } from './schemas.ts';
export type { BuiltinMessageSchema, BuiltinSchemaRegistry } from './schemas.ts';
export {
  builtinGroupVersions,
  builtinResources,
  crdGroupPriority,
  crdVersionPriority,
  emptyGroupVersions,
  watchCacheOff,
} from './generated/resources.ts';
export { featureGates } from './generated/feature-gates.ts';
export { earlierGateStates } from './feature-gate-history.ts';
export { operationFacts } from './generated/operations.ts';
export { allKindsGroupVersions } from './generated/schemas/index.ts';
export type {
  ActionFacts,
  BuiltinGroupVersion,
  BuiltinResource,
  BuiltinSubresource,
  FeatureGate,
  OperationFacts,
  ResourceLifecycle,
  SpecialOperation,
} from './discovery-data.ts';
export type {
  admissionV1,
  admissionV1beta1,
  admissionregistrationV1,
  admissionregistrationV1alpha1,
  admissionregistrationV1beta1,
  apidiscoveryV2,
  apidiscoveryV2beta1,
  apiextensionsV1,
  apiextensionsV1beta1,
  apiregistrationV1,
  appsV1,
  authenticationV1,
  authenticationV1beta1,
  authorizationV1,
  authorizationV1beta1,
  autoscalingV1,
  autoscalingV2,
  batchV1,
  certificatesV1,
  certificatesV1alpha1,
  certificatesV1beta1,
  coordinationV1,
  coordinationV1alpha2,
  coordinationV1beta1,
  coreV1,
  discoveryV1,
  eventsV1,
  flowcontrolV1,
  imagepolicyV1alpha1,
  internalV1alpha1,
  metaV1,
  metaV1beta1,
  networkingV1,
  networkingV1beta1,
  nodeV1,
  policyV1,
  rbacV1,
  resourceV1,
  resourceV1alpha3,
  resourceV1beta1,
  resourceV1beta2,
  schedulingV1,
  schedulingV1alpha2,
  storageV1,
  storageV1beta1,
  storagemigrationV1beta1,
} from './generated/types/index.ts';
export { defaultColumns } from './table/columns.ts';
export { scaleCells, scaleColumns } from './table/scale.ts';
export { agreeOnClusterIp } from './core/service/allocation-fields.ts';
export { newAdminAccess, rightsOfClaimStatus } from './resource/claim-rights.ts';
export type { ClaimRight } from './resource/claim-rights.ts';
export { withoutPrivileged } from './core/pod/privileged.ts';
export { validateServiceClusterIps } from './core/service/validation.ts';
